"""Measuring a predictor on training, test and all images, and writing the figures down."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from src.aesthetic.heads.base import FloatArray
from src.aesthetic.predictor import Predictor
from src.aesthetic.rated_features import RatedFeatures
from src.evaluation.rank_metrics import evaluate
from src.files import replacing, write_text

Metrics = dict[str, dict[str, Any]]


def measure(
    given: FloatArray, predicted: FloatArray, test: np.ndarray, *, bootstrap: int, seed: int = 0
) -> Metrics:
    """Figures of the parts "train", "test" and "all"; intervals for the test part.

    Args:
        given: scores with mean 0 and deviation 1 over the training images, (n,).
        predicted: the model's scores, (n,).
        test: which images were kept back, (n,) bool.
        bootstrap: resamples behind the 95 % intervals; 0 for none.
        seed: of the resamples.
    """
    return {
        "train": evaluate(given[~test], predicted[~test]),
        "test": evaluate(given[test], predicted[test], bootstrap=bootstrap, seed=seed),
        "all": evaluate(given, predicted),
    }


def write_metrics(folder: Path, metrics: Metrics, more: Mapping[str, Any]) -> None:
    """Write `metrics.json`: the three parts, then further entries.

    Raises:
        DataError: the file cannot be written.
    """
    write_text(
        folder / "metrics.json", json.dumps(metrics | dict(more), indent=2, ensure_ascii=False)
    )


def write_predictions(
    folder: Path,
    data: RatedFeatures,
    predictor: Predictor,
    predicted: FloatArray,
    unseen: FloatArray,
) -> None:
    """Write `predictions.csv`, the highest scores first.

    Columns: relative_path, given (as in the score file, scaled to mean 0 and deviation 1 over the
    training images), predicted, unseen (scored by a fit without the image, where the head was
    cross-validated), uncertainty (standard deviation, where the model knows it), split.

    Raises:
        DataError: the file cannot be written.
    """
    uncertainty = predictor.predict_std(data.features)
    given = data.scaled_scores()
    rows: list[Sequence[str]] = [
        (
            data.holder.paths[i],
            f"{given[i]:.6f}",
            f"{predicted[i]:.6f}",
            f"{unseen[i]:.6f}",
            "" if uncertainty is None else f"{uncertainty[i]:.6f}",
            "test" if data.test[i] else "train",
        )
        for i in np.argsort(-predicted, kind="stable")
    ]
    with (
        replacing(folder / "predictions.csv") as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(("relative_path", "given", "predicted", "unseen", "uncertainty", "split"))
        writer.writerows(rows)


def summary(metrics: Metrics) -> str:
    """The figures as a small table for the console."""
    lines = [f"{'':8}{'n':>7}{'AB':>9}{'95 % interval':>18}{'Spearman':>10}{'rmse':>8}"]
    for part, m in metrics.items():
        interval = m.get("ab_interval")
        shown = f"{interval[0]:.1%} … {interval[1]:.1%}" if interval else ""
        lines.append(
            f"{part:8}{m['n']:>7}{_shown(m['ab'], '.1%'):>9}{shown:>18}"
            f"{_shown(m['spearman'], '.3f'):>10}{_shown(m['rmse'], '.3f'):>8}"
        )
    return "\n".join(lines)


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
