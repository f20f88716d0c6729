"""What must hold of every search, whatever is searched."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from src.aesthetic.mlp.trainer import train_mlps
from src.aesthetic.mlp.training_options import TrainingOptions
from src.aesthetic.mlp.trainings import Images, MlpShape, Training
from src.aesthetic.search.grid import combinations
from src.aesthetic.search.stacks import Job, job_kind, plan_stacks
from src.aesthetic.search.table import MetaTable
from src.aesthetic.search.trials import InnerFolds, Score, Trial
from src.settings import AestheticTraining
from src.settings.several_values import get_value, take_lists, with_value

RNG = np.random.default_rng(0)
FEATURES, SCORES = RNG.normal(size=(31, 3)), RNG.normal(size=31)
FOLDS = InnerFolds(FEATURES, SCORES, folds=3)
RATES = st.floats(1e-5, 1e-1)
FIGURES = st.floats(allow_nan=False, allow_infinity=False)
TRIALS = st.builds(
    lambda rate, decay, batch, hidden, head: Trial(
        TrainingOptions(
            num_train_epochs=1,
            learning_rate=rate,
            weight_decay=decay,
            per_device_train_batch_size=batch,
        ),
        MlpShape(hidden, ()),
        head=head,
    ),
    RATES,
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([2, 4, 8]),
    st.sampled_from([(), (4,), (200_000,)]),
    st.sampled_from(["mlp", "mlp", "ridge"]),
)


@for_all(st.lists(TRIALS, max_size=12), st.integers(1, 5))
def test_every_job_is_in_one_stack_and_stacks_are_of_one_kind(trials, workers):
    jobs = [Job(trial, fold) for trial in trials for fold in range(3)]
    plan = plan_stacks(FOLDS, jobs, workers)
    assert sorted(number for stack in plan for number in stack) == list(range(len(jobs)))
    for stack in plan:
        kinds = {job_kind(FOLDS, jobs[number]) for number in stack}
        assert len(kinds) == 1
        assert None not in kinds or len(stack) == 1
    assert len(plan) >= min(workers, len(jobs))


@settings(max_examples=25)
@for_all(
    st.lists(st.tuples(RATES, st.floats(0, 1), st.integers(0, 99)), min_size=2, max_size=4),
    st.sampled_from(["ranking", "mse"]),
    st.booleans(),
)
def test_what_is_trained_beside_it_makes_no_difference(members, loss, relu):
    images = Images.of(FEATURES, SCORES)
    trainings = [
        Training(
            images,
            TrainingOptions(max_steps=9, learning_rate=rate, weight_decay=decay, seed=seed),
            loss,
            MlpShape((4, 3), (0.3,), relu),
        )
        for rate, decay, seed in members
    ]
    for training, result in zip(trainings, train_mlps(trainings), strict=True):
        (alone,) = train_mlps([training])
        predicted = alone.head.predict(FEATURES)
        assert result.head.predict(FEATURES) == pytest.approx(predicted, abs=1e-4, rel=1e-3)


@for_all(
    st.lists(st.integers(1, 300), min_size=1, max_size=3, unique=True),
    st.lists(RATES, min_size=1, max_size=3, unique=True),
    st.lists(st.lists(st.integers(1, 50), max_size=3).map(tuple), min_size=1, unique=True),
    FIGURES,
)
def test_rows_are_found_again_with_the_same_figures(epochs, rates, hidden, figure):
    found = combinations(Trial(), {"epochs": epochs, "lr": rates, "hidden": hidden})
    assert len(found) == len(epochs) * len(rates) * len(hidden)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "meta.txt"
        table = MetaTable(path, ["hidden"], {})
        for number, setting in enumerate(found):
            table.append(setting, Score(figure, float(number), 0.5))
        again = MetaTable(path, ["hidden"], {})
        for number, setting in enumerate(found):
            assert again.score(setting) == Score(figure, number, 0.5)
        assert len(again.rows) == len(found)


@for_all(
    st.lists(st.floats(0, 1), min_size=1),
    st.lists(st.lists(st.floats(0, 0.9), max_size=4), min_size=1),
)
def test_lists_are_taken_out_and_can_be_put_back(decays, dropouts):
    given = {
        "mode": "meta",
        "aesthetic_model_dropouts": dropouts,
        "training_args": {"weight_decay": decays, "seed": 1},
    }
    plain, lists = take_lists(AestheticTraining, given)
    assert plain["training_args"] == {"weight_decay": decays[0], "seed": 1}
    assert plain["aesthetic_model_dropouts"] == dropouts[0]
    for key, values in lists.items():
        assert get_value(plain, key) == values[0]
        plain = with_value(plain, key, values)
    assert plain == given
    checked = AestheticTraining.model_validate(given)
    assert checked.meta_values["weight_decay"] == tuple(decays)
    assert checked.meta_values["dropouts"] == tuple(map(tuple, dropouts))
