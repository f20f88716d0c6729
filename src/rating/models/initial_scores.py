"""A model's predictions made into starting scores for images that nobody has rated yet."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

DEFAULT_DEVIATION = 0.5


def rescale(
    predictions: Mapping[str, float], existing: Mapping[str, float], unrated: Collection[str]
) -> dict[str, float]:
    """Scores for the unrated images, on the scale of the existing ones.

    All predictions are shifted to mean zero; those of unrated images go through tanh, which
    squashes extremes, and are scaled to the standard deviation of the existing scores.

    Args:
        predictions: relative path → what the model gives, for all images, rated ones included.
        existing: relative path → score from a person's choices; where there are fewer than two,
            or all are equal, their standard deviation is taken as 0.5.
        unrated: the images to fill; those without a prediction are left out.

    Returns:
        relative path → score, for unrated images only.

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
