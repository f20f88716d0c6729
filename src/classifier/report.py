"""report.html of a classifier: how good it is, what it mixes up, which labels may be wrong."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from src.dataset.split import PART_NAMES
from src.evaluation.classification import reliability
from src.evaluation.label_errors import Suspicion
from src.evaluation.verdicts import classification_verdicts
from src.image_models.target import Predictions
from src.reports.html import write_page
from src.reports.plots import BLUE, GREY, ORANGE, in_percent, plot
from src.reports.thumbnails import image_rows
from src.text import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TABLED = 100  # classes up to which the page shows the confusion matrix


def write_report(
    path: Path,
    predictions: Predictions,
    metrics: Mapping[str, Any],
    matrix: np.ndarray,
    suspicions: Sequence[Suspicion],
    shown: int,
    images: int,
) -> None:
    """Write the page; the matrix (a row for each true class) and the plots are of the part shown.

    Suspicions come the worst first; each row of thumbnails has so many images.
    """
    data = predictions.data
    write_page(
        path,
        "classifier.html",
        title="Your classifier",
        subtitle=f"{counted(len(data), 'image')} in "
        f"{counted(len(data.names), 'category')} of {data.directory.resolve().name}",
        metrics=metrics,
        summary=[*classification_verdicts(metrics), *data.notes],
        shown=PART_NAMES[shown],
        plots=_plots(predictions, shown),
        matrix=matrix.tolist() if len(data.names) <= _TABLED else [],
        classes=data.names,
        galleries=_galleries(predictions, suspicions, shown, images) if images else [],
    )


def _plots(predictions: Predictions, shown: int) -> list[tuple[str, Markup, str]]:
    history, chosen = predictions.history, predictions.parts == shown
    bins = reliability(predictions.data.labels[chosen], predictions.probabilities[chosen])
    note = (
        "Points below the line: the model is surer of itself than it should be. Larger points "
        "stand for more images."
    )
    plots = [
        ("Can its probabilities be trusted?", plot(lambda axes: _reliability(axes, bins)), note)
    ]
    if sum("eval_log_loss" in row for row in history) > 1:
        curve = plot(lambda axes: _curve(axes, history))
        plots.append(
            ("How training went", curve, "The epoch with the lowest validation loss was kept.")
        )
    return plots


def _reliability(axes: "Axes", rows: Sequence[Mapping[str, float]]) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":")
    confidence, accuracy, n = (
        np.array([row[key] for row in rows]) for key in ("confidence", "accuracy", "n")
    )
    sizes = 15 + 140 * n / n.max(initial=1)
    axes.scatter(confidence, accuracy, s=sizes, color=BLUE, alpha=0.75, linewidths=0)
    axes.set(xlabel="probability it gives its answer", ylabel="share of right answers")
    axes.set(xlim=(0, 1.03), ylim=(-0.03, 1.03))
    in_percent(axes)


def _curve(axes: "Axes", history: Sequence[Mapping[str, Any]]) -> None:
    for key, colour, label in (
        ("loss", GREY, "training loss"),
        ("eval_log_loss", BLUE, "validation log-loss"),
        ("eval_accuracy", ORANGE, "validation accuracy"),
    ):
        points = [(row["epoch"], row[key]) for row in history if key in row]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, label=label, marker=".")
    axes.set(xlabel="epoch")
    axes.set_ylim(bottom=0)
    axes.legend()


def _galleries(
    predictions: Predictions, suspicions: Sequence[Suspicion], shown: int, count: int
) -> list[tuple[str, str, list[dict[str, Any]]]]:
    data, shares = predictions.data, predictions.probabilities
    predicted, right = shares.argmax(axis=1), shares[np.arange(len(data)), data.labels]
    part, name = predictions.parts == shown, PART_NAMES[shown]

    def lowest(values: np.ndarray, among: np.ndarray) -> list[tuple[str, str]]:
        rows = np.flatnonzero(among)
        rows = rows[np.argsort(values[rows], kind="stable")][:count]
        return [card(Suspicion(i, float(right[i]), int(predicted[i]))) for i in rows.tolist()]

    def card(item: Suspicion) -> tuple[str, str]:
        label = data.labels[item.image]
        other = "" if item.suggested == label else f"; rather {data.names[item.suggested]}"
        part_name = PART_NAMES[predictions.parts[item.image]]
        text = f"{data.names[label]}: {item.quality:.1%}{other} ({part_name})"
        return data.paths[item.image], text

    judged = (
        "Judged by models that did not learn the image's own label. All of them are on the page "
        "suspects.html beside this one, to decide on; then train again."
    )
    mistakes = f"Images of the {name} part whose given category seemed least probable."
    wrong, unsure = part & (predicted != data.labels), shares.max(axis=1)
    rows = [
        ("Labels that may be wrong", judged, map(card, suspicions[:count])),
        ("The clearest mistakes", mistakes, lowest(right, wrong)),
        ("What it is least sure of", "More images like these teach it most.", lowest(unsure, part)),
    ]
    return image_rows(data.directory, rows)
