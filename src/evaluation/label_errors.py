"""Images whose label is probably wrong, by confident learning."""

from typing import NamedTuple

import numpy as np


class Suspicion(NamedTuple):
    """One image whose label is probably wrong."""

    image: int  # its place among the images
    quality: float  # 0 … 1, how well the label fits; the lower the worse
    suggested: int  # the class that fits better


def suspected_labels(labels: np.ndarray, probabilities: np.ndarray) -> list[Suspicion]:
    """Labels that are probably wrong, the most suspicious first.

    Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels",
    2021. For each pair of classes it is estimated how many images labelled with the one belong to
    the other (section 3.1); as many images are named, those that most probably do (section 3.2,
    prune by noise rate), unless the label is the likeliest class itself. The package cleanlab
    names the same ones.

    Args:
        labels: as given, (n,) int.
        probabilities: (n, classes) from models that did not learn the image's own label; images
            with NaN are passed over.
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


def confident_joint(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """How many images with each label probably belong to each class, (classes, classes) int64.

    An image is counted for the likeliest of the classes that it reaches the threshold of: the
    mean probability of the class among the images labelled with it. The counts of each label are
    then scaled to its number of images.

    Args:
        labels: (n,) int; every class occurs.
        probabilities: (n, classes).
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
    scaled = counts * (sizes / counts.sum(axis=1))[:, None]
    return _rounded_rows(scaled)


def _rounded_rows(values: np.ndarray) -> np.ndarray:
    """Whole numbers with the rows' sums kept: the largest remainders are rounded up."""
    whole = np.floor(values).astype(np.int64)
    missing = np.rint(values.sum(axis=1)).astype(np.int64) - whole.sum(axis=1)
    order = np.argsort(whole - values, axis=1, kind="stable")
    ranks = np.argsort(order, axis=1, kind="stable")
    rounded: np.ndarray = whole + (ranks < missing[:, None])
    return rounded
