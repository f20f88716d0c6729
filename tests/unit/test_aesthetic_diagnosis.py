"""What would help, how far one could get, and whether the model became better."""

import math

import numpy as np
import pytest

from src.aesthetic.choices import RepeatedChoices, repeated_choices
from src.aesthetic.diagnosis import Comparison, Diagnosis, compare_models, feature_parts
from src.aesthetic.diagnostics import CurvePoint
from src.aesthetic.heads.linear import LinearHead
from src.aesthetic.predictor import Predictor
from src.aesthetic.saving import previous_model
from src.features import builtin
from src.rating.storage.choice_log import ChoiceLog, Event


def test_a_rising_curve_asks_for_ratings_and_a_flat_one_for_features():
    rising = Diagnosis(curve=[CurvePoint(50, 0.60, 0.01), CurvePoint(100, 0.65, 0.01)])
    assert "rose by 5.0 points" in rising.sentences()[0]
    assert "more images would still help" in rising.sentences()[0]
    # √(0.03² + 0.04²) = 0.05: a gain of 0.04 is within chance.
    flat = Diagnosis(curve=[CurvePoint(50, 0.60, 0.03), CurvePoint(100, 0.64, 0.04)])
    assert "hardly changed" in flat.sentences()[0]
    assert Diagnosis().sentences() == []


@pytest.mark.parametrize(
    ("interval", "words"),
    [((0.01, 0.05), "better"), ((-0.05, -0.01), "worse"), ((-0.01, 0.04), "no clear difference")],
)
def test_the_previous_model_is_compared_in_words(interval, words):
    sentence = Diagnosis(previous=Comparison(0.70, 0.72, interval)).sentences()[0]
    assert "70.0%" in sentence and "72.0%" in sentence and words in sentence


def log_choices(folder, events):
    log = ChoiceLog(folder)
    for event in events:
        log.append(event)
    log.close()


def test_the_ceiling_follows_from_repeats(tmp_path):
    # 16 pairs of random images, each repeated with sides swapped; four answered otherwise.
    events = []
    for i in range(16):
        events.append(Event(f"{i}.png", f"{i + 16}.png", "left", "audit"))
    for i in range(16):
        outcome = "left" if i < 4 else "right"
        events.append(Event(f"{i + 16}.png", f"{i}.png", outcome, "repeat"))
    log_choices(tmp_path, events)
    paths = [f"{i}.png" for i in range(32)]
    scores = np.where(np.arange(32) < 8, 1.0, -np.arange(32) + 20.0)  # 0 … 7 beat nobody at 16 … 19
    scored = np.ones(32, dtype=bool)
    found = repeated_choices(tmp_path, paths, scores, scored)
    assert (found.repeats, found.same) == (16, 12)
    p = found.ceiling
    assert p**2 + (1 - p) ** 2 == pytest.approx(12 / 16)
    assert p > 0.5
    # Left wins in each audit; the model agrees where score[i] > score[i + 16].
    assert found.choices == 16
    assert found.agreement == pytest.approx(np.mean(scores[:16] > scores[16:]))
    hidden = scored & (np.arange(32) != 0)  # one of the pairs was trained on
    assert repeated_choices(tmp_path, paths, scores, hidden).choices == 15


def test_without_repeats_nothing_is_said(tmp_path):
    nobody = np.zeros(0)
    assert repeated_choices(tmp_path, [], nobody, nobody.astype(bool)) is None
    log_choices(tmp_path, [Event("a.png", "b.png", "left", "audit")])
    assert repeated_choices(tmp_path, ["a.png"], np.zeros(1), np.ones(1, dtype=bool)) is None


def test_a_log_that_is_in_use_is_no_reason_to_fail(tmp_path):
    log = ChoiceLog(tmp_path)
    try:
        assert repeated_choices(tmp_path, [], np.zeros(0), np.zeros(0, dtype=bool)) is None
    finally:
        log.close()


def test_somebody_who_answers_at_random_has_no_ceiling():
    own = RepeatedChoices(repeats=20, same=9, ceiling=None, choices=0, agreement=None)
    assert "nobody can agree" not in Diagnosis(own=own).sentences()[0]


def test_parts_of_the_features_are_named_and_cover_all_columns():
    extractors = [{"name": "builtin"}, {"name": "models/clip/"}]
    parts = feature_parts(extractors, (builtin.SIZE, 7))
    assert parts["clip"] == slice(builtin.SIZE, builtin.SIZE + 7)
    columns = [c for part in parts.values() for c in range(part.start, part.stop)]
    assert columns == list(range(builtin.SIZE + 7))
    names = builtin.names()
    assert all("sharp" in name for name in names[parts["sharpness"]])
    assert all(name.startswith("colour cast") for name in names[:6])
    assert parts["colour cast"].start == 0
    assert [n for n in names if n.startswith("layout")] == [
        n for n in names[parts["layout"]] if n.startswith("layout")
    ]


class Data:
    """As much of `RatedFeatures` as a comparison looks at."""

    def __init__(self, features, test):
        self.features, self.test = features, test


def test_models_are_compared_on_the_test_images_alone():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    test = np.arange(60) >= 30
    old = Predictor(LinearHead(np.array([0.0, 1.0]), 0.0))
    given = x[:, 0]
    found = compare_models(old, Data(x, test), given, x[:, 0])
    assert found.now == 1.0
    pairs = [
        (x[i, 1] > x[j, 1]) == (given[i] > given[j]) for i in range(30, 60) for j in range(30, i)
    ]
    assert found.previous == pytest.approx(np.mean(pairs))
    assert found.interval[0] > 0
    assert compare_models(None, Data(x, test), given, given) is None
    assert compare_models(old, Data(x, np.zeros(60, dtype=bool)), given, given) is None


def test_a_model_that_has_seen_the_test_images_is_not_compared(tmp_path):
    made = {"test_pick_seed": 1, "fraction_for_test": 0.25, "loss_model": "ranking"}
    extractors = [{"name": "x", "identity": "x|v1"}]
    assert previous_model(tmp_path, extractors, made) is None
    head = LinearHead(np.ones(2), 0.0)
    Predictor(head, extractors=tuple(extractors), provenance=made).save(tmp_path)
    assert previous_model(tmp_path, extractors, made) is not None
    assert previous_model(tmp_path, extractors, made | {"fraction_for_test": 0.2}) is not None
    for other in ({"fraction_for_test": 0.3}, {"test_pick_seed": 2}, {"loss_model": "bce"}):
        assert previous_model(tmp_path, extractors, made | other) is None
    assert previous_model(tmp_path, [{"name": "y", "identity": "y|v1"}], made) is None
    assert math.isclose(Predictor.load(tmp_path).std, 1.0)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    assert previous_model(tmp_path, extractors, made) is None
