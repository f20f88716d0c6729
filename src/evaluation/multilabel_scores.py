"""Scores of images × tags against the truth, walked in blocks so that millions fit in memory."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_BLOCK = 1 << 23  # scores in one block


class Scored(NamedTuple):
    """Scores with the positions that are really positive."""

    scores: np.ndarray  # (n, k) of any float type; a memory-mapped file will do
    columns: np.ndarray  # the tag of each positive, (p,), rising
    starts: np.ndarray  # where each tag's positives begin, (k + 1,)
    positive: np.ndarray  # the scores of the positives, (p,)


def against(scores: np.ndarray, labels: "csr_array | np.ndarray") -> Scored:
    """Scores (n, k) with their truth (n, k), nonzero where the image has the tag."""
    from scipy.sparse import csc_array

    if scores.shape != labels.shape or scores.ndim != 2 or not scores.size:
        raise ValueError(f"scores are {scores.shape}, labels {labels.shape}")
    truth: Any = csc_array(labels)
    truth.eliminate_zeros()
    counts = np.diff(truth.indptr)
    columns = np.repeat(np.arange(scores.shape[1]), counts)
    scored = Scored(scores, columns, truth.indptr, scores[truth.indices, columns])
    if any(np.isnan(block.min()) for block in row_blocks(scores)):
        raise ValueError("a score is not a number")
    return scored


def row_blocks(scores: np.ndarray, size: int = _BLOCK) -> Iterator[np.ndarray]:
    """The rows of a matrix, some at a time: about `size` scores."""
    step = max(1, size // scores.shape[1])
    for start in range(0, len(scores), step):
        yield scores[start : start + step]


def sorted_columns(scored: Scored) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Each tag with all its scores and those of its positives, both rising."""
    n, k = scored.scores.shape
    step = max(1, _BLOCK // n)
    for start in range(0, k, step):
        block = np.sort(np.ascontiguousarray(scored.scores[:, start : start + step].T), axis=1)
        for offset, column in enumerate(block):
            tag = start + offset
            first, last = scored.starts[tag], scored.starts[tag + 1]
            yield tag, column, np.sort(scored.positive[first:last])
