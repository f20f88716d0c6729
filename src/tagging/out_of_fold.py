"""Probabilities of tags for images that no model learnt: ridge regression on stored features.

A ridge regression for every tag at once has a closed form, and the Gram matrix of a fold is that of
all images less the fold's own; so five folds cost little more than one fit, and there is nothing
to tune. Its scores become probabilities by a logistic curve for each tag.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from src.dataset.split import split
from src.progress import progress_bar

if TYPE_CHECKING:
    from scipy.sparse import csr_array

PENALTIES = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0)
"""Strengths that are tried, in units of the features' mean variance times the number of images."""

FOLDS = 5
_STEPS = 25
_COLUMNS = 1 << 22  # scores calibrated at once
_LEAST_CURVATURE = 1e-6


def out_of_fold(
    features: np.ndarray,
    labels: "csr_array",
    sha256s: list[bytes],
    groups: np.ndarray,
    *,
    folds: int = FOLDS,
) -> np.ndarray:
    """Each image's probabilities from a model that was fitted without it and its duplicates.

    Args:
        features: (n, d).
        labels: (n, k) of zeros and ones.
        sha256s: content of each image.
        groups: duplicates, which stay in one fold, (n,) int.
        folds: how many; five leave four fifths of the images to learn from.

    Returns:
        (n, k) float32.
    """
    scores = np.zeros(labels.shape, np.float32)
    points = _coordinates(features)
    gram, towards = points.T @ points, _products(points, labels)
    shares = np.asarray(labels.mean(axis=0)).ravel()
    sums = points.sum(axis=0)
    penalty: float | None = None
    with progress_bar(folds, "probabilities of images not trained on", "fold") as bar:
        for fold in make_folds(sha256s, groups, folds):
            own, own_labels = points[fold], labels[fold]
            values, vectors = np.linalg.eigh(gram - own.T @ own)
            # Centred labels: the labels' mean over all images is the intercept.
            target = towards - _products(own, own_labels)
            target -= np.outer(sums - own.sum(axis=0), shares)
            turned, seen = vectors.T @ target, own @ vectors
            unit = float(values.mean()) or 1.0
            if penalty is None:  # chosen on the first fold, good for all
                truth = own_labels.toarray() - shares
                errors = [
                    float(((seen @ (turned / (values + p * unit)[:, None]) - truth) ** 2).sum())
                    for p in PENALTIES
                ]
                penalty = PENALTIES[int(np.argmin(errors))]
            scores[fold] = seen @ (turned / (values + penalty * unit)[:, None])
            bar.update()
    return calibrate(scores, labels)


def calibrate(scores: np.ndarray, labels: "csr_array") -> np.ndarray:
    """Scores as probabilities: for each tag the logistic curve that fits its labels.

    Platt, "Probabilistic outputs for support vector machines", 1999, with its softened labels,
    which keep the curves of rare tags from becoming steps; by damped Newton steps for many tags
    at once. A curve never falls: where higher scores do not speak for the tag it is flat.

    Args:
        scores: (n, k).
        labels: (n, k) of zeros and ones.

    Returns:
        (n, k) float32.
    """
    n, k = scores.shape
    result = np.empty((n, k), np.float32)
    step = max(1, _COLUMNS // n)
    for start in range(0, k, step):
        part = slice(start, start + step)
        s = scores[:, part].astype(np.float64)
        s = (s - s.mean(axis=0)) / np.maximum(s.std(axis=0), 1e-12)
        given = labels[:, part].toarray()
        count = given.sum(axis=0)
        target = np.where(given > 0, (count + 1) / (count + 2), 1 / (n - count + 2))
        slope = np.zeros(s.shape[1])
        offset = np.log(target.mean(axis=0) / (1 - target.mean(axis=0)))
        for _ in range(_STEPS):
            p = _logistic(slope * s + offset)
            weight = p * (1 - p)
            miss = p - target
            down, across = miss.sum(axis=0), (miss * s).sum(axis=0)
            a = weight.sum(axis=0) + _LEAST_CURVATURE
            b = (weight * s).sum(axis=0)
            c = (weight * s * s).sum(axis=0) + _LEAST_CURVATURE
            determinant = a * c - b * b + _LEAST_CURVATURE
            slope -= np.clip((a * across - b * down) / determinant, -1, 1)
            offset -= np.clip((c * down - b * across) / determinant, -2, 2)
        flat = slope <= 0
        slope[flat] = 0
        offset[flat] = np.log(target.mean(axis=0) / (1 - target.mean(axis=0)))[flat]
        result[:, part] = _logistic(slope * s + offset)
    return result


def make_folds(sha256s: list[bytes], groups: np.ndarray, folds: int) -> Iterator[np.ndarray]:
    """Masks (n,) that cover every image once; groups are never torn apart."""
    left = np.arange(len(groups))
    for fold in range(folds):
        chosen = np.ones(len(left), bool)
        if fold < folds - 1:
            own = [sha256s[index] for index in left.tolist()]
            chosen = split(own, groups[left], fraction=1 / (folds - fold), seed=fold)
        mask = np.zeros(len(groups), bool)
        mask[left[chosen]] = True
        left = left[~chosen]
        if mask.any():
            yield mask


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits, float32."""
    return np.asarray(_logistic(logits), np.float32)


def _logistic(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) without overflow."""
    result: np.ndarray = 0.5 * (1 + np.tanh(0.5 * x))
    return result


def _coordinates(features: np.ndarray) -> np.ndarray:
    """Centred features, (n, min(n, d)): with few images, in the coordinates of their span."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    if len(centred) < centred.shape[1]:
        values, vectors = np.linalg.eigh(centred @ centred.T)
        keep = values > values[-1] * 1e-10
        centred = vectors[:, keep] * np.sqrt(values[keep])
    return np.asarray(centred)


def _products(points: np.ndarray, labels: "csr_array") -> np.ndarray:
    """points.T @ labels, (d, k) float64."""
    return np.asarray((labels.astype(np.float64).T @ points).T)
