"""A linear head on cached features: logistic regression, its penalty chosen by cross-validation.

scikit-learn's GridSearchCV over a PCA and a LogisticRegression finds the same log-loss, and takes
2.5 to 3.6 times as long as this (2.3 s against less than 1 s for 330 images).
"""

import warnings
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Self

import numpy as np

from src.progress import progress_bar

PENALTIES = tuple(float(value) for value in 10.0 ** np.arange(2.0, -2.5, -0.5))
"""Strengths of the L2 penalty that are tried, for features scaled to a mean square of 1."""

FOLDS = 5
_CHOOSE_ON = 5000  # more images than this do not change which penalty is best
_ONE_FOLD = 2000  # with more images than this, one held-out fold is enough to choose by
_MAX_ITERATIONS = 300
_WORTH_THREADS = 10_000_000  # multiplications in one pass over the images
_NEVER = -30.0  # logit of a class without images


class LinearHead(NamedTuple):
    """logits = features @ weight.T + bias; weight (classes, d) and bias (classes) are float32."""

    weight: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(n, d) to (n, classes)."""
        return np.asarray(features @ self.weight.T + self.bias)

    @classmethod
    def of(cls, layer: Any) -> Self:
        """A copy of the weights of a torch layer."""
        weight = layer.weight.detach().float().cpu().numpy().copy()
        if layer.bias is None:
            return cls(weight, np.zeros(len(weight), np.float32))
        return cls(weight, layer.bias.detach().float().cpu().numpy().copy())

    def put_into(self, layer: Any) -> None:
        """Make a torch layer of the same size compute this."""
        import torch

        if layer.bias is None:
            layer.bias = torch.nn.Parameter(layer.weight.new_empty(len(self.bias)))
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(self.weight))
            layer.bias.copy_(torch.from_numpy(self.bias))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis, float64."""
    exponentials = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def fit_head(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    *,
    penalty: float,
    balanced: bool = False,
) -> LinearHead:
    """Fit the head that minimises mean log-loss plus a penalty on its weights.

    Features are centred and brought to a mean square of 1 by one common factor, so that the
    penalty means the same for every model; the result takes plain features. The optimum lies in
    the span of the images (the representer theorem), so with fewer images than features it is
    looked for there.

    Args:
        features: (n, d).
        labels: class of each image, (n,) int.
        classes: how many there are.
        penalty: the objective is sum of log-losses + penalty * d / 2 * |weight|^2, weights being
            those of the scaled features.
        balanced: weigh every class alike, by the counts in these labels.
    """
    with _few_threads(features, classes):
        return _fit(_prepare(features), labels, classes, penalty, balanced)


def choose_penalty(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    groups: np.ndarray,
    *,
    balanced: bool = False,
    seed: int = 0,
) -> float:
    """The penalty with the lowest log-loss on folds that the head was not fitted on.

    Arguments as for `fit_head`; images of a group (n,) int stay in one fold.
    """
    if len(labels) > _CHOOSE_ON:
        some = np.random.default_rng(seed).permutation(len(labels))[:_CHOOSE_ON]
        features, labels, groups = features[some], labels[some], groups[some]
    folds = make_folds(labels, groups, seed)
    if len(labels) > _ONE_FOLD:
        folds = folds[:1]
    losses = np.zeros(len(PENALTIES))
    with (
        _few_threads(features, classes),
        progress_bar(len(folds) * len(PENALTIES), "choosing the penalty", "fit") as bar,
    ):
        for train, held_out in folds:
            prepared, true = _prepare(features[train]), labels[held_out]
            for index, penalty in enumerate(PENALTIES):
                head = _fit(prepared, labels[train], classes, penalty, balanced)
                right = softmax(head.logits(features[held_out]))[np.arange(len(true)), true]
                losses[index] -= np.log(np.maximum(right, 1e-12)).sum()
                bar.update()
    return PENALTIES[int(np.argmin(losses))] if folds else 1.0


