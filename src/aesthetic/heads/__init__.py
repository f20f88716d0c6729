"""Heads: what turns the features of an image into a score.

`fit_head` fits one by name, `restore` brings one back from a model file. All heads predict in
plain numpy; see `base.Head`.
"""

from collections.abc import Callable, Sequence

from numpy.typing import ArrayLike

from src.aesthetic.heads.base import Arrays, Config, Head
from src.aesthetic.heads.combined import EnsembleHead, ResidualHead, fit_residual
from src.aesthetic.heads.kernel import KernelHead, fit_kernel
from src.aesthetic.heads.linear import LinearHead
from src.aesthetic.heads.logistic import fit_logistic
from src.aesthetic.heads.mlp import MlpHead
from src.aesthetic.heads.ridge import fit_ridge
from src.errors import ModelError

__all__ = [
    "FITS",
    "KINDS",
    "EnsembleHead",
    "Head",
    "KernelHead",
    "LinearHead",
    "MlpHead",
    "ResidualHead",
    "fit_head",
    "restore",
]

KINDS: dict[str, type[Head]] = {
    head.kind: head for head in (LinearHead, MlpHead, KernelHead, EnsembleHead, ResidualHead)
}

FITS: dict[str, Callable[..., Head]] = {
    "ridge": fit_ridge,
    "kernel": fit_kernel,
    "logistic": fit_logistic,
}


def fit_head(
    method: str,
    features: ArrayLike,
    scores: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    seed: int = 0,
    blocks: Sequence[int] | None = None,
    prior: Head | None = None,
) -> Head:
    """Fit a head in one go: "ridge", "kernel" or "logistic".

    Args:
        method: a key of `FITS`.
        features: (n, d).
        scores: (n,).
        weights: (n,) how much each image counts; None for equally.
        groups: (n,) images with the same number (near duplicates) are left out together where
            penalties are chosen and errors measured; None for each alone.
        seed: of what is random in the method.
        blocks: lengths of joined feature parts, to be given equal variance.
        prior: a generic head for the same features; the new head then corrects it.

    Raises:
        ModelError: nothing can be learnt from these images.
    """

    def fit(x: ArrayLike, y: ArrayLike) -> Head:
        return FITS[method](x, y, weights=weights, groups=groups, seed=seed, blocks=blocks)

    return (
        fit(features, scores)
        if prior is None
        else fit_residual(prior, features, scores, fit, weights)
    )


def restore(kind: str, arrays: Arrays, config: Config) -> Head:
    """The head of a model file.

    Raises:
        ModelError: unknown kind, or arrays and configuration that are damaged.
    """
    if kind == "gp":
        raise ModelError(
            "the model file holds a Gaussian process, which this version no longer has: train it "
            'again, with head "auto" or "kernel"'
        )
    if kind not in KINDS:
        raise ModelError(
            f"the model file holds a head of the unknown kind {kind!r} "
            f"(known: {', '.join(KINDS)}): it is damaged or made by a later version"
        )
    return KINDS[kind].from_arrays(arrays, config)
