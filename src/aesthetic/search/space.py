"""What is searched: settings by short names, every combination of lists, or ranges."""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args, get_origin

from optuna import Trial
from pydantic import ValidationError

from src.aesthetic.heads import FITS
from src.errors import SettingsError
from src.settings.keys import fields
from src.settings.mlp import Mlp
from src.settings.several_values import SEARCHED, with_value

USUAL = {
    "epochs": "training_args.num_train_epochs",
    "lr": "training_args.learning_rate",
    "batch": "training_args.per_device_train_batch_size",
}
KEYS = USUAL | {name: key for key, name in SEARCHED.items() if key != "head"}
HEADS = ("mlp", "auto", *(name for name in FITS if name != "logistic"))
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


def all_lists(mlp: Mlp, values: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """The lists of values by name, the usual three first, with one value if they are not given."""
    args = mlp.training_args
    present = {name: [getattr(args, key.partition(".")[2])] for name, key in USUAL.items()}
    return present | {name: list(given) for name, given in values.items()}


def combinations(lists: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination, the last list varying fastest.

    A head other than the mlp comes once: nothing else concerns it.
    """
    found: list[dict[str, Any]] = []
    for chosen in itertools.product(*lists.values()):
        setting = dict(zip(lists, chosen, strict=True))
        if setting.get("head", "mlp") != "mlp":
            setting = dict.fromkeys(setting) | {"head": setting["head"]}
        if setting not in found:
            found.append(setting)
    return found


def suggest(trial: Trial, lists: Mapping[str, Sequence[Any]], *, ranges: bool) -> Setting:
    """A value of everything: within the ranges of the lists, or as the trial was enqueued."""
    setting = dict.fromkeys(lists)
    if "head" in lists:
        setting["head"] = _suggest(trial, "head", lists["head"], ranges=ranges, even=False)
    if setting.get("head", "mlp") == "mlp":
        pairs = "ranking" in lists.get("loss", ["ranking"])
        for name, given in lists.items():
            if name != "head":
                even = name == "batch" and pairs
                setting[name] = _suggest(trial, name, given, ranges=ranges, even=even)
    return setting


def parameter(value: Any) -> Any:
    """A value as Optuna keeps it: numbers as they are, others as JSON."""
    return value if _is_number(value) else json.dumps(value)


def described(setting: Setting) -> str:
    """A combination in words; what its head does not ask for is left out."""
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {text(value)}"
        for name, value in setting.items()
        if value is not None
    )


def text(value: Any) -> str:
    """A value as it stands in meta.txt."""
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, (list, tuple)):
        return " ".join(text(item) for item in value) or "none"
    return str(value)


def _suggest(trial: Trial, name: str, given: Sequence[Any], *, ranges: bool, even: bool) -> Any:
    if not all(map(_is_number, given)):
        # A study keeps the choices of a name for good: a longer list must not change them.
        choices = given if ranges else dict.fromkeys([*_all_choices(name), *given])
        return json.loads(trial.suggest_categorical(name, [json.dumps(v) for v in choices]))
    low, high = min(given), max(given)
    if ranges and even:
        low, high = 2 * max(low // 2, 1), 2 * max(high // 2, 1)
        return trial.suggest_int(name, low, high, step=2)
    wide = ranges and low > 0 and high / low >= 10
    if all(isinstance(value, int) for value in given):
        return trial.suggest_int(name, low, high, log=wide)
    return trial.suggest_float(name, low, high, log=wide)


def _all_choices(name: str) -> tuple[Any, ...]:
    """All values that a setting of words can have; () for lists of numbers."""
    if name == "head":
        return HEADS
    annotation = fields(Mlp)[KEYS[name]].annotation
    if annotation is bool:
        return (False, True)
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
