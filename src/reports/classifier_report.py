"""report.html of a classifier: how good it is, what it mixes up, which labels may be wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from src.reports.html import write_page
from src.reports.plots import BLUE, GREY, ORANGE, plot
from src.reports.thumbnails import thumbnails

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NUMBERED = 25  # classes up to which the confusion matrix shows numbers
_ENOUGH = 300  # test images from which the calibration error says something
_TABLED = 60  # and up to which it is a table as well


@dataclass(frozen=True)
class Results:
    """What the report shows.

    Attributes:
        directory: the image folder.
        paths: images, relative to it, (n).
        classes: names of the categories.
        labels: (n,) int.
        probabilities: (n, classes).
        part_names: "train", "validation" or "test" for each image.
        shown: the part that the matrix and the plots are of.
        metrics: as in metrics.json.
        matrix: counts of that part, a row for each true class, (classes, classes).
        reliability: bins with n, confidence and accuracy.
        suspicions: (image, suggested class, probability of its label), the worst first.
        history: what was logged in training.
        notes: sentences on the data.
        provenance: what the model was made with.
    """

    directory: Path
    paths: Sequence[str]
    classes: Sequence[str]
    labels: np.ndarray
    probabilities: np.ndarray
    part_names: Sequence[str]
    shown: str
    metrics: Mapping[str, Any]
    matrix: np.ndarray
    reliability: Sequence[Mapping[str, float]]
    suspicions: Sequence[tuple[int, int, float]]
    history: Sequence[Mapping[str, Any]]
    notes: Sequence[str]
    provenance: Mapping[str, Any]


def describe(metrics: Mapping[str, Any]) -> list[str]:
    """What the figures mean, and what would help, in sentences."""
    test = metrics["test"]
    if not test["n"]:
        return [
            "Nothing was kept back to test on, so nobody knows how good the model is on new "
            "images: set fraction_for_test to 0.25 to find out."
        ]
    sentences = [
        f"Of {test['n']} test images that training never saw, {test['accuracy']:.1%} were put "
        f"into the right category. Guessing by the sizes of the categories would give "
        f"{test['chance']:.1%}, always naming the largest {test['majority']:.1%}.",
        f"On average it gives the right category a probability of {test['mean_right']:.1%}.",
    ]
    if test["accuracy"] <= test["majority"]:
        sentences.append(
            "That is no better than always naming the largest category: the model has learnt "
            "nothing of use. Check that the folders hold what their names say."
        )
    if test["calibration_error"] > 0.1 and test["n"] >= _ENOUGH:
        sentences.append(
            f"Its probabilities are off by {test['calibration_error']:.0%} on average: trust the "
            "order they give more than their values."
        )
    weak = [row for row in test["per_class"] if row["recall"] is not None and row["recall"] < 0.5]
    if weak:
        names = ", ".join(row["name"] for row in weak[:5])
        sentences.append(
            f"It misses more than half of: {names}. More images of these would help most."
        )
    return sentences


def write_report(path: Path, results: Results, *, images: int = 12) -> None:
    """Write the page, with `images` thumbnails in each row.

    Raises:
        DataError: the file cannot be written.
    """
    parts = {name: results.metrics[name] for name in _parts(results)}
    write_page(
        path,
        "classifier.html",
        title="Your classifier",
        subtitle=f"{len(results.paths)} images in {len(results.classes)} categories of "
        f"{results.directory.resolve().name}",
        headline=_headline(results.metrics["test"]),
        summary=[*describe(results.metrics), *results.notes],
        parts=parts,
        per_class=results.metrics[results.shown]["per_class"],
        images_per_class=results.metrics["classes"],
        shown=results.shown,
        plots=_plots(results),
        matrix=_matrix_rows(results),
        classes=results.classes,
        galleries=_galleries(results, images),
        provenance=results.provenance,
    )


def _parts(results: Results) -> list[str]:
    names = ("train", "validation", "test", "all")
    return [name for name in names if results.metrics.get(name, {}).get("n")]


def _headline(test: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    if not test["n"]:
        return [("not measured", "–", "no test images")]
    low, high = test.get("accuracy_interval") or (None, None)
    interval = f"95 % interval {low:.1%} to {high:.1%}" if low is not None else ""
    return [
        ("of test images put into the right category", f"{test['accuracy']:.1%}", interval),
        ("by guessing", f"{test['chance']:.1%}", "chance level"),
        ("log-loss", f"{test['log_loss']:.3f}", "0 is perfect"),
        ("test images", f"{test['n']:,}", "never seen in training"),
    ]


def _plots(results: Results) -> list[tuple[str, Markup, str]]:
    side = min(max(3.4, 0.34 * len(results.classes) + 1.6), 9.0)
    pictures = [
        (
            "Confusion matrix",
            plot(lambda axes: _confusion(axes, results), width=max(side + 0.8, 5.2), height=side),
            f"Rows are the given categories, columns the predicted ones; {results.shown} images. "
            "The darker a field, the larger its share of the row.",
        ),
        (
            "Can its probabilities be trusted?",
            plot(lambda axes: _reliability(axes, results.reliability)),
            "Points below the line: the model is surer of itself than it should be. Larger points "
            "stand for more images.",
        ),
    ]
    if sum("eval_log_loss" in row for row in results.history) > 1:
        pictures.append(
            (
                "Training",
                plot(lambda axes: _curve(axes, results.history)),
                "The epoch with the lowest validation loss was kept.",
            )
        )
    return pictures


def _confusion(axes: "Axes", results: Results) -> None:
    totals = np.maximum(results.matrix.sum(axis=1, keepdims=True), 1)
    shares = results.matrix / totals
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    axes.grid(False)
    count = len(results.classes)
    axes.set(xlabel="predicted", ylabel="given")
    if count <= 2 * _NUMBERED:
        names = [name if len(name) < 18 else name[:16] + "…" for name in results.classes]
        axes.set_xticks(range(count), names, rotation=60, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(count), names)
    if count <= _NUMBERED:
        for row, column in np.argwhere(results.matrix > 0):
            axes.text(
                column,
                row,
                str(results.matrix[row, column]),
                ha="center",
                va="center",
                color="white" if shares[row, column] > 0.5 else "#1d2126",
            )


def _reliability(axes: "Axes", rows: Sequence[Mapping[str, float]]) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":")
    largest = max((row["n"] for row in rows), default=1)
    axes.scatter(
        [row["confidence"] for row in rows],
        [row["accuracy"] for row in rows],
        s=[15 + 140 * row["n"] / largest for row in rows],
        color=BLUE,
        alpha=0.75,
        linewidths=0,
    )
    axes.set(xlabel="probability it gives its answer", ylabel="share of right answers")
    axes.set_xlim(0, 1.03)
    axes.set_ylim(-0.03, 1.03)


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


def _matrix_rows(results: Results) -> list[tuple[str, list[int]]]:
    if len(results.classes) > _TABLED:
        return []
    return list(zip(results.classes, results.matrix.tolist(), strict=True))


def _galleries(results: Results, count: int) -> list[tuple[str, str, list[dict[str, Any]]]]:
    if not count:
        return []
    predicted = results.probabilities.argmax(axis=1)
    right = results.probabilities[np.arange(len(results.labels)), results.labels]
    sure = results.probabilities.max(axis=1)
    shown = np.array(results.part_names) == results.shown
    wrong = np.flatnonzero(shown & (predicted != results.labels))
    unsure = np.flatnonzero(shown)
    suspects = {index: (suggested, share) for index, suggested, share in results.suspicions}
    rows: list[tuple[str, str, list[int]]] = [
        (
            "Labels that are probably wrong",
            "Judged by models that did not learn the image's own label. Where the suggestion is "
            "right, move the image to that folder and train again. The whole list is in "
            "label_errors.csv.",
            list(suspects)[:count],
        ),
        (
            "The clearest mistakes",
            f"Images of the {results.shown} part whose given category seemed least probable.",
            wrong[np.argsort(right[wrong], kind="stable")].tolist()[:count],
        ),
        (
            "What it is least sure of",
            "More images like these teach it most.",
            unsure[np.argsort(sure[unsure], kind="stable")].tolist()[:count],
        ),
    ]
    wanted = sorted({index for _, _, indexes in rows for index in indexes})
    files = [results.directory / results.paths[index] for index in wanted]
    pictures = dict(zip(wanted, thumbnails(files), strict=True))
    galleries = []
    for heading, note, indexes in rows:
        suspected = heading == rows[0][0]
        cards = []
        for index in indexes:
            guess, share = int(predicted[index]), float(right[index])
            if suspected:
                guess, share = suspects[index]
            cards.append(
                {
                    "path": results.paths[index],
                    "thumbnail": pictures[index],
                    "given": results.classes[results.labels[index]],
                    "share": share,
                    "other": results.classes[guess] if guess != results.labels[index] else "",
                    "part": results.part_names[index],
                }
            )
        galleries.append((heading, note, cards))
    return galleries
