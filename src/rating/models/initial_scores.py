"""Scores that images have before any choice: of an old score file, or a model's predictions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from src.rating.models.comparison_graph import Floats

DEFAULT_DEVIATION = 0.5


@dataclass(frozen=True)
class InitialScores:
    """Scores of n images before any choice, logits; 0 where there is none."""

    old: Floats  # from a score file without choices
    old_comparisons: Floats  # how many comparisons stand behind each of them
    model: Floats


def rescale(
    predictions: Mapping[str, float], existing: Mapping[str, float], unrated: Collection[str]
) -> dict[str, float]:
    """Scores for the unrated images, on the scale of the existing ones.

    All predictions are shifted to mean zero; those of unrated images go through tanh, which
    squashes extremes, and are scaled to the standard deviation of the existing scores.

    Args:
        predictions: relative path → what the model gives, for all images, rated ones included.
        existing: relative path → score from a person's choices.
        unrated: the images to fill; those without a prediction are left out.

    Raises:
        ValueError: a prediction is not finite.
    """
    values = np.array(list(predictions.values()), dtype=float)
    if not np.isfinite(values).all():
        raise ValueError("a prediction is not finite")
    wanted = set(unrated)
    fill = [path for path in predictions if path in wanted]
    if not fill:
        return {}
    mean = values.mean()
    squashed = np.tanh(np.array([predictions[path] for path in fill]) - mean)
    spread = float(squashed.std())
    if spread < 1e-12:  # one new image, or several alike: measured by all images
        spread = float(np.tanh(values - mean).std())
    factor = existing_deviation(existing) / spread if spread >= 1e-12 else 0.0
    return dict(zip(fill, (squashed * factor).tolist(), strict=True))


def existing_deviation(existing: Mapping[str, float]) -> float:
    """Standard deviation of the existing scores, 0.5 where they have none."""
    values = np.array(list(existing.values()), dtype=float)
    deviation = float(values.std()) if len(values) >= 2 else 0.0
    return deviation if deviation > 1e-12 else DEFAULT_DEVIATION
