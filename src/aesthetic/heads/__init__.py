"""Heads: what turns the features of an image into a score.

`fit_head` fits one by name, `restore` brings one back from a model file. All heads predict in
plain numpy; see `base.Head`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from numpy.typing import ArrayLike

from src.aesthetic.heads.base import Array, Head, Stored, take_value
from src.aesthetic.heads.combined import EnsembleHead, ResidualHead, fit_residual
from src.aesthetic.heads.kernel import KernelHead, fit_kernel
from src.aesthetic.heads.linear import LinearHead
from src.aesthetic.heads.logistic import fit_logistic
from src.aesthetic.heads.mlp import MlpHead
from src.aesthetic.heads.ridge import fit_ridge
from src.aesthetic.heads.training_set import TrainingSet
from src.errors import ModelError

__all__ = ["EnsembleHead", "Head", "LinearHead", "MlpHead", "ResidualHead", "fit_head", "restore"]

HEADS = (LinearHead, MlpHead, KernelHead, EnsembleHead, ResidualHead)
KINDS: dict[str, type[Head]] = {head.kind: head for head in HEADS}
FITS: dict[str, Callable[..., Head]] = {
    "ridge": fit_ridge,
    "kernel": fit_kernel,
    "logistic": fit_logistic,
}


def fit_head(
    method: str,
    features: ArrayLike,
    scores: ArrayLike,
    weights: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    *,
    seed: int = 0,
    blocks: Sequence[int] | None = None,
    prior: Head | None = None,
) -> Head:
    """Fit a head in one go: "ridge", "kernel" or "logistic", to a `TrainingSet`.

    `blocks` are the lengths of joined feature parts, to be given equal variance. A `prior` is a
    generic head for the same features; the new head then corrects it.
    """

    fit = partial(FITS[method], seed=seed, blocks=blocks)
    data = TrainingSet.of(features, scores, weights, groups)
    if prior is None:
        return fit(data)
    return fit_residual(prior, data, partial(fit, correction=True))


def restore(entry: Mapping[str, Any], arrays: Mapping[str, Array]) -> Head:
    """The head of a model file, from its "kind" and "config"; a ModelError where it is damaged."""
    kind = take_value(entry, "kind", str)
    if kind not in KINDS:
        raise ModelError(
            f"the model file holds a head of the kind {kind!r}, which this version does not have "
            f"(known: {', '.join(KINDS)}): use a later version, or train it again"
        )
    return KINDS[kind].restore(Stored(arrays, take_value(entry, "config", dict)))
