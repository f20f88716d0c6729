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
    2021, as the package cleanlab does it: how many labels of each kind are wrong is estimated
    with a threshold for each class, and as many of the least fitting ones are named.

    Args:
        labels: as given, (n,) int.
        probabilities: (n, classes) from models that did not learn the image's own label; images
            with NaN are passed over.

    Raises:
        MissingExtra: cleanlab is not installed.
    """
    judged = np.flatnonzero(np.isfinite(probabilities).all(axis=1))
    present, given = np.unique(labels[judged], return_inverse=True)
    if len(present) < 2:
        return []
    # Classes without a judged image cannot have a threshold: the others share their probability.
    shares = probabilities[np.ix_(judged, present)]
    shares = np.maximum(shares, 1e-12)
    shares = shares / shares.sum(axis=1, keepdims=True)
    wrong = _wrong(given, shares)
    quality = shares[np.arange(len(given)), given]
    return [
        Suspicion(int(judged[row]), float(quality[row]), int(present[shares[row].argmax()]))
        for row in wrong
    ]


def _wrong(given: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Rows with a suspicious label, ordered by the probability of the label itself."""
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        from src.errors import MissingExtra

        raise MissingExtra("cleanlab", "the search for wrong labels") from None
    found: np.ndarray = find_label_issues(
        given,
        shares,
        return_indices_ranked_by="self_confidence",
        filter_by="prune_by_noise_rate",
        n_jobs=1,
    )
    return found
