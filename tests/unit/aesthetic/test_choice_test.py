"""A model's share of foretold choices is that on images it has never met."""

import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from src.aesthetic.choice_test import foretell, foretell_by
from src.aesthetic.choices import FEWEST, ChoiceData, read_choice_data
from src.aesthetic.heads import fit_head
from src.evaluation.proportion import Proportion
from src.evaluation.rank_metrics import pairwise_accuracy
from src.rating.models.answer import Answer
from src.rating.models.feature_space import feature_space, without_features
from src.rating.models.initial_scores import InitialScores
from src.rating.models.scoring import PosteriorScoring
from src.rating.session import RatingDatabase
from src.rating.storage.score_file import read_score_file
from tests.unit.aesthetic.test_evaluate import rated


@pytest.fixture
def folder():
    """In memory where there is such a place: every choice waits for the disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        yield Path(name)


def rate(folder, taste, features, choices, seed=0, selection="active"):
    """A person whose choices follow logistic noise around a taste that is known."""
    rng = np.random.default_rng(seed)
    names = [f"{number:03d}.png" for number in range(len(taste))]
    for name in names:
        (folder / name).touch()
    vectors = None if features is None else dict(zip(names, features, strict=True))
    with RatingDatabase(folder, images=names, seed=seed, selection=selection) as database:
        if vectors:
            database.set_features(vectors)
        for _ in range(choices):
            left, right = database.next_set()
            margin = taste[int(left[:3])] - taste[int(right[:3])]
            chance = 1 / (1 + np.exp(-margin))
            database.record(left, right, "left" if rng.random() < chance else "right")
    return names


def read(folder, x):
    """The scores that the window wrote, of images that are empty files."""
    data = rated(len(x), x.shape[1])
    names = [f"{number:03d}.png" for number in range(len(x))]
    given = read_score_file(folder / "score.json").rated()
    rows = [row for row, name in enumerate(names) if name in given]
    holder = replace(
        data.holder,
        directory=folder,
        files=tuple(SimpleNamespace(path=names[row]) for row in rows),
        scores=np.array([given[names[row]] for row in rows]),
        weights=np.ones(len(rows)),
        source="score.json",
    )
    none = np.zeros(len(rows), dtype=bool)
    return replace(
        data, holder=holder, features=x[rows].astype(np.float32), groups=np.arange(len(rows)),
        test=none, seen=none, seen_by_features=none,
    )  # fmt: skip


def ridge(data):
    def fit(rows, scores, answers):
        return fit_head("ridge", data.features[rows], scores[rows]).predict(data.features)

    return fit


@pytest.mark.parametrize("in_window", [False, True])
def test_reported_and_true_share_agree(folder, in_window):
    """Agreement with scores made from the model's own features flatters; choices do not."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, 30))
    taste = x @ rng.normal(size=30) / 30**0.5 * 1.4 + rng.normal(0, 1.2, 300)
    rate(folder, taste[:150], x[:150] if in_window else None, 300, selection="random")
    data = read(folder, x[:150])
    choices = read_choice_data(data)
    assert (choices.scoring.space.width > 0) == in_window
    found = foretell(data, choices, ridge(data), np.ones(len(data.holder), dtype=bool))
    assert found.random.trials > 15 and found.left_out == 0
    assert found.random.trials + found.picked.trials + choices.kinds.count("repeat") == 300
    head = fit_head("ridge", data.features, data.holder.scores)
    out = head.predict(x[150:].astype(np.float32))
    i, j = np.triu_indices(150, 1)
    chance = 1 / (1 + np.exp(taste[150:][j] - taste[150:][i]))
    true = float(np.mean(np.where(out[i] > out[j], chance, 1 - chance)))
    low, high = found.random.interval
    assert low < true < high
    if in_window:
        assert pairwise_accuracy(data.holder.scores, found.scores) > true + 0.03


def test_noise_is_foretold_no_better_than_a_coin(folder):
    x = np.random.default_rng(0).normal(size=(60, 30))
    rate(folder, np.zeros(60), x, 150, selection="random")
    data = read(folder, x)
    choices = read_choice_data(data)
    found = foretell(data, choices, ridge(data), np.ones(60, dtype=bool))
    everything = found.random + found.picked
    assert everything.interval[0] < 0.5 < everything.interval[1]
    by_heart = foretell_by(choices, data.holder.scores, np.ones(60, dtype=bool))
    assert (by_heart.random + by_heart.picked).value > 0.65


