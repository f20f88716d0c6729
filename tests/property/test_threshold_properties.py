"""No other threshold brings precision and recall closer together."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from src.tagging.thresholds import balanced_threshold

# Few distinct values make many ties.
SCORES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), st.booleans()),
    min_size=1,
    max_size=30,
).filter(lambda pairs: any(positive for _, positive in pairs))


def gap(scores, truth, threshold):
    """|precision - recall| and the hits at a threshold; None where nothing is given."""
    given_tags = scores >= threshold
    if not given_tags.any():
        return None, 0
    hits = int((given_tags & truth).sum())
    return abs(hits / given_tags.sum() - hits / truth.sum()), hits


@settings(max_examples=30)
@given(SCORES)
def test_nearest_to_balance_among_all_thresholds_that_hit(pairs):
    scores = np.array([score for score, _ in pairs], np.float32)
    truth = np.array([positive for _, positive in pairs])
    found = balanced_threshold(scores, scores[truth])
    reached, hits = gap(scores, truth, found)
    k = int(truth.sum())
    # The candidates on either side of the k-th largest score.
    lower = np.sort(scores)[-k]
    above = scores[scores > lower]
    candidates = [lower, *([above.min()] if above.size else [])]
    exact = (scores >= lower).sum() == k
    if exact:
        assert reached == 0
    else:
        gaps = [gap(scores, truth, candidate) for candidate in candidates]
        assert reached <= min(value for value, hit in gaps if hit or len(gaps) == 1) + 1e-12
        assert hits > 0 or all(hit == 0 for _, hit in gaps)


@settings(max_examples=30)
@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_distinct_scores_balance_exactly(n, seed):
    rng = np.random.default_rng(seed)
    scores = rng.permutation(n).astype(np.float32)
    truth = rng.random(n) < 0.3
    truth[0] = True
    assert (scores >= balanced_threshold(scores, scores[truth])).sum() == truth.sum()
