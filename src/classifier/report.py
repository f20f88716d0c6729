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
from src.reports.plots import BLUE, GREY, ORANGE, TEXT, in_percent, plot
from src.reports.thumbnails import image_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NUMBERED = 25  # classes up to which the confusion matrix shows numbers
_TABLED = 60  # and up to which it is a table as well


def write_report(
    path: Path,
    predictions: Predictions,
    metrics: Mapping[str, Any],
    matrix: np.ndarray,
    suspicions: Sequence[Suspicion],
    *,
    shown: int,
    images: int,
) -> None:
    """Write the page; the matrix (a row for each true class) and the plots are of the part shown.

    Suspicions come the worst first; each row of thumbnails has so many images.
    """
    data, part = predictions.data, PART_NAMES[shown]
    rows = zip(data.names, matrix.tolist(), strict=True)
    write_page(
        path,
        "classifier.html",
        title="Your classifier",
        subtitle=f"{len(data)} images in {len(data.names)} categories of "
        f"{data.directory.resolve().name}",
        headline=_headline(metrics),
        summary=[*classification_verdicts(metrics), *data.notes],
        parts={
            name: metrics[name] for name in (*PART_NAMES, "all") if metrics.get(name, {}).get("n")
        },
        per_class=metrics[part]["per_class"],
        images_per_class=metrics["classes"],
        shown=part,
        plots=_plots(predictions, matrix, shown),
        matrix=list(rows) if len(data.names) <= _TABLED else [],
        classes=data.names,
        galleries=_galleries(predictions, suspicions, shown, images) if images else [],
        provenance=predictions.provenance,
    )


def _headline(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    test = metrics["test"]
    seen = "perhaps" if metrics["unknown_training_images"] else "never"
    if not test["n"]:
        return [("not measured", "–", "no test images")]
    low, high = test["accuracy_interval"]
    interval = f"95% interval {low:.1%} to {high:.1%}"
    return [
        ("of test images put into the right category", f"{test['accuracy']:.1%}", interval),
        ("by guessing", f"{test['chance']:.1%}", "chance level"),
        ("log-loss", f"{test['log_loss']:.3f}", "0 is perfect"),
        ("test images", f"{test['n']:,}", f"{seen} seen in training"),
    ]


def _plots(
    predictions: Predictions, matrix: np.ndarray, shown: int
) -> list[tuple[str, Markup, str]]:
    names, history = predictions.data.names, predictions.history
    chosen = predictions.parts == shown
    bins = reliability(predictions.data.labels[chosen], predictions.probabilities[chosen])
    side = min(max(3.7, 0.4 * len(names) + 2), 11)
    confusion = plot(
        lambda axes: _confusion(axes, matrix, names), width=max(side + 0.8, 5.6), height=side
    )
    pictures = [
        (
            "What does it take for what?",
            confusion,
            f"The confusion matrix of the {PART_NAMES[shown]} images: rows are the given "
            "categories, columns the predicted ones. The stronger a colour, the larger its share "
            "of the row.",
        ),
        (
            "Can its probabilities be trusted?",
            plot(lambda axes: _reliability(axes, bins)),
            "Points below the line: the model is surer of itself than it should be. Larger points "
            "stand for more images.",
        ),
    ]
    if sum("eval_log_loss" in row for row in history) > 1:
        curve = plot(lambda axes: _curve(axes, history))
        pictures.append(
            ("How training went", curve, "The epoch with the lowest validation loss was kept.")
        )
    return pictures


def _confusion(axes: "Axes", matrix: np.ndarray, classes: Sequence[str]) -> None:
    from matplotlib.colors import ListedColormap

    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    one_colour = ListedColormap([BLUE])
    axes.imshow(np.zeros(shares.shape), one_colour, alpha=0.7 * shares, interpolation="nearest")
    axes.grid(False)
    count = len(classes)
    axes.set(xlabel="predicted", ylabel="given")
    if count <= 2 * _NUMBERED:
        names = [name if len(name) < 18 else name[:16] + "…" for name in classes]
        axes.set_xticks(range(count), names, rotation=60, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(count), names)
    if count <= _NUMBERED:
        for row, column in np.argwhere(matrix > 0):
            number = str(matrix[row, column])
            axes.text(column, row, number, ha="center", va="center", color=TEXT)


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
    part = predictions.parts == shown

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

    rows = [
        (
            "Labels that may be wrong",
            "Judged by models that did not learn the image's own label. All of them are on the "
            "page suspects.html beside this one, to decide on; then train again.",
            map(card, suspicions[:count]),
        ),
        (
            "The clearest mistakes",
            f"Images of the {PART_NAMES[shown]} part whose given category seemed least probable.",
            lowest(right, part & (predicted != data.labels)),
        ),
        (
            "What it is least sure of",
            "More images like these teach it most.",
            lowest(shares.max(axis=1), part),
        ),
    ]
    return image_rows(data.directory, rows)
