"""report.html of an aesthetic model: how good it is, in figures and in pictures."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from src.aesthetic.evaluate import Results
from src.reports import spotlight
from src.reports.html import write_page
from src.reports.plots import BLUE, GREY, ORANGE, plot
from src.reports.thumbnails import image_rows
from src.text import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REPORT = "report.html"


def browse(results: Results, features: np.ndarray) -> None:
    """Show the same images in the Spotlight browser; returns when its page is closed."""
    spotlight.show(
        [results.directory / path for path in results.paths],
        {
            "path": list(results.paths),
            "given": results.given,
            "predicted": results.predicted,
            "surprise": results.given - results.predicted,
            "split": np.where(results.test, "test", "train").tolist(),
        },
        label="given",
        prediction="predicted",
        embedding=features,
    )


def write_report(path: Path, results: Results, *, images: int = 12) -> None:
    """Write the page, with `images` thumbnails in each row."""
    write_page(
        path,
        "aesthetic.html",
        title="Your aesthetic model",
        subtitle=f"{counted(len(results.paths), 'image')} in {results.directory}"
        + (f", {new:,} of them not seen in training" if (new := int(results.test.sum())) else ""),
        headline=_headline(results.metrics["test"]),
        summary=results.notes,
        metrics=results.metrics,
        plots=_plots(results),
        galleries=_galleries(results, images),
        provenance=results.provenance,
    )


def _headline(test: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    if "choice_accuracy" in test:
        return _choices(test)
    if test["ab"] is None:
        return [("not measured", "–", "no test images with different scores")]
    interval = _interval(test["ab_interval"]) if test.get("ab_interval") else ""
    rank = "–" if test["spearman"] is None else f"{test['spearman']:.2f}"
    return [
        ("of pairs of test images ordered as you do", f"{test['ab']:.1%}", interval),
        ("rank correlation on test images", rank, "1 is perfect, 0 is chance"),
        ("test images", f"{test['n']:,}", "never seen in training"),
    ]


def _choices(test: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    shown = []
    for name, kind in (("random", "random pairs"), ("picked", "pairs picked to be hard")):
        if part := test[f"{name}_pairs"]:
            what = f"of {counted(part['trials'], 'choice')} between {kind} predicted"
            shown.append((what, f"{part['value']:.1%}", _interval(part["interval"])))
    return shown or [("not measured", "–", "no choices between images that it has not seen")]


def _interval(interval: Sequence[float]) -> str:
    return f"95% interval {interval[0]:.1%} to {interval[1]:.1%}"


def _plots(results: Results) -> list[tuple[str, Markup, str]]:
    curve, history = results.metrics["learning_curve"], results.history
    pictures = [
        (
            "Does it score as you do?",
            plot(lambda axes: _scatter(axes, results)),
            "Each dot is an image, scored by a model that was not trained on it where the head "
            "allows. The nearer the dots are to the line, the better.",
        )
    ]
    if len(curve) > 1:
        note = (
            "Trained on some of the training images and measured on others; bars: one standard "
            "error."
        )
        pictures.append(
            ("Would more ratings help?", plot(lambda axes: _learning(axes, curve)), note)
        )
    if len(history) > 1:
        note = (
            "Where the test line turns down while the training line still rises, the model learns "
            "its images by heart: train for fewer epochs, or rate more images."
        )
        pictures.append(("How training went", plot(lambda axes: _curve(axes, history)), note))
    return pictures


def _scatter(axes: "Axes", results: Results) -> None:
    for mask, colour, label in ((~results.test, GREY, "training"), (results.test, BLUE, "test")):
        given, predicted = results.given[mask], results.predicted[mask]
        look: dict[str, Any] = {"s": 9, "alpha": 0.6, "linewidths": 0}
        many = len(results.paths) > 3000
        axes.scatter(given, predicted, color=colour, label=label, rasterized=many, **look)
    ends = [float(results.given.min()), float(results.given.max())]
    axes.plot(ends, ends, color=ORANGE, linewidth=1)
    axes.set(xlabel="your score", ylabel="its score")
    axes.legend(markerscale=2)


def _learning(axes: "Axes", curve: Sequence[Mapping[str, Any]]) -> None:
    images = [point["images"] for point in curve]
    accuracies, errors = ([100 * point[name] for point in curve] for name in ("ab", "error"))
    axes.errorbar(images, accuracies, errors, marker="o", color=BLUE, capsize=3)
    axes.set(xlabel="rated images trained on", ylabel="pairs ordered right, %")
    axes.set_xscale("log")
    axes.set_xticks(images, [f"{number:,}" for number in images])
    axes.minorticks_off()


def _curve(axes: "Axes", history: Sequence[Mapping[str, float]]) -> None:
    for key, colour, label in (("train_ab", GREY, "training"), ("test_ab", BLUE, "test")):
        points = [(row["epoch"], 100 * row[key]) for row in history if row.get(key) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, label=label, marker=".")
    axes.set(xlabel="epoch", ylabel="pairs ordered right, %")
    axes.legend()


def _galleries(results: Results, count: int) -> list[tuple[str, str, list[dict[str, Any]]]]:
    order = np.argsort(-results.predicted, kind="stable")
    surprise = results.given - results.predicted
    by_surprise = np.argsort(-surprise, kind="stable")
    liked = [row for row in by_surprise[:count] if surprise[row] > 0]
    disliked = [row for row in by_surprise[::-1][:count] if surprise[row] < 0]

    def caption(row: int) -> str:
        test = ", test" if results.test[row] else ""
        return f"predicted {results.predicted[row]:.2f}, given {results.given[row]:.2f}{test}"

    def captioned(rows: Iterable[int]) -> list[tuple[str, str]]:
        return [(results.paths[row], caption(row)) for row in rows]

    surprising = (
        "The largest differences: slips of the finger, or something that the model cannot see yet."
    )
    return image_rows(
        results.directory,
        [
            ("Best", "The highest scores the model gives.", captioned(order[:count])),
            ("Worst", "The lowest.", captioned(order[::-1][:count])),
            ("You like them more than the model does", surprising, captioned(liked)),
            ("The model likes them more than you do", "", captioned(disliked)),
        ],
    )
