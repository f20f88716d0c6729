"""From a score to the probability that a person keeps the image."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.heads.base import FloatArray, take_value
from src.errors import ModelError


@dataclass(frozen=True)
class Calibration:
    """p(keep) = 1 / (1 + exp(-(slope * score + offset))).

    Platt, "Probabilistic outputs for support vector machines", 1999.
    """

    slope: float
    offset: float

    def __call__(self, scores: ArrayLike) -> FloatArray:
        """Probabilities (n,) of scores (n,)."""
        logits = self.slope * np.asarray(scores, dtype=np.float64) + self.offset
        return 0.5 * (1 + np.tanh(0.5 * logits))  # the logistic function, without overflow

    @classmethod
    def fit(cls, scores: ArrayLike, kept: ArrayLike, *, weights: ArrayLike | None = None) -> Self:
        """Maximum likelihood on scores of images that the head was not trained on.

        The labels are drawn in a little, as Platt proposes, so that separable data does not end
        at certainty: (n₊ + 1)/(n₊ + 2) instead of 1 and 1/(n₋ + 2) instead of 0. Newton's method
        with halved steps: Lin, Lin and Weng, "A note on Platt's probabilistic outputs", 2007.

        A higher score never has a lower probability.

        Args:
            scores: (n,).
            kept: (n,) 1 or 0.
            weights: (n,) how much each image counts; None for equally.

        Raises:
            ModelError: one of the classes is missing.
        """
        x, label = np.asarray(scores, np.float64), np.asarray(kept) > 0.5
        w = np.ones(len(x)) if weights is None else np.asarray(weights, np.float64)
        positive, negative = float(w[label].sum()), float(w[~label].sum())
        if not positive or not negative:
            raise ModelError("probabilities need images of both kinds: add some of the other")
        target = np.where(label, (positive + 1) / (positive + 2), 1 / (negative + 2))
        # Standardised scores keep Newton's equations well conditioned.
        centre, scale = float(x.mean()), float(x.std()) or 1.0
        design = np.stack([(x - centre) / scale, np.ones(len(x))])
        theta = np.array([0.0, np.log((positive + 1) / (negative + 1))])

        def loss(theta: FloatArray) -> float:
            logits = theta @ design
            return float(w @ (np.logaddexp(0, logits) - target * logits))

        for _ in range(100):
            p = 0.5 * (1 + np.tanh(0.5 * (theta @ design)))
            slope = design @ (w * (p - target))
            curvature = (design * (w * p * (1 - p))) @ design.T + 1e-12 * np.eye(2)
            step, size, here = np.linalg.solve(curvature, slope), 1.0, loss(theta)
            while loss(theta - size * step) > here and size > 1e-10:
                size /= 2
            theta = theta - size * step
            if np.abs(slope).max() < 1e-9 * w.sum():
                break
        if theta[0] < 0:  # worse than chance: the same probability for all, not the wrong order
            share = float(np.average(target, weights=w))
            return cls(0.0, float(np.log(share / (1 - share))))
        slope_ = float(theta[0] / scale)
        return cls(slope_, float(theta[1] - slope_ * centre))

    def to_json(self) -> dict[str, float]:
        """JSON values for `from_json`."""
        return {"slope": self.slope, "offset": self.offset}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises:
            ModelError: a number is missing or not finite.
        """
        calibration = cls(take_value(entry, "slope", float), take_value(entry, "offset", float))
        if not np.isfinite([calibration.slope, calibration.offset]).all():
            raise ModelError("the calibration of the model file is impossible: it is damaged")
        return calibration
