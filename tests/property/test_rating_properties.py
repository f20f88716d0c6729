"""What holds for any scores, names, choices."""

import itertools
import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from src.errors import DataError
from src.rating.models.answer import Answer, as_choices
from src.rating.models.expectation_propagation import fit
from src.rating.models.initial_scores import existing_deviation, rescale
from src.rating.models.posterior import Belief, Prior
from src.rating.models.scoring import elo_update
from src.rating.storage.score_file import META, ScoreFile, as_text, read_score_file

SCORES = st.floats(-50, 50)
# Any text that JSON and a file system can hold; a backslash would be read as a separator.
NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\\"), min_size=1
).filter(lambda name: name != META)
OUTCOMES = st.sampled_from(["left", "right", "tie"])


@given(SCORES, SCORES, st.sampled_from([0.0, 0.5, 1.0]))
def test_elo_does_not_care_about_sides(left, right, outcome):
    assert elo_update(right, left, 1 - outcome)[::-1] == pytest.approx(
        elo_update(left, right, outcome)
    )


@examples(max_examples=25)
@given(
    st.dictionaries(NAMES, st.floats(-1e6, 1e6)),
    st.dictionaries(st.text(), st.integers()),
)
def test_a_score_file_comes_back_as_it_was(scores, meta):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "score.json"
        content = ScoreFile(scores, meta)
        path.write_text(as_text(content), encoding="utf-8", newline="")
        assert read_score_file(path) == content


@given(
    st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "ignore"))
)
def test_any_bytes_are_scores_or_a_clear_error(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "score.json"
        path.write_bytes(content)
        try:
            read_score_file(path)
        except DataError as error:
            assert str(path) in str(error)
        else:
            assert isinstance(json.loads(content.decode("utf-8-sig")), dict)
        assert path.read_bytes() == content


@given(
    st.dictionaries(st.integers(0, 30).map(str), st.floats(-20, 20), min_size=1),
    st.dictionaries(st.integers(0, 30).map(str), SCORES),
)
def test_rescaled_scores_have_the_existing_spread_and_the_models_order(predictions, existing):
    unrated = predictions.keys() - existing.keys()
    filled = rescale(predictions, existing, unrated)
    assert filled.keys() == unrated
    values = [filled[path] for path in sorted(filled, key=lambda path: predictions[path])]
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(values))
    mean = sum(predictions.values()) / len(predictions)
    if np.std([math.tanh(predictions[path] - mean) for path in filled] or [0]) > 1e-6:
        assert np.std(values) == pytest.approx(existing_deviation(existing))


ANSWERS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 5), OUTCOMES).map(
        lambda t: Answer(t[0], (t[0] + t[1]) % 6, t[2])
    ),
    min_size=1,
    max_size=25,
)


def prior(seed: int) -> Prior:
    rng = np.random.default_rng(seed)
    return Prior(rng.normal(size=(6, 2)), np.zeros(2), np.ones(2), np.full(6, 1.5))


@examples(max_examples=25)
@given(ANSWERS, st.integers(0, 20), st.randoms())
def test_the_fit_depends_on_no_order_and_no_side(answers, seed, chance):
    swap = {"left": "right", "right": "left", "tie": "tie"}
    other = [Answer(right, left, swap[outcome]) for left, right, outcome, _ in answers]
    chance.shuffle(other)
    one, two = (fit(prior(seed), as_choices(list_)) for list_ in (answers, other))
    np.testing.assert_allclose(one.belief.mean, two.belief.mean, atol=1e-2)
    assert one.log_evidence == pytest.approx(two.log_evidence, abs=1e-2)


@examples(max_examples=25)
@given(ANSWERS, st.integers(0, 20))
def test_an_answer_raises_the_winner_against_the_loser_and_makes_surer(answers, seed):
    belief = Belief.start(prior(seed))
    everyone = np.arange(6)
    for left, right, outcome, _ in answers:
        if outcome == "tie":
            continue
        winner, loser = (left, right) if outcome == "left" else (right, left)
        after = belief.after([winner, loser], [1, 0], [0, 0])
        (mean, variance), (before, wider) = (
            one.differences([winner, loser]) for one in (after, belief)
        )
        assert mean > before
        assert variance < wider
        assert (after.variance(everyone) <= belief.variance(everyone) + 1e-9).all()
        assert (after.variance(everyone) > 0).all()
        belief = after
