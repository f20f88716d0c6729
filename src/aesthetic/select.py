"""Choosing the head by nested cross-validation; the figures, without words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from src.aesthetic.heads import Head, fit_head
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.training_set import TrainingSet
from src.evaluation.rank_metrics import pairwise_accuracy, resampled_accuracies
from src.evaluation.resampling import percentiles

CANDIDATES = ("kernel", "ridge")
FOLDS = 5
FEWEST = 20  # with fewer images the differences between methods cannot be seen
_RESAMPLES = 400


class Candidate(NamedTuple):
    """A head fitted to all images, and (n,) the prediction of each image without it."""

    head: Head
    out_of_fold: FloatArray


@dataclass(frozen=True)
class AutoFit:
    """The chosen head and how it came to be chosen; with few images without a comparison."""

    head: Head  # fitted on all images
    method: str  # its name
    accuracies: dict[str, float]  # AB of each candidate out of fold, the one to beat first
    # Of each other candidate, the 95 % interval of its AB minus that of the chosen one:
    behind: dict[str, list[float]]
    out_of_fold: FloatArray | None  # (n,) the chosen method's, in the units of the scores

    @property
    def clearly_worse(self) -> tuple[str, ...]:
        """The candidates whose difference from the chosen one is beyond chance."""
        return tuple(name for name, (_, high) in self.behind.items() if high < 0)


def fit_auto(
    features: ArrayLike,
    scores: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    seed: int = 0,
    blocks: Sequence[int] | None = None,
    prior: Head | None = None,
    candidates: Sequence[str] = CANDIDATES,
    others: Mapping[str, Callable[[TrainingSet, int], Candidate]] | None = None,
) -> AutoFit:
    """Fit the first candidate, or one that orders left-out images clearly better.

    Args:
        features, scores, weights, groups, seed, blocks, prior: as in `fit_head`.
        candidates: keys of `FITS`.
        others: fits of further candidates by name, which come first.
    """
    data = TrainingSet.of(features, scores, weights, groups)
    x, y, g = data.features, data.scores, data.groups

    def fit(method: str, rows: np.ndarray) -> Head:
        options: dict[str, Any] = {"seed": seed, "blocks": blocks, "prior": prior}
        return fit_head(method, **data.only(rows)._asdict(), **options)

    everything = np.ones(len(y), dtype=bool)
    fold = assign_folds(g, FOLDS, seed)
    if not comparable(y, fold):
        return AutoFit(fit(candidates[0], everything), candidates[0], {}, {}, None)
    fitted = {name: fit_other(data, seed) for name, fit_other in (others or {}).items()}
    predictions = {name: candidate.out_of_fold for name, candidate in fitted.items()}
    for method in candidates:
        predictions[method] = np.empty(len(y))
        for k in range(FOLDS):
            predictions[method][fold == k] = fit(method, fold != k).predict(x[fold == k])
    best = choose_method(y, predictions, g)
    return AutoFit(
        fitted[best].head if best in fitted else fit(best, everything),
        best,
        {name: _accuracy(y, predicted) for name, predicted in predictions.items()},
        gains(y, predictions, best, g),
        predictions[best],
    )


def comparable(y: FloatArray, fold: NDArray[np.intp]) -> bool:
    """Whether there are enough images, and different scores outside each fold."""
    return len(y) >= FEWEST and all(len(np.unique(y[fold != k])) > 1 for k in np.unique(fold))


def choose_method(y: FloatArray, predictions: Mapping[str, FloatArray], groups: ArrayLike) -> str:
    """The most accurate of those whose gain over the first is beyond chance, else the first.

    `predictions` (n,) are out of fold, those of the candidate to beat first.
    """
    first = next(iter(predictions))
    better = [name for name, (low, _) in gains(y, predictions, first, groups).items() if low > 0]
    return max(better, key=lambda name: _accuracy(y, predictions[name]), default=first)


def gains(
    y: FloatArray, predictions: Mapping[str, FloatArray], over: str, groups: ArrayLike
) -> dict[str, list[float]]:
    """95 % intervals of the AB of every other candidate minus that of one, on one resampling."""
    found = resampled_accuracies(y, predictions, bootstrap=_RESAMPLES, groups=groups)
    return {
        name: percentiles(accuracies - found[over]) or [0.0, 0.0]
        for name, accuracies in found.items()
        if name != over
    }


def assign_folds(groups: ArrayLike | int, folds: int, seed: int) -> NDArray[np.intp]:
    """A fold number for each image, equally many images each as far as groups allow.

    `groups`: (n,) images with the same number stay together; or n, for no groups.
    """
    members = np.arange(groups) if isinstance(groups, int) else np.asarray(groups)
    names, member = np.unique(members, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    sizes = np.bincount(member)[order]
    middle = np.cumsum(sizes) - sizes / 2
    fold_of_group = np.empty(len(names), dtype=np.intp)
    fold_of_group[order] = (middle * folds / max(sizes.sum(), 1)).astype(np.intp)
    return fold_of_group[member]


def _accuracy(y: FloatArray, predicted: FloatArray) -> float:
    ab = pairwise_accuracy(y, predicted)
    return 0.5 if ab is None else ab
