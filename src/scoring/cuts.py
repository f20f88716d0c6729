"""Cutting scores into steps: stars, folders."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from src.errors import DataError
from src.scoring.scored import Scored

CutBy = Literal["quantile", "score", "percentile", "probability"]


def steps(scored: Scored, cuts: Sequence[float], by: CutBy) -> np.ndarray:
    """The step of each image, 0 for the lowest to len(cuts) for the highest, (n,) int.

    Args:
        scored: the images.
        cuts: rising; an image at a cut or above belongs to the step above it.
        by: what the cuts are in. "quantile": the share of these images that score lower, 0 to 1;
            "score"; "percentile": among the training images, 0 to 100; "probability": to be kept.

    Raises:
        DataError: the model gives no such values.
    """
    if by == "quantile":
        values: np.ndarray | None = quantiles(scored.scores)
    else:
        values = {
            "score": scored.scores,
            "percentile": scored.percentiles,
            "probability": scored.probabilities,
        }[by]
    if values is None:
        reason = (
            "only models trained with loss_model 'bce' give probabilities"
            if by == "probability"
            else "it does not know the scores of its training images"
        )
        raise DataError(f"the model gives no {by} ({reason}): set cut_by to 'quantile'")
    return np.searchsorted(np.asarray(cuts, dtype=np.float64), values, side="right")


def quantiles(scores: np.ndarray) -> np.ndarray:
    """The share of the images that score lower, (n,); images of the same score share it."""
    ordered = np.sort(scores)
    return np.searchsorted(ordered, scores, side="left") / max(len(scores), 1)
