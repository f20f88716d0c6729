"""What must hold of every search, whatever is searched."""

from hypothesis import given as for_all
from hypothesis import strategies as st

from src.aesthetic.search.space import combination, combinations, text
from src.settings.aesthetic_training import AestheticTraining
from src.settings.mlp import Mlp
from src.settings.several_values import get_value, take_lists, with_value

RATES = st.floats(1e-5, 1e-1)


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
        assert mlp.aesthetic_model_hidden == tuple(setting["hidden"])
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
