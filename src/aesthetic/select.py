"""Choosing the head by nested cross-validation, and saying why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from src.aesthetic.heads import Head, fit_head
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.scaling import training_data
from src.evaluation.rank_metrics import evaluate, pairwise_accuracy

CANDIDATES = ("kernel", "ridge", "gp")
FOLDS = 5
FEWEST = 20  # with fewer images the differences between methods cannot be seen


@dataclass(frozen=True)
class AutoFit:
    """The chosen head and how it came to be chosen.

    Attributes:
        head: fitted on all images.
        method: its name, a key of `FITS`.
        reason: one sentence for the user.
        accuracies: AB of each candidate on images left out of its fit; empty with few images.
        left_out: (n,) the chosen method's prediction of each image by a fit without it, in the
            units of the scores; None with few images.
    """

    head: Head
    method: str
    reason: str
    accuracies: dict[str, float]
    left_out: FloatArray | None


class Rival(NamedTuple):
    """A candidate that was fitted elsewhere.

    Attributes:
        head: fitted on all images.
        left_out: (n,) the prediction of each image by a fit without it.
    """

    head: Head
    left_out: FloatArray


def fit_auto(
    features: ArrayLike,
    scores: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    seed: int = 0,
    blocks: Sequence[int] | None = None,
    prior: Head | None = None,
    groups: ArrayLike | None = None,
    candidates: Sequence[str] = CANDIDATES,
    rivals: Mapping[str, Rival] | None = None,
    folds: int = FOLDS,
) -> AutoFit:
    """Fit every candidate on folds of the images and keep the one that orders the rest best.

    The first candidate stays unless another beats it by more than two standard errors over the
    folds: smaller differences are mostly chance, and the first is the best where there is no
    telling.

    Each fit chooses its own penalties and length scales inside its fold, so that the comparison
    is nested. Heads that are trained step by step are no candidates of their own; see `rivals`.

    Args:
        features: (n, d).
        scores: (n,).
        weights: (n,) how much each image counts in the fits; None for equally.
        seed: of the folds.
        blocks: as in `fit_head`.
        prior: as in `fit_head`.
        groups: (n,) images with the same number (near duplicates) stay in one fold.
        candidates: keys of `FITS`; the first is the one to beat.
        rivals: further candidates by name; they come first.
        folds: parts of the cross-validation.

    Raises:
        ModelError: nothing can be learnt from these images.
    """
    x, y, w = training_data(features, scores, weights)
    fold = assign_folds(len(y) if groups is None else groups, folds, seed)
    if not comparable(y, fold):
        head = fit_head(candidates[0], x, y, weights=w, seed=seed, blocks=blocks, prior=prior)
        why = "are too few" if len(y) < FEWEST else "or their scores are too much alike"
        reason = f"{candidates[0]}, without a comparison: {len(y)} images {why} for one"
        return AutoFit(head, candidates[0], reason, {}, None)
    rivals = rivals or {}
    predictions = {name: rival.left_out for name, rival in rivals.items()}
    for method in candidates:
        predictions[method] = predicted = np.empty(len(y))
        for k in range(folds):
            inside = fold != k
            part = fit_head(
                method,
                x[inside],
                y[inside],
                weights=w[inside],
                seed=seed,
                blocks=blocks,
                prior=prior,
            )
            predicted[~inside] = part.predict(x[~inside])
    measured = {m: pairwise_accuracy(y, p) for m, p in predictions.items()}
    accuracies = {m: 0.5 if ab is None else ab for m, ab in measured.items()}
    best = choose_method(list(predictions), y, predictions, fold)
    return AutoFit(
        rivals[best].head
        if best in rivals
        else fit_head(best, x, y, weights=w, seed=seed, blocks=blocks, prior=prior),
        best,
        _reason(best, accuracies, y, predictions[best], folds, several=best in rivals),
        accuracies,
        predictions[best],
    )


def comparable(y: FloatArray, fold: NDArray[np.intp]) -> bool:
    """Whether there are enough images, and different scores outside each fold."""
    return len(y) >= FEWEST and all(len(np.unique(y[fold != k])) > 1 for k in np.unique(fold))


def choose_method(
    candidates: Sequence[str],
    y: FloatArray,
    predictions: dict[str, FloatArray],
    fold: NDArray[np.intp],
) -> str:
    """The best candidate if it beats the first by more than two standard errors, else the first.

    Args:
        candidates: names; the first is the one to beat.
        y: (n,) scores.
        predictions: (n,) of each candidate, for images left out of its fit.
        fold: (n,) the part in which an image was left out.
    """
    folds = [fold == k for k in np.unique(fold)]

    def by_fold(method: str) -> FloatArray:
        given = [pairwise_accuracy(y[k], predictions[method][k]) for k in folds]
        return np.array([0.5 if ab is None else ab for ab in given])

    first = by_fold(candidates[0])
    best, most = candidates[0], 0.0
    for method in candidates[1:]:
        gain = by_fold(method) - first
        error = float(gain.std(ddof=1)) / len(gain) ** 0.5
        if gain.mean() > max(2 * error, most):
            best, most = method, float(gain.mean())
    return best


def assign_folds(groups: ArrayLike | int, folds: int, seed: int) -> NDArray[np.intp]:
    """A fold number for each image, equally many images each as far as groups allow.

    Args:
        groups: (n,) images with the same number stay together; or n, for no groups.
        folds: how many.
        seed: of the shuffle.
    """
    members = np.arange(groups) if isinstance(groups, int) else np.asarray(groups)
    names, member = np.unique(members, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    sizes = np.bincount(member)[order]
    middle = np.cumsum(sizes) - sizes / 2
    fold_of_group = np.empty(len(names), dtype=np.intp)
    fold_of_group[order] = (middle * folds / max(sizes.sum(), 1)).astype(np.intp)
    return fold_of_group[member]


def _reason(
    best: str,
    accuracies: dict[str, float],
    y: FloatArray,
    predicted: FloatArray,
    folds: int,
    *,
    several: bool,
) -> str:
    interval = evaluate(y, predicted, bootstrap=200)["ab_interval"]
    assert isinstance(interval, list)
    others = sorted((m for m in accuracies if m != best), key=lambda m: -accuracies[m])
    against = ", ".join(f"{accuracies[m]:.1%} ({m})" for m in others)
    sentence = (
        f"{best}: in {'' if several else f'{folds}-fold '}cross-validation on the training images "
        f"{'each' if several else 'it'} orders {accuracies[best]:.1%} of the pairs it has not seen "
        f"as you do{' (their mean does better)' if several else ''}"
    )
    if others:
        sentence += f", against {against}"
        if accuracies[others[0]] > interval[0]:
            sentence += "; the difference is within chance"
    return sentence
