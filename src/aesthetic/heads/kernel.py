"""Kernel ridge regression with a rational quadratic kernel: non-linear, few images suffice.

With α = 1 the kernel is a mixture of Gaussian kernels of all length scales (Rasmussen & Williams
2006, eq. 4.19 and 4.20). Above 1,500 images it is approximated on so many landmarks (Nyström:
Williams & Seeger 2001).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from src.aesthetic.heads.base import FloatArray, Head, Stored, take_number, take_value
from src.aesthetic.heads.ridge import RidgePath
from src.aesthetic.heads.scaling import Scaler
from src.aesthetic.heads.training_set import TrainingSet
from src.errors import ModelError
from src.evaluation.rank_metrics import pairwise_accuracy

LANDMARKS = 1_500  # the cost is their cube
_LENGTH = 0.7  # times the typical distance; the kernel mixes all length scales around it
_SEARCH_ON = 400  # images: the scaling needs no more to be found
_JITTER = 1e-6  # of k(x, x), which is 1: keeps equal images from making it singular
_FAMILY = "rational_quadratic"
_SHORTEST = 1e-7  # length that a fit can give


@dataclass(frozen=True)
class KernelHead(Head):
    """Σ coefficient_j k(x, landmark_j) + bias with k(a, b) = 1 / (1 + |a - b|² / (2 length²))."""

    scaler: Scaler  # applied to features first
    length: float  # in units of the scaled features
    landmarks: FloatArray  # (m, d) scaled features of the images to compare with
    coefficients: FloatArray  # (m,)
    bias: float
    residual_std: float | None = None

    kind: ClassVar[str] = "kernel"

    @property
    def n_features(self) -> int:
        return len(self.scaler.mean)

    def _scores(self, x: FloatArray) -> FloatArray:
        similar = _similarity(_squared(self.scaler(x), self.landmarks), self.length)
        return similar @ self.coefficients + self.bias

    def store(self) -> Stored:
        arrays = {
            "landmarks": self.landmarks.astype(np.float32),
            **self.scaler.to_arrays(),
            "coefficients": self.coefficients,
            "bias": np.array([self.bias]),
        }
        config = {"residual_std": self.residual_std, "family": _FAMILY, "length": self.length}
        return Stored(arrays, config)

    @classmethod
    def restore(cls, stored: Stored) -> Self:
        if take_value(stored.config, "family", str) != _FAMILY:
            raise ModelError("the model file has a kernel that is not known here: train again")
        scaler = Scaler.restore(stored)
        landmarks = stored.array("landmarks", None, len(scaler.mean))
        return cls(
            scaler,
            take_number(stored.config, "length", low=_SHORTEST),
            landmarks,
            stored.array("coefficients", len(landmarks)),
            float(stored.array("bias", 1)[0]),
            stored.std(),
        )


def fit_kernel(
    data: TrainingSet,
    *,
    blocks: Sequence[int] | None = None,
    seed: int = 0,
    correction: bool = False,
    landmarks: int = LANDMARKS,
) -> KernelHead:
    """Kernel ridge regression; scaling and penalty by exact leave-group-out.

    The penalty has the lowest squared error. The scaling of the features orders the most pairs of
    left-out images rightly: error is dominated by the few images at the ends.
    """
    x, rng = data.features, np.random.default_rng(seed)
    # Hand-made features have units of their own and must be standardised. Of deep features the
    # direction alone may be better, with or without standardising it.
    scalers = [
        Scaler.fit(x, blocks=blocks),
        Scaler.fit(x, blocks=blocks, unit=True),
        Scaler.fit(x, blocks=blocks, unit=True, per_feature=False),
    ]
    rows = rng.permutation(len(x))[:_SEARCH_ON]
    some = TrainingSet(*(part[rows] for part in data))
    found = [_accuracy_and_length(scaler, some, correction) for scaler in scalers]
    best = int(np.argmax([accuracy for accuracy, _ in found]))
    scaler, length = scalers[best], found[best][1]
    z = scaler(x).astype(np.float32).astype(np.float64)  # as landmarks are saved
    chosen = z
    if len(z) > landmarks:
        chosen = z[np.sort(rng.choice(len(z), size=landmarks, replace=False))]
    similar = _similarity(_squared(z, chosen), length)
    if len(chosen) == len(z):
        path = RidgePath.from_gram(similar, data)
        alpha = path.best_alpha(correction=correction)
        coefficients = path.dual(alpha)
    else:
        gram = _similarity(_squared(chosen, chosen), length) + _JITTER * np.eye(len(chosen))
        projection = np.linalg.inv(np.linalg.cholesky(gram)).T
        basis = similar @ projection  # whose inner products are the approximate kernel
        path = RidgePath.from_features(basis, data)
        alpha = path.best_alpha(correction=correction)
        coefficients = projection @ (basis.T @ path.dual(alpha))
    bias = float(np.average(data.scores - similar @ coefficients, weights=data.weights))
    return KernelHead(scaler, length, chosen, coefficients, bias, path.left_out_std(alpha))


def _accuracy_and_length(
    scaler: Scaler, data: TrainingSet, correction: bool
) -> tuple[float, float]:
    """AB on left-out images, and the length scale for features scaled like this."""
    z = scaler(data.features)
    squared = _squared(z, z)
    typical = float(np.median(squared[np.triu_indices(len(z), 1)]))
    length = _LENGTH * max(typical, 1e-12) ** 0.5
    path = RidgePath.from_gram(_similarity(squared, length), data)
    alpha = path.best_alpha(correction=correction)
    residuals = path.left_out_residuals(np.array([alpha]))[0]
    return pairwise_accuracy(data.scores, data.scores - residuals) or 0.0, length


def _squared(a: FloatArray, b: FloatArray) -> FloatArray:
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * (a @ b.T)
    return np.asarray(np.maximum(squared, 0))


def _similarity(squared: FloatArray, length: float) -> FloatArray:
    return np.asarray(1 / (1 + squared / (2 * length**2)))