def test_no_fit_is_given_a_choice_or_an_image_of_its_fold(folder):
    x = np.random.default_rng(0).normal(size=(60, 3))
    rate(folder, x[:, 0], None, 150)
    data = read(folder, x)
    data = replace(data, groups=np.arange(len(data.holder)) // 2)  # pairs of near duplicates
    choices = read_choice_data(data)
    left_out = []

    def fit(rows, scores, answers):
        outside = set(np.flatnonzero(~rows).tolist())
        given = {image for answer in answers for image in answer[:2]}
        assert given <= set(np.flatnonzero(rows).tolist())
        left_out.append(outside)
        return data.features[:, 0].astype(float)

    unseen = np.arange(len(data.holder)) >= 10
    found = foretell(data, choices, fit, unseen, folds=4)
    assert len(left_out) == 4 and set.union(*left_out) == set(range(len(data.holder)))
    between = [
        a for a, kind in zip(choices.answers, choices.kinds, strict=True)
        if kind != "repeat" and unseen[a.left] and unseen[a.right]
    ]  # fmt: skip
    assert found.random.trials + found.picked.trials == len(between)
    assert found.left_out == 150 - choices.kinds.count("repeat") - len(between)


def test_few_choices_or_scores_from_elsewhere_are_no_test(folder):
    x = np.random.default_rng(0).normal(size=(20, 3))
    rate(folder, x[:, 0], None, FEWEST - 1)
    data = read(folder, x)
    assert read_choice_data(data) is None
    assert read_choice_data(replace(data, holder=replace(data.holder, source="scores.csv"))) is None


def test_the_scores_of_a_model_are_no_part_of_the_scores_that_are_fitted_again(folder):
    x = np.random.default_rng(0).normal(size=(40, 3))
    names = [f"{number:03d}.png" for number in range(40)]
    for name in names:
        (folder / name).touch()
    with RatingDatabase(folder, images=names) as database:
        database.initialise_from_model(dict(zip(names, x[:, 0].tolist(), strict=True)))
    rate(folder, x[:, 0], None, 60)
    data = read(folder, x)
    choices = read_choice_data(data)
    assert not choices.scoring.initial.model.any()
    zero = InitialScores(*(np.zeros(len(choices.scoring.scores())) for _ in range(3)))
    space = feature_space([], {})
    again = PosteriorScoring.begin(zero, replace(space, features=np.zeros((len(zero.old), 0)),
                                                 known=np.zeros(len(zero.old), bool)))  # fmt: skip
    expected = again.refitted(choices.answers).scores()
    assert choices.scoring.refitted(choices.answers).scores() == pytest.approx(expected, abs=1e-6)


def test_of_a_choice_among_four_the_share_of_the_others_below_the_best_is_counted():
    answers = [
        Answer(0, 1, "1", (2, 3)),  # of 1, 2 and 3 the scores put two below 0
        Answer(3, 1, "1/2", (2, 0)),  # all three, and of 2 and 0 one above 1, which is the worst
        Answer(4, 1, "1", (2, 0)),  # 4 was seen
    ] * 30
    scoring = PosteriorScoring.begin(InitialScores(*np.zeros((3, 5))), without_features(5))
    choices = ChoiceData(answers, ["audit"] * 90, scoring, np.zeros(5, bool))
    unseen = np.array([True, True, True, True, False])
    foretold = foretell_by(choices, np.array([3.0, 2.5, 1.0, 4.0, 5.0]), unseen)
    # 2 of 3, and 4 of 5 pairs that the answers decide
    assert foretold.random == Proportion(round(30 * (2 / 3 + 4 / 5)), 60)
    assert foretold.left_out == 30


def test_four_at_once_foretell_as_well_as_pairs(folder):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 4))
    taste = x @ np.array([2.0, -1.0, 0.5, 0.0])
    names = [f"{number:03d}.png" for number in range(120)]
    for name in names:
        (folder / name).touch()
    with RatingDatabase(folder, images=names, seed=0, at_once=4, selection="random") as database:
        for _ in range(100):
            shown = database.next_set()
            noisy = [taste[int(name[:3])] + rng.gumbel() for name in shown]
            left, right, *others = shown
            database.record(left, right, str(int(np.argmax(noisy)) + 1), others=tuple(others))
    data = read(folder, x)
    choices = read_choice_data(data)
    foretold = foretell(data, choices, ridge(data), np.ones(len(data.holder), bool), folds=3)
    # Between random images a coin is right half of the time, and this taste at most in 80 % or so.
    assert 0.7 < foretold.headline.value < 0.95
