"""report.html of a model of kept and deleted images, and the page of suspected wrong labels."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.results import write_metrics
from src.aesthetic.train import Fitted
from src.errors import ModelError
from src.evaluation.binary_metrics import cut_table, evaluate_binary, reliability
from src.files import replacing
from src.reports.html import write_page
from src.reports.plots import BLUE, GREY, ORANGE, plot
from src.reports.thumbnails import thumbnails

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REPORT, SUSPECTS, SUSPECTS_TABLE = "report.html", "suspects.html", "suspects.csv"
SURPRISE = 0.4  # a label further than this from the probability is suspected to be wrong
_SHOWN = 500  # suspects on the page; the table has all


@dataclass(frozen=True)
class Results:
    """What the report shows; probabilities of training images come from fits without them.

    Attributes:
        paths: images, relative to the image folder, (n).
        labels: (n,) 1 for kept, 0 for deleted.
        probabilities: that the image is kept, (n,).
        test: which images were kept back, (n,) bool.
    """

    paths: Sequence[str]
    labels: np.ndarray
    probabilities: np.ndarray
    test: np.ndarray

    @property
    def surprise(self) -> np.ndarray:
        """How far each probability is from the label, (n,) 0 to 1."""
        return np.asarray(np.abs(self.probabilities - self.labels))

    def suspects(self) -> np.ndarray:
        """Indexes of images whose label may be wrong, the greatest surprise first."""
        order = np.argsort(-self.surprise, kind="stable")
        return np.asarray(order[self.surprise[order] > SURPRISE])


def publish(
    folder: Path, data: RatedFeatures, fitted: Fitted, *, bootstrap: int, images: int
) -> tuple[Results, str]:
    """Measure a model and write metrics.json, predictions.csv, report.html and the suspects.

    Args:
        folder: the model folder.
        data: the images it is measured on.
        fitted: the predictor and what is known of its training.
        bootstrap: unused; for the same signature as the report of scores.
        images: thumbnails in each row of the report; 0 for none, of suspects neither.

    Returns:
        What the report shows, and the figures as a table for the console.

    Raises:
        ModelError: the model gives no probabilities.
        DataError: a file cannot be written.
    """
    predictor = fitted.predictor
    scores = predictor.predict(data.features)
    if fitted.left_out is not None:
        scores[data.train] = fitted.left_out
    probabilities = predictor.probability(scores)
    if probabilities is None:
        raise ModelError(
            "the model gives no probabilities: train it with loss_model 'bce' on 20 images or more"
        )
    labels, notes = data.holder.scores, list(fitted.notes)
    metrics = {
        "train": evaluate_binary(labels[data.train], probabilities[data.train]),
        "test": evaluate_binary(labels[data.test], probabilities[data.test]),
        "all": evaluate_binary(labels, probabilities),
    }
    shown_of = np.ones(len(labels), dtype=bool)
    if fitted.left_out is None:
        notes.append(
            "The model was only measured, not trained: it may know the training images by heart, "
            "so that cuts, plots and suspected labels are those of the test images."
        )
        shown_of = data.test if data.test.any() else shown_of
    results = Results(
        [path for path, shown in zip(data.holder.paths, shown_of, strict=True) if shown],
        labels[shown_of],
        probabilities[shown_of],
        data.test[shown_of],
    )
    labels, probabilities = results.labels, results.probabilities
    cuts = cut_table(labels, probabilities)
    write_metrics(folder, metrics, {"head": predictor.head.kind, "cuts": cuts})
    _write_table(folder / "predictions.csv", results, np.argsort(probabilities, kind="stable"))
    suspects = results.suspects()
    _write_table(folder / SUSPECTS_TABLE, results, suspects)
    shown = suspects[: _SHOWN if images else 0]
    directory = data.holder.directory
    entries = _entries(directory, results, shown)
    write_page(
        folder / SUSPECTS,
        "suspects.html",
        title="Labels to look at again",
        total=len(suspects),
        content={"directory": str(directory), "images": entries},
    )
    write_page(
        folder / REPORT,
        "keep_delete.html",
        title="Your model of keep and delete",
        subtitle=f"{metrics['all']['n']:,} images of {directory.resolve().name}: "
        f"{metrics['all']['kept']:,} kept, {metrics['all']['deleted']:,} deleted; "
        f"{int(data.test.sum()):,} of them held back for testing",
        metrics=metrics,
        cuts=cuts,
        notes=notes,
        plots=_plots(results, results.test if results.test.any() else ~results.test),
        suspects=len(suspects),
        suspects_page=SUSPECTS,
        rows=_rows(directory, results, images),
        provenance=predictor.provenance,
    )
    return results, summary(metrics, cuts, len(suspects))


def summary(
    metrics: dict[str, dict[str, Any]], cuts: Sequence[dict[str, Any]], suspects: int
) -> str:
    """The figures and the cuts as tables for the console."""
    names = ("auc", "average_precision", "precision", "recall", "precision_delete", "recall_delete")
    heads = ("AUC", "avg prec", "keep prec", "recall", "delete prec", "recall")
    lines = [f"{'':8}{'n':>7}" + "".join(f"{head:>13}" for head in heads)]
    for part, m in metrics.items():
        cells = "".join(
            f"{'–' if m[name] is None else format(m[name], '.3f'):>13}" for name in names
        )
        lines.append(f"{part:8}{m['n']:>7}{cells}")
    lines += ["", "If everything below a probability of keeping were deleted:"]
    lines += [
        f"  below {row['cut']:4.0%}: {row['n']:6,} images, {row['right']:,} rightly"
        f" ({row['share']:.1%}), {row['lost']:,} kept ones; {row['found']:.0%} of the delete pile"
        for row in cuts
        if row["n"]
    ]
    lines.append(f"{suspects:,} labels look wrong: {SUSPECTS} in the model folder shows them")
    return "\n".join(lines)


def _write_table(path: Path, results: Results, order: np.ndarray) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("relative_path", "label", "probability", "surprise", "split"))
        for i in order:
            writer.writerow(
                (
                    results.paths[i],
                    int(results.labels[i]),
                    f"{results.probabilities[i]:.6f}",
                    f"{results.surprise[i]:.6f}",
                    "test" if results.test[i] else "train",
                )
            )


def _entries(directory: Path, results: Results, chosen: np.ndarray) -> list[dict[str, Any]]:
    pictures = thumbnails([directory / results.paths[i] for i in chosen])
    return [
        {
            "path": results.paths[i],
            "label": int(results.labels[i]),
            "probability": round(float(results.probabilities[i]), 4),
            "thumbnail": picture,
        }
        for i, picture in zip(chosen, pictures, strict=True)
    ]


def _rows(directory: Path, results: Results, count: int) -> list[tuple[str, str, Any]]:
    order = np.argsort(results.probabilities, kind="stable")
    middle = np.argsort(np.abs(results.probabilities - 0.5), kind="stable")
    rows = (
        ("Most likely to be deleted", "The lowest probabilities of keeping.", order[:count]),
        ("Most likely to be kept", "The highest.", order[::-1][:count]),
        ("Undecided", "Near one half: labels of images like these teach it most.", middle[:count]),
    )
    return [
        (heading, note, _entries(directory, results, chosen))
        for heading, note, chosen in rows
        if len(chosen)
    ]


def _plots(results: Results, measured: np.ndarray) -> list[tuple[str, Markup, str]]:
    labels, probabilities = results.labels[measured], results.probabilities[measured]
    return [
        (
            "Can the probabilities be trusted?",
            plot(lambda axes: _reliability(axes, results)),
            "Of images given 70 %, 70 % should have been kept: points on the line. Each image "
            "is judged by a model that was not trained on it.",
        ),
        (
            "Kept and deleted",
            plot(lambda axes: _overlap(axes, labels, probabilities)),
            "The less the two overlap, the better. Test images.",
        ),
        (
            "Deleting more",
            plot(lambda axes: _trade(axes, results)),
            "From left to right more images fall below the cut: how many of the delete pile are "
            "found, and how many of those below the cut belong there.",
        ),
    ]


def _reliability(axes: "Axes", results: Results) -> None:
    bins = reliability(results.labels, results.probabilities)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    axes.plot([b["probability"] for b in bins], [b["kept"] for b in bins], marker="o", color=BLUE)
    axes.set(xlabel="probability of keeping", ylabel="share that was kept")


def _overlap(axes: "Axes", labels: np.ndarray, probabilities: np.ndarray) -> None:
    for label, name, colour in ((0, "deleted", ORANGE), (1, "kept", BLUE)):
        axes.hist(
            probabilities[labels == label], bins=[n / 20 for n in range(21)], alpha=0.6, label=name,
            color=colour,
        )  # fmt: skip
    axes.set(xlabel="probability of keeping", ylabel="images")
    axes.legend()


def _trade(axes: "Axes", results: Results) -> None:
    order = np.argsort(results.probabilities, kind="stable")
    deleted = np.cumsum(results.labels[order] == 0)
    if not deleted[-1]:
        return
    axes.plot(deleted / deleted[-1], deleted / np.arange(1, len(order) + 1), color=BLUE)
    axes.set(xlabel="share of the delete pile found", ylabel="share of those that belong there")
    axes.set_ylim(0, 1.02)
