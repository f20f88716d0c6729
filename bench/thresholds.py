"""Thresholds and figures of tag predictions at size: seconds and memory.

    python -m bench.thresholds [TAGS IMAGES]

One exact threshold over 20 million scores; then thresholds and figures of so many tags × images, by
default 5,500 × 100,000.
"""

import json
import resource
import sys
import time
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from src.evaluation.multilabel import against, measure_tags, slices, summarise
from src.tagging.selected_tags import SelectedTag
from src.tagging.thresholds import balanced_threshold, choose_thresholds

TAGS_PER_IMAGE = 30


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def one_threshold(n: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    scores = rng.random(n, dtype=np.float32)
    truth = rng.random(n, dtype=np.float32) < 0.02 + 0.3 * scores**4
    positive = scores[truth]
    start = time.perf_counter()
    threshold = balanced_threshold(scores, positive)
    seconds = time.perf_counter() - start
    hits = int((positive >= threshold).sum())
    given = int((scores >= threshold).sum())
    return {
        "scores": n,
        "seconds": round(seconds, 3),
        "precision": hits / given,
        "recall": hits / len(positive),
    }


def many_tags(k: int, n: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    popularity = 1 / np.arange(1, k + 1) ** 0.8
    popularity *= TAGS_PER_IMAGE / popularity.sum()
    rows = [rng.random(k, dtype=np.float32) < popularity for _ in range(min(n, 2000))]
    pattern = csr_array(np.array(rows, np.uint8))
    repeats = -(-n // pattern.shape[0])
    starts = np.concatenate(
        [[0]] + [pattern.indptr[1:] + block * pattern.nnz for block in range(repeats)]
    )[: n + 1]
    indices = np.tile(pattern.indices, repeats)[: starts[-1]]
    labels = csr_array((np.ones(len(indices), np.uint8), indices, starts), shape=(n, k))
    scores = np.empty((n, k), np.float16)
    for row in range(0, n, 1000):
        scores[row : row + 1000] = rng.random((min(1000, n - row), k), dtype=np.float32) ** 3
    row_of = np.repeat(np.arange(n), np.diff(starts))
    scores[row_of, indices] = rng.random(len(indices), dtype=np.float32) ** 0.5
    tags = [SelectedTag(i, f"tag{i}", (0, 4, 3)[i % 3], k - i) for i in range(k)]
    before = peak_gib()

    start = time.perf_counter()
    thresholds = choose_thresholds(scores, labels, tags)
    chosen = time.perf_counter()
    metrics = measure_tags(scores, labels, thresholds.of(tags, "global"))
    measured = time.perf_counter()
    scored = against(scores, labels)
    counts, kinds = np.array([tag.count for tag in tags]), [str(tag.category) for tag in tags]
    table = [summarise(metrics, tags=part.tags, scored=scored) for part in slices(counts, kinds)]
    end = time.perf_counter()
    return {
        "tags": k,
        "images": n,
        "seconds_thresholds": round(chosen - start, 1),
        "seconds_by_tag": round(measured - chosen, 1),
        "seconds_slices": round(end - measured, 1),
        "gib_inputs": round(before, 2),
        "gib_peak": round(peak_gib(), 2),
        "f1_micro": round(table[0]["f1_micro"], 4),
        "precision_minus_recall": table[0]["precision_micro"] - table[0]["recall_micro"],
    }


def main() -> None:
    """Measure and print."""
    sizes = [int(word) for word in sys.argv[1:]] or [5_500, 100_000]
    result = {"one_threshold": one_threshold(20_000_000), "many_tags": many_tags(*sizes)}
    print(json.dumps({"bench": "thresholds", **result}))


if __name__ == "__main__":
    main()
