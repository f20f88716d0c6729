"""Labels that are probably wrong: which (confident learning), and how many really are.

By hand, after Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset
labels", 2021: the authors' package cleanlab names the same images, but takes 3.3 s to import.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

_LEAST = 1e-12


class Suspicion(NamedTuple):
    image: int  # its place among the images
    quality: float  # 0 … 1, how well the label fits; the lower the worse
    suggested: int  # the class that fits better


def suspected_labels(labels: np.ndarray, probabilities: np.ndarray) -> list[Suspicion]:
    """Labels that are probably wrong, the most suspicious first.

    For each pair of classes it is estimated how many images labelled with the one belong to the
    other (section 3.1); as many images are named, those that most probably do (section 3.2, prune
    by noise rate), unless the label is the likeliest class itself. Labels (n,) are as given;
    probabilities (n, classes) come from models that did not learn the label, or are NaN.
    """
    judged = np.flatnonzero(np.isfinite(probabilities).all(axis=1))
    present, given = np.unique(labels[judged], return_inverse=True)
    if len(present) < 2:
        return []
    # Classes without a judged image cannot have a threshold: the others share their probability.
    shares = np.maximum(probabilities[np.ix_(judged, present)], 1e-12)
    shares = shares / shares.sum(axis=1, keepdims=True)
    wrong = np.zeros(len(given), dtype=bool)
    counts = confident_joint(given, shares)
    for label, other in np.argwhere(counts > 0).tolist():
        if label == other:
            continue
        members = np.flatnonzero(given == label)
        margins = shares[members, other] - shares[members, label]
        count = min(int(counts[label, other]), len(members))
        lowest = np.partition(margins, -count)[-count]
        wrong[members[margins >= lowest]] = True
    likeliest = shares.argmax(axis=1)
    found = np.flatnonzero(wrong & (likeliest != given))
    quality = shares[np.arange(len(given)), given]
    return [
        Suspicion(int(judged[row]), float(quality[row]), int(present[likeliest[row]]))
        for row in found[np.argsort(quality[found], kind="stable")]
    ]


def wrong_probabilities(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """How probably each label is wrong, (n,); NaN for images with NaN.

    A model that is often unsure disagrees with many labels that are right. Here a label is drawn
    from the model's probabilities, made softer or sharper by a temperature, unless it is wrong;
    then it is any of the other classes. The temperature and the share of wrong labels are those
    under which the given labels are likeliest. Arguments as above.
    """
    from scipy.special import softmax

    result = np.full(len(labels), np.nan)
    judged = np.flatnonzero(np.isfinite(probabilities).all(axis=1))
    if not len(judged):
        return result
    logs = np.log(np.maximum(probabilities[judged], _LEAST))
    best = -np.inf
    for temperature in np.geomspace(0.25, 8, 21):
        right = softmax(logs / temperature, axis=1)[np.arange(len(judged)), labels[judged]]
        other = (1 - right) / max(probabilities.shape[1] - 1, 1)
        share = 0.05
        for _ in range(100):  # expectation maximisation
            either = np.maximum(share * other + (1 - share) * right, _LEAST)
            wrong = share * other / either
            share = float(wrong.mean())
        likelihood = float(np.log(either).sum())
        if likelihood > best:
            best, result[judged] = likelihood, wrong
    return result


def wrong_tag_probabilities(
    labels: Any, probabilities: np.ndarray
) -> tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]:
    """How probably a tag is missing, and how probably a given tag is wrong, by its probability.

    As `wrong_probabilities`, for every decision whether an image has a tag, but the share of tags
    that are missing is not that of tags which are there wrongly. Labels are sparse (n, k);
    probabilities (n, k) come from models that did not learn the image's tags, or are NaN.

    Returns functions of a tag's probability: that it is really there where it is not given, and
    that it is really not there where it is given.
    """
    from scipy.special import expit

    judged = np.flatnonzero(np.isfinite(probabilities).all(axis=1))
    edges = np.linspace(-15, 15, 601)
    x = (edges[:-1] + edges[1:]) / 2
    everything, given = np.zeros((2, len(x)))
    for row in judged.tolist():
        logits = _logit(probabilities[row])
        own = labels.indices[labels.indptr[row] : labels.indptr[row + 1]]
        everything += np.histogram(logits, edges)[0]
        given += np.histogram(logits[own], edges)[0]
    best = (-np.inf, 1.0, 0.0, 0.0)
    for slope in np.geomspace(0.25, 4, 17):
        q = expit(slope * x)
        missing, wrong = 0.05, 0.001
        for _ in range(100):  # expectation maximisation
            present = np.clip((1 - missing) * q + wrong * (1 - q), _LEAST, 1 - _LEAST)
            lost = (everything - given) @ (missing * q / (1 - present))
            false = given @ (wrong * (1 - q) / present)
            missing = lost / max(lost + given.sum() - false, 1.0)
            wrong = false / max(false + (everything - given).sum() - lost, 1.0)
        likelihood = given @ np.log(present) + (everything - given) @ np.log1p(-present)
        if likelihood > best[0]:
            best = (likelihood, slope, missing, wrong)
    _, slope, missing, wrong = best

    def is_missing(p: np.ndarray) -> np.ndarray:
        q = expit(slope * _logit(p))
        return np.asarray(missing * q / (missing * q + (1 - wrong) * (1 - q)))

    def is_wrong(p: np.ndarray) -> np.ndarray:
        q = expit(slope * _logit(p))
        return np.asarray(wrong * (1 - q) / (wrong * (1 - q) + (1 - missing) * q))

    return is_missing, is_wrong


def _logit(p: np.ndarray) -> np.ndarray:
    from scipy.special import logit

    return np.asarray(logit(np.clip(np.asarray(p, np.float64), 1e-6, 1 - 1e-6)))


def confident_joint(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """How many images with each label probably belong to each class, (classes, classes) int64.

    An image is counted for the likeliest of the classes that it reaches the threshold of: the
    mean probability of the class among the images labelled with it. The counts of each label are
    then scaled to its number of images. Every class occurs among the labels.
    """
    classes = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels]
    sizes = np.bincount(labels, minlength=classes)
    thresholds = np.bincount(labels, own, classes) / sizes
    reached = np.where(probabilities >= thresholds - 1e-6, probabilities, -1.0)
    sure = reached.max(axis=1) >= 0
    cells = labels[sure] * classes + reached[sure].argmax(axis=1)
    counts = np.bincount(cells, minlength=classes**2).reshape(classes, classes)
    np.fill_diagonal(counts, np.maximum(np.diag(counts), 1))
    return np.asarray(np.rint(counts * (sizes / counts.sum(axis=1))[:, None]), dtype=np.int64)
