"""Kernel ridge regression with a rational quadratic kernel: non-linear, few images suffice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.heads.base import Array, Arrays, Config, FloatArray, Head, take
from src.aesthetic.heads.linear import optional_std
from src.aesthetic.heads.nystroem import (
    LANDMARKS,
    LandmarkKernel,
    best_kernel,
    candidate_scalers,
    pick_landmarks,
    some_rows,
)
from src.aesthetic.heads.ridge_path import Smoother
from src.aesthetic.heads.scaling import training_data
from src.evaluation.rank_metrics import pairwise_accuracy

_LENGTH = 0.7  # times the typical distance; the kernel mixes all length scales around it
_SEARCH_ON = 400  # images: the scaling needs no more to be found


@dataclass(frozen=True)
class KernelHead(Head):
    """Σ coefficient_j k(x, landmark_j) + bias.

    Attributes:
        similarity: the kernel and its landmarks.
        coefficients: (m,).
        bias: added to all scores.
        residual_std: as in `LinearHead`.
    """

    similarity: LandmarkKernel
    coefficients: FloatArray
    bias: float
    residual_std: float | None = None

    kind: ClassVar[str] = "kernel"

    @property
    def n_features(self) -> int:
        return len(self.similarity.scaler.mean)

    def predict(self, features: ArrayLike) -> FloatArray:
        scores = self.similarity.in_batches(
            self.check(features), lambda _, similar: similar @ self.coefficients
        )
        return scores + self.bias

    def predict_std(self, features: ArrayLike) -> FloatArray | None:
        if self.residual_std is None:
            return None
        return np.full(len(self.check(features)), self.residual_std)

    def to_arrays(self) -> dict[str, Array]:
        return {
            **self.similarity.to_arrays(),
            "coefficients": self.coefficients,
            "bias": np.array([self.bias]),
        }

    def config(self) -> dict[str, Any]:
        return {"residual_std": self.residual_std, **self.similarity.kernel.config()}

    @classmethod
    def from_arrays(cls, arrays: Arrays, config: Config) -> Self:
        similarity = LandmarkKernel.from_arrays(arrays, config)
        return cls(
            similarity,
            take(arrays, "coefficients", len(similarity.landmarks)),
            float(take(arrays, "bias", 1)[0]),
            optional_std(config),
        )


def fit_kernel(
    features: ArrayLike,
    scores: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    seed: int = 0,
    blocks: Sequence[int] | None = None,
    landmarks: int = LANDMARKS,
) -> KernelHead:
    """Rational quadratic kernel ridge; scaling and penalty by exact leave-one-out.

    The penalty has the lowest leave-one-out error. The scaling of the features orders the most
    pairs of left-out images rightly: error is dominated by the few images at the ends.

    Args:
        features: (n, d).
        scores: (n,).
        weights: (n,) how much each image counts; None for equally.
        seed: picks the landmarks if there are more images than these.
        blocks: lengths of joined parts, to be given equal variance (see `Scaler.fit`).
        landmarks: at most so many images are compared to.

    Raises:
        ModelError: nothing can be learnt (see `training_data`).
    """
    x, y, w = training_data(features, scores, weights)
    rows = some_rows(len(y), _SEARCH_ON, seed)

    def error(gram: FloatArray) -> float:
        smoother = Smoother.from_gram(gram, y[rows], w[rows])
        residuals = smoother.loo_residuals(_best_alpha(smoother))
        return -(pairwise_accuracy(y[rows], y[rows] - residuals) or 0.0)

    scaler, kernel = best_kernel(
        error,
        candidate_scalers(x, blocks),
        x[rows],
        (_LENGTH,),
        (0.0,),
    )
    z = scaler(x)
    similarity = LandmarkKernel(scaler, kernel, pick_landmarks(z, landmarks, seed))
    return _solve(similarity, z, y, w)


def _solve(similarity: LandmarkKernel, z: FloatArray, y: FloatArray, w: FloatArray) -> KernelHead:
    landmarks, kernel = similarity.landmarks, similarity.kernel
    if len(z) == len(landmarks):  # exact; rounded alike, so that the Gram matrix is symmetric
        similar = kernel(landmarks, landmarks)
        smoother = Smoother.from_gram(similar, y, w)
        alpha = _best_alpha(smoother)
        coefficients = smoother.dual(alpha)
    else:
        similar, projection = kernel(z, landmarks), similarity.projection()
        basis = similar @ projection
        smoother = Smoother.from_features(basis, y, w)
        alpha = _best_alpha(smoother)
        coefficients = projection @ (basis.T @ smoother.dual(alpha))
    return KernelHead(
        similarity,
        coefficients,
        bias=float(np.average(y - similar @ coefficients, weights=w)),
        residual_std=float(np.sqrt(smoother.loo_error(np.array([alpha]))[0])),
    )


def _best_alpha(smoother: Smoother) -> float:
    alphas = smoother.alphas()
    return float(alphas[np.argmin(smoother.loo_error(alphas))])
