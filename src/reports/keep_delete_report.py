"""report.html of a model of kept and deleted images, and the page of suspected wrong labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.aesthetic.evaluate import Results
from src.dataset.suspected_labels import PAGE
from src.evaluation.binary_metrics import reliability
from src.reports.html import write_page
from src.reports.plots import BLUE, GREY, in_percent, plot
from src.reports.suspects import write_suspects
from src.reports.thumbnails import image_rows
from src.text import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REPORT = "report.html"
_CALIBRATION = (
    "Of the images that get 70%, you should have kept 70%: then the points lie on the line. Each "
    "image is judged by a model that was not trained on it."
)


def write_report(path: Path, results: Results, *, images: int = 12) -> None:
    """Write the page, with `images` thumbnails in each row, and the suspects' page beside it.

    With no images there is no page of suspects either.
    """
    metrics = results.metrics
    if images:
        write_suspects(path.with_name(PAGE), results.directory, results.suspects or [])
    calibration = plot(lambda axes: _reliability(axes, results))
    write_page(
        path,
        "keep_delete.html",
        title="What you keep and delete",
        subtitle=f"{counted(metrics['all']['n'], 'image')} of {results.directory.resolve().name}: "
        f"{metrics['all']['kept']:,} kept, {metrics['all']['deleted']:,} deleted; "
        f"{metrics['test']['n']:,} of them not seen in training",
        metrics=metrics,
        notes=results.notes,
        suspected=results.suspected,
        suspects_page=PAGE,
        plots=[("Can the probabilities be trusted?", calibration, _CALIBRATION)],
        galleries=_galleries(results, images),
        provenance=results.provenance,
    )


def _galleries(results: Results, count: int) -> list[tuple[str, str, Any]]:
    order = np.argsort(results.predicted, kind="stable")
    middle = np.argsort(np.abs(results.predicted - 0.5), kind="stable")

    def captioned(rows: np.ndarray) -> list[tuple[str, str]]:
        did = ["kept" if label else "deleted" for label in results.given]
        return [
            (results.paths[row], f"{100 * results.predicted[row]:.1f}%, you {did[row]} it")
            for row in rows[:count]
        ]

    least, most, unsure = captioned(order), captioned(order[::-1]), captioned(middle)
    rows = [
        ("Most likely to be deleted", "The lowest probabilities of keeping.", least),
        ("Most likely to be kept", "The highest.", most),
        (
            "Undecided",
            "Probabilities near 50%: labelling images like these teaches it most.",
            unsure,
        ),
    ]
    return image_rows(results.directory, rows)


def _reliability(axes: "Axes", results: Results) -> None:
    bins = reliability(results.given, results.predicted)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    axes.plot([b["probability"] for b in bins], [b["kept"] for b in bins], marker="o", color=BLUE)
    axes.set(xlabel="probability of keeping", ylabel="share that you kept")
    in_percent(axes)
