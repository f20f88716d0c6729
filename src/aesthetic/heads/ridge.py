"""Ridge regression: the cheapest head, and hard to beat with few images.

Its whole penalty path is found at once, with exact leave-group-out in closed form.

Minimise Σ w_i (y_i - b - f(x_i))² + α ‖f‖² with b free. The weighted, centred problem is decomposed
once. With H the hat matrix of a penalty and r the residuals, those of a fit without the images G
are (I - H_GG)⁻¹ r_G: single images for most, all copies of one image for near duplicates, which
scikit-learn's RidgeCV would let vouch for each other.

Sources: Golub, Heath & Wahba 1979; Rasmussen & Williams 2006, 5.4.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.linear import LinearHead
from src.aesthetic.heads.scaling import Scaler
from src.aesthetic.heads.training_set import TrainingSet

ALPHAS: FloatArray = np.logspace(-5, 4, 46)  # relative to the mean eigenvalue
USUAL_ALPHA = 0.3
"""of a correction of a prior, relative likewise: the best for people of docs/heads.md"""
_NEGLIGIBLE = 1e-10  # relative to the largest eigenvalue


@dataclass(frozen=True)
class RidgePath:
    basis: FloatArray  # (n, r) orthonormal columns, all orthogonal to √w
    eigenvalues: FloatArray  # (r,) of the weighted, centred Gram matrix
    data: TrainingSet

    @classmethod
    def from_gram(cls, gram: FloatArray, data: TrainingSet) -> Self:
        """From the matrix of inner products (n, n) of a linear or other kernel."""
        root = np.sqrt(data.weights)
        unit = root / np.linalg.norm(root)
        weighted = gram * root * root[:, None]
        towards = weighted @ unit
        weighted -= np.outer(towards, unit) + np.outer(unit, towards - unit * (unit @ towards))
        eigenvalues, basis = np.linalg.eigh(weighted)
        kept = _kept(eigenvalues)
        return cls(basis[:, kept], eigenvalues[kept], data)

    @classmethod
    def from_features(cls, features: FloatArray, data: TrainingSet) -> Self:
        """From scaled or transformed features (n, d): by the smaller of the two Gram matrices."""
        if len(features) <= features.shape[1]:
            return cls.from_gram(features @ features.T, data)
        centred = features - np.average(features, axis=0, weights=data.weights)
        weighted = centred * np.sqrt(data.weights)[:, None]
        eigenvalues, vectors = np.linalg.eigh(weighted.T @ weighted)
        kept = _kept(eigenvalues)
        basis = weighted @ (vectors[:, kept] / np.sqrt(eigenvalues[kept]))
        return cls(basis, eigenvalues[kept], data)

    @property
    def mean(self) -> float:
        return float(np.average(self.data.scores, weights=self.data.weights))

    @property
    def scale(self) -> float:
        """The mean eigenvalue, to which `ALPHAS` are relative."""
        total = float(self.eigenvalues.sum())
        return total / len(self.data.scores) if total else 1.0

    def dual(self, alpha: float) -> FloatArray:
        """Coefficients (n,), summing to 0, such that f(x) = Σ c_i k(x, x_i) + constant."""
        root = np.sqrt(self.data.weights)
        projected = self.basis.T @ (root * (self.data.scores - self.mean))
        return np.asarray(root * (self.basis @ (projected / (self.eigenvalues + alpha))))

    def best_alpha(self, *, correction: bool = False) -> float:
        """The penalty of the least squared leave-out residual.

        Few ratings hardly say which penalty is best, so that of a correction has a log-normal
        prior, and the residuals count as a likelihood.
        """
        alphas = ALPHAS * self.scale
        squared = self.left_out_residuals(alphas) ** 2 @ self.data.weights
        if not correction:
            return float(alphas[np.argmin(squared)])
        fit = 0.5 * len(self.data.scores) * np.log(np.maximum(squared, 1e-300))
        return float(alphas[np.argmin(fit + 0.5 * np.log(ALPHAS / USUAL_ALPHA) ** 2)])

    def left_out_std(self, alpha: float) -> float:
        residuals = self.left_out_residuals(np.array([alpha]))[0]
        return float(np.sqrt(np.average(residuals**2, weights=self.data.weights)))

    def left_out_residuals(self, alphas: FloatArray) -> FloatArray:
        """Each score minus the prediction of the fit without the image's group, (a, n)."""
        root = np.sqrt(np.maximum(self.data.weights, 1e-12))
        unit = root / np.linalg.norm(root)
        shrink = self.eigenvalues / (self.eigenvalues + alphas[:, None])  # (a, r)
        scaled = root * (self.data.scores - self.mean)
        residuals = scaled - (shrink * (self.basis.T @ scaled)) @ self.basis.T
        free = 1 - unit**2 - shrink @ (self.basis**2).T
        left_out = residuals / np.maximum(free, 1e-9)
        for members in _of_equal_size(self.data.groups):
            basis, size = self.basis[members], members.shape[1]  # (g, k, r)
            mean = unit[members][:, :, None] * unit[members][:, None, :]
            for number, factors in enumerate(shrink):
                hat = mean + (basis * factors) @ basis.transpose(0, 2, 1)
                system = (1 + 1e-9) * np.eye(size) - hat
                solved = np.linalg.solve(system, residuals[number][members][:, :, None])
                left_out[number, members] = solved[:, :, 0]
        return np.asarray(left_out / root)


def fit_ridge(
    data: TrainingSet,
    *,
    blocks: Sequence[int] | None = None,
    seed: int = 0,
    correction: bool = False,
) -> LinearHead:
    """On standardised features; the penalty by leave-group-out error. Nothing is random."""
    scaler = Scaler.fit(data.features, blocks=blocks)
    z = scaler(data.features)
    path = RidgePath.from_features(z, data)
    alpha = path.best_alpha(correction=correction)
    weight = scaler.factor * (z.T @ path.dual(alpha))
    return LinearHead(
        weight=weight,
        bias=float(path.mean - np.average(data.features, axis=0, weights=data.weights) @ weight),
        residual_std=path.left_out_std(alpha),
        fitted_as="ridge",
        penalty=alpha / path.scale,
    )


def _kept(eigenvalues: FloatArray) -> np.ndarray:
    return np.asarray(eigenvalues > max(eigenvalues.max(initial=0), 1e-30) * _NEGLIGIBLE)


def _of_equal_size(groups: np.ndarray) -> list[np.ndarray]:
    """The rows of all groups of several images, (groups, images) for each size."""
    number, counts = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    if len(counts) < 2:
        return []
    rows = np.argsort(number, kind="stable")
    size = counts[number[rows]]
    return [rows[size == k].reshape(-1, k) for k in np.unique(counts) if k > 1]
