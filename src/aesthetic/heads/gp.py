"""Gaussian process regression: the head that knows where it is unsure.

score = b + f(x) + noise, with b free, f ~ GP(0, s² k), k a Matérn 3/2 kernel plus a linear one,
and noise variance s² α / weight. Kernel and α maximise the restricted marginal likelihood; s² is
then set so that the leave-one-out errors have the size that the model says (Rasmussen & Williams
2006, 5.4.2), which is what makes its intervals honest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from src.aesthetic.heads.base import Array, Arrays, Config, FloatArray, Head, take, take_value
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
from src.errors import ModelError

_LENGTHS = (1.0, 2.0, 4.0)  # times the typical distance
_LINEAR_SHARES = (0.0, 0.5)
_SEARCH_ON = 400  # images: the kernel needs no more to be found


@dataclass(frozen=True)
class GaussianProcessHead(Head):
    """The posterior, in the basis where its covariance is diagonal.

    Attributes:
        similarity: the kernel and its landmarks.
        projection: (m, r) similarities to basis functions, orthonormal under the prior.
        centre: (r,) mean of the basis functions over the training images.
        coefficients: (r,) posterior means.
        kept: (r,) share of the prior variance that the training images took away, 0 to 1.
        bias: posterior mean of b.
        signal: s², prior variance of f where k(x, x) = 1.
        noise: variance of one score around f (weight 1).
        bias_variance: posterior variance of b.
    """

    similarity: LandmarkKernel
    projection: FloatArray
    centre: FloatArray
    coefficients: FloatArray
    kept: FloatArray
    bias: float
    signal: float
    noise: float
    bias_variance: float

    kind: ClassVar[str] = "gp"

    @property
    def n_features(self) -> int:
        return len(self.similarity.scaler.mean)

    def predict(self, features: ArrayLike) -> FloatArray:
        folded = self.projection @ self.coefficients
        scores = self.similarity.in_batches(
            self.check(features), lambda _, similar: similar @ folded
        )
        return scores + (self.bias - self.centre @ self.coefficients)

    def predict_std(self, features: ArrayLike) -> FloatArray:
        """Includes the noise of a single score: as a forecast of what the person would give."""

        def variance(scaled: FloatArray, similar: FloatArray) -> FloatArray:
            basis = similar @ self.projection
            outside: FloatArray = np.maximum(
                self.similarity.kernel.diagonal(scaled) - (basis**2).sum(axis=1), 0
            )
            inside: FloatArray = (basis - self.centre) ** 2 @ (1 - self.kept)
            return inside + outside

        latent = self.signal * self.similarity.in_batches(self.check(features), variance)
        variances: FloatArray = latent + self.bias_variance + self.noise
        std: FloatArray = np.sqrt(variances)
        return std

    def to_arrays(self) -> dict[str, Array]:
        return {
            **self.similarity.to_arrays(),
            "projection": self.projection.astype(np.float32),
            "centre": self.centre,
            "coefficients": self.coefficients,
            "kept": self.kept,
            "bias": np.array([self.bias]),
        }

    def config(self) -> dict[str, Any]:
        return {
            **self.similarity.kernel.config(),
            "signal": self.signal,
            "noise": self.noise,
            "bias_variance": self.bias_variance,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, config: Config) -> Self:
        similarity = LandmarkKernel.from_arrays(arrays, config)
        projection = take(arrays, "projection", len(similarity.landmarks), None)
        rank = projection.shape[1]
        variances = [take_value(config, n, float) for n in ("signal", "noise", "bias_variance")]
        if not (np.isfinite(variances).all() and min(variances) >= 0):
            raise ModelError("the model file has impossible variances: it is damaged or foreign")
        return cls(
            similarity,
            projection,
            take(arrays, "centre", rank),
            take(arrays, "coefficients", rank),
            take(arrays, "kept", rank),
            float(take(arrays, "bias", 1)[0]),
            *variances,
        )


def fit_gp(
    features: ArrayLike,
    scores: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    seed: int = 0,
    blocks: Sequence[int] | None = None,
    landmarks: int = LANDMARKS,
) -> GaussianProcessHead:
    """Fit kernel, noise and posterior; arguments and errors as in `fit_kernel`."""
    x, y, w = training_data(features, scores, weights)
    rows = some_rows(len(y), _SEARCH_ON, seed)

    def surprise(gram: FloatArray) -> float:
        smoother = Smoother.from_gram(gram, y[rows], w[rows])
        return -float(smoother.restricted_likelihood(smoother.alphas()).max())

    scaler, kernel = best_kernel(
        surprise,
        candidate_scalers(x, blocks),
        x[rows],
        _LENGTHS,
        _LINEAR_SHARES,
    )
    z = scaler(x)
    similarity = LandmarkKernel(scaler, kernel, pick_landmarks(z, landmarks, seed))
    return _posterior(similarity, z, y, w)


def _posterior(
    similarity: LandmarkKernel, z: FloatArray, y: FloatArray, w: FloatArray
) -> GaussianProcessHead:
    similar = similarity.kernel(z, similarity.landmarks)
    projection = similarity.projection()
    basis = similar @ projection
    centre = np.average(basis, axis=0, weights=w)
    weighted = (basis - centre) * np.sqrt(w)[:, None]
    eigenvalues, rotation = np.linalg.eigh(weighted.T @ weighted)
    eigenvalues = np.maximum(eigenvalues, 1e-300)
    rotated = weighted @ rotation
    smoother = Smoother.from_eigen(eigenvalues, rotated / np.sqrt(eigenvalues), y, w)
    alphas = smoother.alphas()
    alpha = float(alphas[np.argmax(smoother.restricted_likelihood(alphas))])
    coefficients = rotated.T @ (np.sqrt(w) * (y - smoother.mean)) / (eigenvalues + alpha)
    signal = _calibrated_signal(smoother, alpha)
    return GaussianProcessHead(
        similarity,
        projection=projection @ rotation,
        centre=centre @ rotation,
        coefficients=coefficients,
        kept=eigenvalues / (eigenvalues + alpha),
        bias=smoother.mean,
        signal=signal,
        noise=signal * alpha,
        bias_variance=signal * alpha / float(w.sum()),
    )


def _calibrated_signal(smoother: Smoother, alpha: float) -> float:
    """s² such that the squared leave-one-out errors average their predicted variance."""
    shrink = smoother.eigenvalues / (smoother.eigenvalues + alpha)
    share = 1 - smoother.weights / smoother.weights.sum() - smoother.basis**2 @ shrink
    predicted = alpha / np.maximum(share * smoother.weights, 1e-12)  # of one score, s² = 1
    counted = smoother.weights > 0
    squared = smoother.loo_residuals(alpha) ** 2
    return float(np.mean(squared[counted] / predicted[counted]))
