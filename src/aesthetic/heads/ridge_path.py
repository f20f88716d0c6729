"""Ridge regression along its whole penalty path, with exact leave-one-out in closed form.

Minimise Σ w_i (y_i - b - f(x_i))² + α ‖f‖² with b free. With the weighted, centred problem
decomposed once, fitted values, leave-one-out residuals, generalised cross-validation and the
restricted likelihood are sums over the spectrum for every α. Used by ridge, kernel and gp.

Sources: Golub, Heath & Wahba 1979 (GCV); Rasmussen & Williams 2006, ch. 2 and 5.4 (leave-one-out);
Patterson & Thompson 1971 (restricted likelihood).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from src.aesthetic.heads.base import FloatArray

ALPHAS: FloatArray = np.logspace(-5, 4, 46)  # relative to the mean eigenvalue
_NEGLIGIBLE = 1e-10  # relative to the largest eigenvalue


@dataclass(frozen=True)
class Smoother:
    """The decomposed problem.

    Attributes:
        basis: (n, r) orthonormal columns, all orthogonal to √w.
        eigenvalues: (r,) of the weighted, centred Gram matrix.
        projected: (r,) the weighted, centred target in the basis.
        target: (n,) the scores.
        weights: (n,) with mean 1.
    """

    basis: FloatArray
    eigenvalues: FloatArray
    projected: FloatArray
    target: FloatArray
    weights: FloatArray

    @classmethod
    def from_gram(cls, gram: FloatArray, target: FloatArray, weights: FloatArray) -> Self:
        """From the matrix of inner products (n, n) of a linear or other kernel."""
        root = np.sqrt(weights)
        unit = root / np.linalg.norm(root)
        weighted = gram * root * root[:, None]
        towards = weighted @ unit
        weighted -= np.outer(towards, unit) + np.outer(unit, towards - unit * (unit @ towards))
        return cls.from_eigen(*np.linalg.eigh(weighted), target, weights)

    @classmethod
    def from_features(cls, features: FloatArray, target: FloatArray, weights: FloatArray) -> Self:
        """From features (n, d): by the smaller of the two Gram matrices."""
        n, d = features.shape
        if n <= d:
            return cls.from_gram(features @ features.T, target, weights)
        centred = features - np.average(features, axis=0, weights=weights)
        weighted = centred * np.sqrt(weights)[:, None]
        eigenvalues, vectors = np.linalg.eigh(weighted.T @ weighted)
        basis = weighted @ (vectors / np.sqrt(np.maximum(eigenvalues, 1e-300)))
        return cls.from_eigen(eigenvalues, basis, target, weights)

    @classmethod
    def from_eigen(
        cls, eigenvalues: FloatArray, basis: FloatArray, target: FloatArray, weights: FloatArray
    ) -> Self:
        """From eigenvalues (r,) and eigenvectors (n, r) of the weighted, centred Gram matrix."""
        kept = eigenvalues > max(eigenvalues.max(initial=0), 1e-30) * _NEGLIGIBLE
        eigenvalues, basis = eigenvalues[kept], basis[:, kept]
        centred = target - np.average(target, weights=weights)
        projected = basis.T @ (np.sqrt(weights) * centred)
        return cls(basis, eigenvalues, projected, target, weights)

    @property
    def mean(self) -> float:
        """The weighted mean of the target."""
        return float(np.average(self.target, weights=self.weights))

    def alphas(self) -> FloatArray:
        """Penalties worth trying, scaled to this problem."""
        scale = self.eigenvalues.sum() / len(self.target) if len(self.eigenvalues) else 1.0
        return ALPHAS * scale

    def dual(self, alpha: float) -> FloatArray:
        """Coefficients (n,), summing to 0, such that f(x) = Σ c_i k(x, x_i) + constant."""
        solution: FloatArray = self.basis @ (self.projected / (self.eigenvalues + alpha))
        return np.sqrt(self.weights) * solution

    def loo_residuals(self, alphas: float | FloatArray) -> FloatArray:
        """y_i minus the prediction of the model fitted without image i: (a, n) or (n,)."""
        penalties = np.atleast_1d(np.asarray(alphas, dtype=np.float64))
        shrink = self.eigenvalues / (self.eigenvalues + penalties[:, None])  # (a, r)
        centred = self.target - self.mean
        residual = centred - (shrink * self.projected) @ self.basis.T / self._root()
        free = 1 - self.weights / self.weights.sum() - shrink @ (self.basis.T**2)
        loo: FloatArray = residual / np.maximum(free, 1e-9)
        return loo if np.ndim(alphas) else loo[0]

    def gcv(self, alphas: FloatArray) -> FloatArray:
        """Generalised cross-validation error for each penalty (a,)."""
        n = len(self.target)
        shrink = self.eigenvalues / (self.eigenvalues + alphas[:, None])
        total = self.weights @ (self.target - self.mean) ** 2
        unexplained = total - ((1 - (1 - shrink) ** 2) * self.projected**2).sum(axis=1)
        error: FloatArray = n * unexplained / np.maximum(n - 1 - shrink.sum(axis=1), 1e-9) ** 2
        return error

    def loo_error(self, alphas: FloatArray) -> FloatArray:
        """Weighted mean squared leave-one-out residual for each penalty (a,)."""
        squared = self.loo_residuals(alphas) ** 2
        error: FloatArray = squared @ self.weights / self.weights.sum()
        return error

    def restricted_likelihood(self, alphas: FloatArray) -> FloatArray:
        """Log likelihood (a,) with mean and signal variance profiled out, up to a constant.

        α is the ratio of noise to signal variance.
        """
        rank = len(self.target) - 1
        missing = rank - len(self.eigenvalues)  # directions that only noise explains
        total = self.weights @ (self.target - self.mean) ** 2
        beyond = max(float(total - self.projected @ self.projected), 0.0)
        spectrum = self.eigenvalues + alphas[:, None]
        fit = (self.projected**2 / spectrum).sum(axis=1) + beyond / alphas
        volume = np.log(spectrum).sum(axis=1) + missing * np.log(alphas)
        likelihood: FloatArray = -0.5 * (rank * np.log(np.maximum(fit, 1e-300)) + volume)
        return likelihood

    def _root(self) -> FloatArray:
        return np.sqrt(np.maximum(self.weights, 1e-12))
