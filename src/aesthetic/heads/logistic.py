"""Logistic regression for two kinds of image, kept and deleted: log-odds as a linear head."""

from collections.abc import Sequence

import numpy as np

from src.aesthetic.heads.base import FloatArray
from src.aesthetic.heads.linear import LinearHead
from src.aesthetic.heads.scaling import Scaler
from src.aesthetic.heads.training_set import TrainingSet
from src.errors import ModelError

PENALTIES = np.logspace(1, -5, 9)  # relative to the largest curvature the loss can have
_FOLDS = 5


def fit_logistic(
    data: TrainingSet, *, blocks: Sequence[int] | None = None, seed: int = 0
) -> LinearHead:
    """Penalised logistic regression on standardised features, both kinds weighing the same.

    Scores are 1 for kept, 0 for deleted. The penalty has the least log-loss in cross-validation.
    With equal weights of both kinds a log-odds of 0 is the border whatever the share of kept
    images; `Calibration` turns it into probabilities.
    """
    from sklearn.linear_model import LogisticRegression

    x, y, w, groups = data
    if not np.isin(y, (0.0, 1.0)).all():
        raise ModelError("head 'logistic' learns from labels 1 (keep) and 0 (delete) only")
    w = w * np.where(y == 1, 0.5 / np.average(y, weights=w), 0.5 / np.average(1 - y, weights=w))
    scaler = Scaler.fit(x, blocks=blocks)
    z = scaler(x)
    basis = np.eye(z.shape[1])
    if len(z) < z.shape[1]:  # the solution lies in the span of the images
        basis, triangle = np.linalg.qr(z.T)
        z = triangle.T
    penalty = _best_penalty(TrainingSet(z, y, w, groups), seed)
    model = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=2000)
    model.fit(z, y, sample_weight=w)
    weight = scaler.factor * (basis @ model.coef_[0])
    return LinearHead(
        weight=weight,
        bias=float(model.intercept_[0] - scaler.mean @ weight),
        fitted_as="logistic",
        penalty=penalty,
    )


def _best_penalty(data: TrainingSet, seed: int) -> float:
    from sklearn.linear_model import LogisticRegression

    z, y, w, groups = data
    penalties = PENALTIES * max(0.25 * float((z**2).sum()), 1e-12)
    folds = [fold for fold in _folds(y, groups, seed) if len(np.unique(y[fold[0]])) == 2]
    if not folds:
        return float(penalties[len(penalties) // 2])
    models = [LogisticRegression(warm_start=True, tol=1e-3) for _ in folds]
    losses: list[float] = []
    for penalty in penalties:
        loss = 0.0
        for model, (inside, outside) in zip(models, folds, strict=True):
            model.set_params(C=1 / penalty).fit(z[inside], y[inside], sample_weight=w[inside])
            logits = model.decision_function(z[outside])
            loss += float(w[outside] @ (np.logaddexp(0, logits) - y[outside] * logits))
        losses.append(loss)
        if loss > 1.1 * min(losses):
            break
    return float(penalties[int(np.argmin(losses))])


def _folds(y: FloatArray, groups: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import StratifiedGroupKFold

    count = min(_FOLDS, *(len(np.unique(groups[y == label])) for label in (0, 1)))
    if count < 2:
        return []
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    return list(splitter.split(y[:, None], y, groups))
