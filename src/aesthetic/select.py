"""Choosing the head by nested cross-validation; the figures, without words."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from src.aesthetic.heads import Head, fit_head
from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.training_set import TrainingSet, assign_folds
from src.aesthetic.mlp.fitting import MlpFit, fit_ensemble
from src.evaluation.rank_metrics import pairwise_accuracy, resampled_accuracies
from src.evaluation.resampling import percentiles
from src.settings.mlp import Mlp, PredictorTrainingArgs

NETWORKS = "networks"
CANDIDATES = ("kernel", "ridge")
FEWEST = 20  # with fewer images the differences between methods cannot be seen
_FOLDS = 5
_RESAMPLES = 400
_MANY = 500  # images: above, one round of networks is enough, and each takes long
_EPOCHS = 60
_MOST_STEPS = 2_400  # optimizer steps; with more than 320 images there are fewer epochs


class AutoFit(NamedTuple):
    """The chosen head and how it came to be chosen; with few images without a comparison."""

    head: Head  # fitted on all images
    method: str  # its name
    out_of_fold: FloatArray | None = None  # (n,) in the units of the scores
    accuracies: Mapping[str, float] = {}  # AB of each candidate out of fold, the one to beat first
    clearly_worse: tuple[str, ...] = ()  # than the chosen one, beyond chance


def fit_auto(
    data: TrainingSet,
    *,
    seed: int = 0,
    blocks: Sequence[int] | None = None,
    prior: Head | None = None,
    candidates: Sequence[str] = CANDIDATES,
    networks: bool = False,
) -> AutoFit:
    """Fit the first candidate, or one that orders left-out images clearly better; as `fit_head`.

    With `networks` small networks are the one to beat, unless there is a prior to correct.
    """
    y, fold = data.scores, assign_folds(data.groups, _FOLDS, seed)

    def fit(method: str, data: TrainingSet = data) -> Head:
        return fit_head(method, *data, seed=seed, blocks=blocks, prior=prior)

    if not _comparable(y, fold):
        return AutoFit(fit(candidates[0]), candidates[0])
    stack = fit_networks(data, seed) if networks and prior is None else None
    predictions: dict[str, FloatArray] = {}
    if stack and stack.out_of_fold is not None:
        predictions[NETWORKS] = stack.out_of_fold
    for method in candidates:
        predictions[method] = np.empty(len(y))
        for k in range(_FOLDS):
            outside = fold == k
            head = fit(method, data.only(~outside))
            predictions[method][outside] = head.predict(data.features[outside])
    best = choose_method(y, predictions, data.groups)
    behind = _gains(y, predictions, best, data.groups)
    return AutoFit(
        stack.head if stack and best == NETWORKS else fit(best),
        best,
        predictions[best],
        {name: _accuracy(y, predicted) for name, predicted in predictions.items()},
        tuple(name for name, (_, high) in behind.items() if high < 0),
    )


def fit_networks(data: TrainingSet, seed: int = 0) -> MlpFit:
    """Small networks, each trained on pairs without a fifth of the images; their mean.

    64 and 32 units with ReLU and dropout, on standardised features, margin ranking loss, AdamW.
    There are two rounds of five with different fifths, so that two networks know nothing of an
    image; their mean is its prediction. With many images there is one round.
    """
    images = len(data.scores)
    mlp = Mlp(
        aesthetic_model_hidden=(64, 32),
        aesthetic_model_dropouts=(0.3, 0.2),
        aesthetic_model_relu=True,
        aesthetic_model_standardise=True,
        mlp_members=_FOLDS,
        training_args=PredictorTrainingArgs(
            num_train_epochs=_EPOCHS,
            max_steps=_MOST_STEPS if _EPOCHS * (images // 8) > _MOST_STEPS else -1,
            learning_rate=1e-3,
            lr_scheduler_type="cosine",
            warmup_ratio=0.1,
            weight_decay=0.01,
            seed=seed,
        ),
        device="cpu",
    )
    second = assign_folds(data.groups, _FOLDS, seed + _FOLDS)
    again = images <= _MANY and _comparable(data.scores, second)
    fit = fit_ensemble(data, mlp, rounds=2 if again else 1)
    if fit.interrupted or fit.out_of_fold is None:
        raise KeyboardInterrupt
    return fit


def choose_method(y: FloatArray, predictions: Mapping[str, FloatArray], groups: ArrayLike) -> str:
    """The most accurate of those whose gain over the first is beyond chance, else the first."""
    first = next(iter(predictions))
    better = [name for name, (low, _) in _gains(y, predictions, first, groups).items() if low > 0]
    return max(better, key=lambda name: _accuracy(y, predictions[name]), default=first)


def _gains(
    y: FloatArray, predictions: Mapping[str, FloatArray], over: str, groups: ArrayLike
) -> dict[str, list[float]]:
    """95 % intervals of the AB of every other candidate minus that of one, on one resampling."""
    found = resampled_accuracies(y, predictions, bootstrap=_RESAMPLES, groups=groups)
    base = found.pop(over)
    return {name: percentiles(found[name] - base) or [0.0, 0.0] for name in found}


def _comparable(y: FloatArray, fold: NDArray[np.intp]) -> bool:
    """Whether there are enough images, and different scores outside each fold."""
    return len(y) >= FEWEST and all(len(np.unique(y[fold != k])) > 1 for k in np.unique(fold))


def _accuracy(y: FloatArray, predicted: FloatArray) -> float:
    ab = pairwise_accuracy(y, predicted)
    return 0.5 if ab is None else ab
