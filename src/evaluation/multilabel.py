"""How good tag predictions are: F1, F2, MCC and average precision, by tag, micro and macro.

Micro metrics pool the decisions of all tags; macro metrics are the mean over the tags that at
least one image has. Quotients without a denominator are 0, as is usual for F and MCC. By hand: six
times as fast as scikit-learn (500 tags of 20,000 images take 1.1 s, not 6.6 s), and in blocks, so
that beside the scores it takes some 100 MB, however many there are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_BLOCK = 1 << 23  # scores in one block
_POOLED = 1 << 25  # scores sorted at once for the pooled average precision


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


@dataclass(frozen=True)
class TagMetrics:
    """Metrics of each tag, all (k,); rates are float64, counts int64."""

    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray
    tn: np.ndarray
    average_precision: np.ndarray  # NaN for tags that no image has

    @property
    def support(self) -> np.ndarray:
        """How many images have the tag."""
        return np.asarray(self.tp + self.fn)

    @property
    def precision(self) -> np.ndarray:
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> np.ndarray:
        return _ratio(self.tp, self.support)

    def f_score(self, beta: float) -> np.ndarray:
        return f_beta(self.tp, self.fp, self.fn, beta)

    @property
    def mcc(self) -> np.ndarray:
        return matthews(self.tp, self.fp, self.fn, self.tn)


def f_beta(tp: Any, fp: Any, fn: Any, beta: float) -> np.ndarray:
    """F-beta from counts (van Rijsbergen 1979)."""
    return _ratio((1 + beta**2) * tp, (1 + beta**2) * tp + beta**2 * fn + fp)


def matthews(tp: Any, fp: Any, fn: Any, tn: Any) -> np.ndarray:
    """Matthews correlation coefficient from counts."""
    tp, fp, fn, tn = (np.asarray(count, np.float64) for count in (tp, fp, fn, tn))
    return _ratio(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))


def measure_tags(
    scores: np.ndarray, labels: "csr_array | np.ndarray", thresholds: np.ndarray
) -> TagMetrics:
    """Metrics of each tag by its threshold (k,); scores and labels as of `against`."""
    scored = against(scores, labels)
    n, k = scores.shape
    given, tp = np.zeros(k, np.int64), np.zeros(k, np.int64)
    precision = np.full(k, np.nan)
    for tag, column, positive in sorted_columns(scored):
        # In the scores' own type the comparison is that of score >= threshold, also for float16.
        threshold = np.asarray(thresholds[tag], np.float64)
        given[tag] = n - np.searchsorted(column.astype(np.float64), threshold)
        tp[tag] = len(positive) - np.searchsorted(positive.astype(np.float64), threshold)
        if len(positive):
            precision[tag] = _average_precision(n - np.searchsorted(column, positive), positive)
    fp, fn = given - tp, np.diff(scored.starts) - tp
    return TagMetrics(tp, fp, fn, n - tp - fp - fn, precision)


def micro_average_precision(scored: Scored, tags: np.ndarray | None = None) -> float:
    """Average precision of all decisions pooled, exactly; equal scores share one rank.

    `scored` holds at least one positive; `tags` are the positions of those to pool.
    """
    chosen = scored.positive if tags is None else scored.positive[np.isin(scored.columns, tags)]
    positive = np.sort(chosen)
    distinct, first = np.unique(positive, return_index=True)
    at_least = np.zeros(len(distinct), np.int64)
    for block in row_blocks(scored.scores, _POOLED):
        ordered = np.sort(block if tags is None else block[:, tags], axis=None)
        at_least += ordered.size - np.searchsorted(ordered, distinct)
    repeats = np.diff([*first, len(positive)])
    return _average_precision(np.repeat(at_least, repeats), positive)


def _average_precision(at_least: np.ndarray, positive: np.ndarray) -> float:
    """Mean precision at each positive's score, of those that are at least as high, (p,), rising."""
    hits = len(positive) - np.searchsorted(positive, positive)
    return float(np.mean(hits / at_least))


class Slice(NamedTuple):
    """A part of the tags to report on."""

    name: str
    group: str  # whose common threshold applies: "all", or a category's name
    tags: np.ndarray  # their positions


def slices(counts: np.ndarray, kinds: Sequence[str], ranks: Sequence[int] = ()) -> list[Slice]:
    """All tags and each category, whole and without the `rank` most frequent ones.

    Tags are on `counts` (k,) images and of `kinds` (k). Without ranks, the rarer half is taken.
    """
    order = np.argsort(-counts, kind="stable")
    categories = np.array(kinds)
    groups = [("all", "all tags", order)]
    if len(set(kinds)) > 1:
        names = dict.fromkeys(kinds)
        groups += [(name, name, order[categories[order] == name]) for name in names]
    found = []
    for group, name, members in groups:
        found.append(Slice(name, group, np.sort(members)))
        for rank in ranks or (len(members) // 2,):
            if 0 < rank < len(members):
                found.append(Slice(f"{name} from #{rank} down", group, np.sort(members[rank:])))
    return found


def summarise(
    metrics: TagMetrics, *, tags: np.ndarray | None = None, scored: Scored | None = None
) -> dict[str, Any]:
    """Micro and macro metrics of some tags, as JSON values; None where nothing can be measured.

    `tags` are positions, or None for all; `scored` is needed for the micro average precision.
    """
    chosen = np.arange(len(metrics.tp)) if tags is None else tags
    counts = {name: int(getattr(metrics, name)[chosen].sum()) for name in ("tp", "fp", "fn", "tn")}
    tp, fp, fn, tn = counts.values()
    seen = chosen[metrics.support[chosen] > 0]

    def macro(values: np.ndarray) -> float | None:
        return float(values[seen].mean()) if len(seen) else None

    summary: dict[str, Any] = {
        "tags": len(chosen),
        "tags_with_images": len(seen),
        **counts,
        "precision_micro": float(_ratio(tp, tp + fp)),
        "recall_micro": float(_ratio(tp, tp + fn)),
        "f1_micro": float(f_beta(tp, fp, fn, 1)),
        "f2_micro": float(f_beta(tp, fp, fn, 2)),
        "mcc_micro": float(matthews(tp, fp, fn, tn)),
        "f1_macro": macro(metrics.f_score(1)),
        "f2_macro": macro(metrics.f_score(2)),
        "mcc_macro": macro(metrics.mcc),
        "map_macro": macro(metrics.average_precision),
    }
    if scored is not None:
        summary["map_micro"] = micro_average_precision(scored, tags) if len(seen) else None
    return summary


def _ratio(above: Any, below: Any) -> np.ndarray:
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    nothing = np.zeros(np.broadcast(above, below).shape)
    return np.asarray(np.divide(above, below, out=nothing, where=below > 0))
