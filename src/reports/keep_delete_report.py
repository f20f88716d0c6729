"""report.html of a model of kept and deleted images, and the page of suspected wrong labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from src.aesthetic.evaluate import Results
from src.dataset.suspected_labels import PAGE
from src.evaluation.binary_metrics import reliability
from src.reports.html import write_page
from src.reports.plots import BLUE, GREY, ORANGE, plot
from src.reports.suspects import write_suspects
from src.reports.thumbnails import image_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REPORT = "report.html"


def write_report(path: Path, results: Results, *, images: int = 12) -> None:
    """Write the page, with `images` thumbnails in each row, and the suspects' page beside it.

    With no images there is no page of suspects either.
    """
    metrics = results.metrics
    if images:
        write_suspects(path.with_name(PAGE), results.directory, results.suspects or [])
    write_page(
        path,
        "keep_delete.html",
        title="What you keep and delete",
        subtitle=f"{metrics['all']['n']:,} images of {results.directory.resolve().name}: "
        f"{metrics['all']['kept']:,} kept, {metrics['all']['deleted']:,} deleted; "
        f"{metrics['test']['n']:,} of them not seen in training",
        metrics=metrics,
        notes=results.notes,
        suspected=results.suspected,
        suspects_page=PAGE,
        plots=_plots(results, results.test if results.test.any() else ~results.test),
        galleries=_galleries(results, images),
        provenance=results.provenance,
    )


def _galleries(results: Results, count: int) -> list[tuple[str, str, Any]]:
    order = np.argsort(results.predicted, kind="stable")
    middle = np.argsort(np.abs(results.predicted - 0.5), kind="stable")

    def captioned(rows: np.ndarray) -> list[tuple[str, str]]:
        return [
            (
                results.paths[row],
                f"{100 * results.predicted[row]:.1f}%, you "
                f"{'kept' if results.given[row] else 'deleted'} it",
            )
            for row in rows[:count]
        ]

    undecided = "Probabilities near 50%: labelling images like these teaches it most."
    return image_rows(
        results.directory,
        [
            (
                "Most likely to be deleted",
                "The lowest probabilities of keeping.",
                captioned(order),
            ),
            ("Most likely to be kept", "The highest.", captioned(order[::-1])),
            ("Undecided", undecided, captioned(middle)),
        ],
    )


def _plots(results: Results, measured: np.ndarray) -> list[tuple[str, Markup, str]]:
    labels, probabilities = results.given[measured], results.predicted[measured]
    return [
        (
            "Can the probabilities be trusted?",
            plot(lambda axes: _reliability(axes, results)),
            "Of images given 70%, 70% should have been kept: points on the line. Each image "
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
    bins = reliability(results.given, results.predicted)
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
    order = np.argsort(results.predicted, kind="stable")
    deleted = np.cumsum(results.given[order] == 0)
    if not deleted[-1]:
        return
    axes.plot(deleted / deleted[-1], deleted / np.arange(1, len(order) + 1), color=BLUE)
    axes.set(xlabel="share of the delete pile found", ylabel="share of those that belong there")
    axes.set_ylim(0, 1.02)
