"""What is searched: settings by short names, every combination of lists, or ranges."""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args, get_origin

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import ValidationError

from src.aesthetic.heads import FITS
from src.errors import SettingsError
from src.settings.keys import fields
from src.settings.mlp import Mlp
from src.settings.several_values import SEARCHED, with_value

KEYS = {
    "epochs": "training_args.num_train_epochs",
    "lr": "training_args.learning_rate",
    "batch": "training_args.per_device_train_batch_size",
    **{name: key for key, name in SEARCHED.items() if key != "head"},
}
HEADS = ("mlp", "auto", *(name for name in FITS if name != "logistic"))
Lists = Mapping[str, Sequence[Any]]  # values by name: epochs, lr and batch first
Setting = Mapping[str, Any]  # {"epochs": 100, "lr": 1e-4, "batch": 8, "relu": True}; None: unused


class Combination(NamedTuple):
    """A head of `HEADS`, and the settings of the mlp, for no other head."""

    head: str
    mlp: Mlp


def combination(mlp: Mlp, setting: Setting) -> Combination:
    """The settings of the mlp with some things set otherwise; a SettingsError where they clash."""
    plain = mlp.model_dump(include=set(Mlp.model_fields))
    for name, value in setting.items():
        if name != "head" and value is not None:
            plain = with_value(plain, KEYS[name], tuple(value) if type(value) is list else value)
    try:
        return Combination(setting.get("head", "mlp"), Mlp.model_validate(plain))
    except ValidationError as error:
        wrong = "; ".join(str(detail["msg"]) for detail in error.errors())
        raise SettingsError(f"mode 'meta': {described(setting)}: {wrong}") from None


def combinations(lists: Lists) -> list[dict[str, Any]]:
    """Every combination as JSON values; a head other than the mlp comes once."""
    found: list[dict[str, Any]] = []
    for chosen in itertools.product(*lists.values()):
        setting = _used(dict(zip(lists, map(_plain, chosen), strict=True)))
        if setting not in found:
            found.append(setting)
    return found


def distributions(lists: Lists, *, ranges: bool) -> dict[str, BaseDistribution]:
    """What Optuna may choose from: between the ends of each list, or what the list holds."""
    pairs = "ranking" in lists.get("loss", ["ranking"])
    return {
        name: _distribution(name, values, ranges, even=name == "batch" and pairs)
        for name, values in lists.items()
    }


def to_parameters(setting: Setting) -> dict[str, Any]:
    """A setting as Optuna keeps it: numbers as they are, others as JSON."""
    return {k: v if _is_number(v) else json.dumps(v) for k, v in setting.items() if v is not None}


def from_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return _used({k: v if _is_number(v) else json.loads(v) for k, v in parameters.items()})


def described(setting: Setting) -> str:
    """A combination in words; what its head does not ask for is left out."""
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {text(value)}"
        for name, value in setting.items()
        if value is not None
    )


def text(value: Any) -> str:
    """A value as it stands in meta.txt; "" for none, and for NaN."""
    if value is None or value != value:
        return ""
    if isinstance(value, (list, tuple)):
        return " ".join(text(item) for item in value) or "none"
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _used(setting: Setting) -> dict[str, Any]:
    head = setting.get("head", "mlp")
    return dict(setting) if head == "mlp" else dict.fromkeys(setting) | {"head": head}


def _distribution(name: str, given: Sequence[Any], ranges: bool, *, even: bool) -> BaseDistribution:
    if not all(map(_is_number, given)):
        # A study keeps the choices of a name for good: a longer list must not change them.
        choices = given if ranges else dict.fromkeys([*_all_choices(name), *given])
        return CategoricalDistribution([json.dumps(value) for value in choices])
    low, high = min(given), max(given)
    if ranges and even:
        return IntDistribution(2 * max(low // 2, 1), 2 * max(high // 2, 1), step=2)
    wide = ranges and low > 0 and high / low >= 10
    whole = all(isinstance(value, int) for value in given)
    return (IntDistribution if whole else FloatDistribution)(low, high, log=wide)


def _all_choices(name: str) -> tuple[Any, ...]:
    """All values that a setting of words can have; () for lists of numbers."""
    if name == "head":
        return HEADS
    annotation = fields(Mlp)[KEYS[name]].annotation
    if annotation is bool:
        return (False, True)
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
