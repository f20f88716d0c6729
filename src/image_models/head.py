"""A linear head on cached features: logistic regression, its penalty chosen by cross-validation."""

import warnings
from typing import Any, NamedTuple, Self

import numpy as np

from src.progress import progress_bar

PENALTIES = tuple(float(value) for value in 10.0 ** np.arange(2.0, -2.5, -0.5))
"""Strengths of the L2 penalty that are tried, for features scaled to a mean square of 1."""

FOLDS = 5
_CHOOSE_ON = 5000  # more images than this do not change which penalty is best
_ONE_FOLD = 2000  # with more images than this, one held-out fold is enough to choose by
_MAX_ITERATIONS = 300
_WORTH_THREADS = 10_000_000  # multiplications
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


class Labelled(NamedTuple):
    """What a head is fitted to."""

    features: np.ndarray  # (n, d)
    labels: np.ndarray  # class of each image, (n,) int
    classes: int  # how many there are
    groups: np.ndarray  # near duplicates share a number, (n,) int
    balanced: bool = False  # weigh every class alike, by the counts in these labels
    seed: int = 0  # of the folds

    def only(self, rows: np.ndarray) -> Self:
        """The same of some of the images."""
        features, labels, groups = self.features[rows], self.labels[rows], self.groups[rows]
        return self._replace(features=features, labels=labels, groups=groups)


def fit_head(data: Labelled, penalty: float) -> LinearHead:
    """Fit the head that minimises mean log-loss plus a penalty on its weights.

    The objective is the sum of log-losses + penalty * d / 2 * |weight|^2, weights being those of
    features at a mean square of 1; the result takes plain features.
    """
    prepared, present = coordinates(data.features), np.unique(data.labels)
    weight, bias = np.zeros((data.classes, data.features.shape[1])), np.full(data.classes, _NEVER)
    bias[present] = 0.0
    if len(present) > 1:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=_strength(data, penalty), **_options(data))
        _fit(model, prepared.points, data)
        fitted, offset = model.coef_, model.intercept_
        if len(present) == 2:  # one logit for two classes: half to either side
            fitted, offset = np.vstack([-fitted, fitted]) / 2, np.concatenate([-offset, offset]) / 2
        basis = prepared.basis
        weight[present] = (fitted if basis is None else fitted @ basis) / prepared.scale
        bias[present] = offset - weight[present] @ prepared.mean
    return LinearHead(weight.astype(np.float32), bias.astype(np.float32))


def choose_penalty(data: Labelled) -> float:
    """The penalty with the lowest log-loss on folds that the head was not fitted on."""
    from sklearn.linear_model import LogisticRegressionCV

    if len(data.labels) > _CHOOSE_ON:
        drawn = np.random.default_rng(data.seed).permutation(len(data.labels))
        data = data.only(drawn[:_CHOOSE_ON])
    folds = make_folds(data)
    if not folds:
        return 1.0
    model = LogisticRegressionCV(
        Cs=[_strength(data, penalty) for penalty in PENALTIES],
        cv=folds[:1] if len(data.labels) > _ONE_FOLD else folds,
        scoring="neg_log_loss",
        **_options(data),
    )
    _fit(model, coordinates(data.features).points, data)
    chosen = float(np.ravel(model.C_)[0])
    return min(PENALTIES, key=lambda penalty: abs(_strength(data, penalty) - chosen))


def out_of_fold(data: Labelled, penalty: float) -> np.ndarray:
    """Probabilities, (n, classes), of heads fitted without the image; NaN if it is in no fold."""
    result = np.full((len(data.labels), data.classes), np.nan)
    folds = make_folds(data)
    with progress_bar(len(folds), "looking for wrong labels", "fold") as bar:
        for train, held_out in folds:
            head = fit_head(data.only(train), penalty)
            result[held_out] = softmax(head.logits(data.features[held_out]))
            bar.update()
    return result


def make_folds(data: Labelled) -> list[tuple[np.ndarray, np.ndarray]]:
    """(train, held out) indexes, stratified by groups; none where a class has a single one."""
    from sklearn.model_selection import StratifiedGroupKFold

    labels, groups = data.labels, data.groups
    fewest = min(len(np.unique(groups[labels == label])) for label in np.unique(labels))
    if fewest < 2:
        return []
    splitter = StratifiedGroupKFold(min(FOLDS, fewest), shuffle=True, random_state=data.seed)
    return list(splitter.split(labels[:, None], labels, groups))


class Coordinates(NamedTuple):
    """Features centred, scaled, and where that is smaller, in coordinates of their span."""

    points: np.ndarray
    basis: np.ndarray | None
    mean: np.ndarray
    scale: float


def coordinates(features: np.ndarray) -> Coordinates:
    """With fewer images than features the optimum lies in their span (representer theorem)."""
    mean = features.mean(axis=0, dtype=np.float64)
    points = features.astype(np.float64) - mean
    scale = float(np.sqrt(np.mean(points**2))) or 1.0
    points /= scale
    if len(points) >= points.shape[1]:
        return Coordinates(points, None, mean, scale)
    # Eigenvectors of the small Gram matrix; much cheaper than a singular value decomposition.
    values, vectors = np.linalg.eigh(points @ points.T)
    keep = values > values[-1] * 1e-12
    lengths = np.sqrt(values[keep])
    basis = (vectors[:, keep] / lengths).T @ points
    return Coordinates(vectors[:, keep] * lengths, basis, mean, scale)


def _strength(data: Labelled, penalty: float) -> float:
    """scikit-learn's C. For two classes it has one row, w, where the head has -w/2 and w/2."""
    rows = 2 if len(np.unique(data.labels)) == 2 else 1
    return float(rows / (penalty * data.features.shape[1]))


def _options(data: Labelled) -> dict[str, Any]:
    balanced = "balanced" if data.balanced else None
    return {"class_weight": balanced, "max_iter": _MAX_ITERATIONS, "tol": 1e-4}


def _fit(model: Any, points: np.ndarray, data: Labelled) -> None:
    work = data.features.size * data.classes
    with few_threads(work), warnings.catch_warnings(action="ignore"):
        model.fit(points, data.labels)  # where it does not converge, it is close enough


def few_threads(work: int) -> Any:
    """One thread where a pass of so many multiplications is too short to gain by more of them."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1 if work < _WORTH_THREADS else None)