def out_of_fold(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    groups: np.ndarray,
    *,
    penalty: float,
    balanced: bool = False,
    seed: int = 0,
) -> np.ndarray:
    """Probabilities for each image from heads that were fitted without it, (n, classes) float64.

    Arguments as for `choose_penalty`. Images that could be in no fold have NaN.
    """
    result = np.full((len(labels), classes), np.nan)
    folds = make_folds(labels, groups, seed)
    with (
        _few_threads(features, classes),
        progress_bar(len(folds), "looking for wrong labels", "fold") as bar,
    ):
        for train, held_out in folds:
            head = _fit(_prepare(features[train]), labels[train], classes, penalty, balanced)
            result[held_out] = softmax(head.logits(features[held_out]))
            bar.update()
    return result


def make_folds(
    labels: np.ndarray, groups: np.ndarray, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Seeded folds as (train, held out) indexes, stratified, with groups kept together.

    Fewer folds where a class has fewer groups; none where a class has a single one.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    fewest = min(len(np.unique(groups[labels == label])) for label in np.unique(labels))
    if fewest < 2:
        return []
    splitter = StratifiedGroupKFold(min(FOLDS, fewest), shuffle=True, random_state=seed)
    return list(splitter.split(labels[:, None], labels, groups))


def _few_threads(features: np.ndarray, classes: int) -> AbstractContextManager[Any]:
    """One thread where a pass over the images takes so little time that more would cost more."""
    from threadpoolctl import threadpool_limits

    few = features.size * classes < _WORTH_THREADS
    limits: AbstractContextManager[Any] = threadpool_limits(1 if few else None)
    return limits


class _Prepared(NamedTuple):
    """Features centred, scaled, and where that is smaller, in coordinates of their span."""

    points: np.ndarray
    basis: np.ndarray | None
    mean: np.ndarray
    scale: float


def _prepare(features: np.ndarray) -> _Prepared:
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features.astype(np.float64) - mean
    scale = float(np.sqrt(np.mean(centred**2))) or 1.0
    return _Prepared(*_span(centred / scale), mean, scale)


def _span(points: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Coordinates (n, r) in an orthonormal basis (r, d) of the points, r = n, if n < d."""
    if len(points) >= points.shape[1]:
        return points, None
    # Eigenvectors of the small Gram matrix; much cheaper than a singular value decomposition.
    values, vectors = np.linalg.eigh(points @ points.T)
    keep = values > values[-1] * 1e-12
    lengths = np.sqrt(values[keep])
    return vectors[:, keep] * lengths, (vectors[:, keep] / lengths).T @ points


def _fit(
    prepared: _Prepared, labels: np.ndarray, classes: int, penalty: float, balanced: bool
) -> LinearHead:
    """As `fit_head`; classes that do not occur among the labels get a logit of minus 30."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    features, present = len(prepared.mean), np.unique(labels)
    weight, bias = np.zeros((classes, features)), np.full(classes, _NEVER)
    bias[present] = 0.0
    if len(present) > 1:
        # For two classes the solver has one row, w, where the head has two: -w/2 and w/2.
        rows = 2 if len(present) == 2 else 1
        model = LogisticRegression(
            C=rows / (penalty * features),
            class_weight="balanced" if balanced else None,
            max_iter=_MAX_ITERATIONS,
            tol=1e-4,
        )
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            model.fit(prepared.points, labels)  # close enough after so many steps
        fitted, offset = model.coef_, model.intercept_
        if rows == 2:
            fitted, offset = np.vstack([-fitted, fitted]) / 2, np.concatenate([-offset, offset]) / 2
        basis = prepared.basis
        weight[present] = (fitted if basis is None else fitted @ basis) / prepared.scale
        bias[present] = offset - weight[present] @ prepared.mean
    return LinearHead(weight.astype(np.float32), bias.astype(np.float32))
