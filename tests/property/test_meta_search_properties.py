"""What must hold of every search, whatever is searched."""

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from src.aesthetic.heads.training_set import TrainingSet
from src.aesthetic.mlp.ensemble import _stacks
from src.aesthetic.mlp.trainer import train_mlps
from src.aesthetic.search.space import combination, combinations, text
from src.settings import AestheticTraining
from src.settings.mlp import Mlp, PredictorTrainingArgs
from src.settings.several_values import get_value, take_lists, with_value

RNG = np.random.default_rng(0)
DATA = TrainingSet.of(RNG.normal(size=(31, 3)), RNG.normal(size=31))
RATES = st.floats(1e-5, 1e-1)


@for_all(
    st.integers(3, 50), st.integers(1, 5), st.lists(st.integers(1, 2000), max_size=3).map(tuple)
)
def test_every_member_is_in_one_stack_and_no_core_is_idle(members, workers, hidden):
    stacks = _stacks(Mlp(aesthetic_model_hidden=hidden, device="cpu"), 768, members, workers)
    assert sorted(member for stack in stacks for member in stack) == list(range(members))
    assert len(stacks) >= min(workers, members) and all(stacks)


@settings(max_examples=25)
@for_all(
    st.lists(st.integers(0, 99), min_size=2, max_size=4),
    st.sampled_from(["ranking", "mse"]),
    st.booleans(),
    RATES,
)
def test_what_is_trained_beside_it_makes_no_difference(seeds, loss, relu, rate):
    mlp = Mlp(
        training_args=PredictorTrainingArgs(max_steps=9, learning_rate=rate),
        loss_model=loss, aesthetic_model_hidden=(4, 3), aesthetic_model_dropouts=(0.3,),
        aesthetic_model_relu=relu, device="cpu",
    )  # fmt: skip
    together = train_mlps([DATA] * len(seeds), mlp, seeds=seeds)
    for seed, head in zip(seeds, together.heads, strict=True):
        (alone,) = train_mlps([DATA], mlp, seeds=[seed]).heads
        predicted = alone.predict(DATA.features)
        assert head.predict(DATA.features) == pytest.approx(predicted, abs=1e-4, rel=1e-3)


@for_all(
    st.lists(st.integers(1, 300), min_size=1, max_size=3, unique=True),
    st.lists(RATES, min_size=1, max_size=3, unique=True),
    st.lists(st.lists(st.integers(1, 50), max_size=3).map(tuple), min_size=1, unique=True),
)
def test_combinations_differ_in_the_table_and_reach_the_settings(epochs, rates, hidden):
    found = combinations({"epochs": epochs, "lr": rates, "hidden": hidden})
    assert len(found) == len(epochs) * len(rates) * len(hidden)
    rows = {tuple(text(value) for value in setting.values()) for setting in found}
    assert len(rows) == len(found)
    for setting in found:
        mlp = combination(Mlp(), setting).mlp
        assert mlp.training_args.num_train_epochs == setting["epochs"]
        assert mlp.aesthetic_model_hidden == setting["hidden"]
        assert float(text(setting["lr"])) == mlp.training_args.learning_rate


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
