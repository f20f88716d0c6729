"""From a score to the probability that a person keeps the image."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.heads.base import FloatArray, take_number
from src.errors import ModelError


@dataclass(frozen=True)
class Calibration:
    """p(keep) = 1 / (1 + exp(-(slope * score + offset))).

    Platt, "Probabilistic outputs for support vector machines", 1999.
    """

    slope: float
    offset: float

    def __call__(self, scores: ArrayLike) -> FloatArray:
        logits = self.slope * np.asarray(scores, dtype=np.float64) + self.offset
        return 0.5 * (1 + np.tanh(0.5 * logits))  # the logistic function, without overflow

    @classmethod
    def fit(cls, scores: ArrayLike, kept: ArrayLike, *, weights: ArrayLike | None = None) -> Self:
        """Maximum likelihood on scores (n,) of images that the head was not trained on.

        The labels are drawn in a little, as Platt proposes, so that separable data does not end
        at certainty: (n₊ + 1)/(n₊ + 2) instead of 1 and 1/(n₋ + 2) instead of 0. To scikit-learn
        each image is both kept and deleted, with these weights. A higher score never has a lower
        probability.
        """
        from sklearn.linear_model import LogisticRegression

        x, label = np.asarray(scores, np.float64), np.asarray(kept) > 0.5
        w = np.ones(len(x)) if weights is None else np.asarray(weights, np.float64)
        positive, negative = float(w[label].sum()), float(w[~label].sum())
        if not positive or not negative:
            raise ModelError(
                "probabilities need kept and deleted images: add some of the kind that is missing"
            )
        target = np.where(label, (positive + 1) / (positive + 2), 1 / (negative + 2))
        centre, scale = float(x.mean()), float(x.std()) or 1.0
        model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-9).fit(
            np.tile((x - centre) / scale, 2)[:, None],
            np.repeat([1, 0], len(x)),
            np.concatenate([w * target, w * (1 - target)]),
        )
        slope, offset = float(model.coef_[0, 0]) / scale, float(model.intercept_[0])
        if slope < 0:  # worse than chance: the same probability for all, not the wrong order
            proportion = float(np.average(target, weights=w))
            return cls(0.0, float(np.log(proportion / (1 - proportion))))
        return cls(slope, offset - slope * centre)

    @classmethod
    def restore(cls, entry: Mapping[str, Any]) -> Self:
        """From the fields in a model file; a ModelError if they are damaged."""
        return cls(take_number(entry, "slope"), take_number(entry, "offset"))
