"""Settings that are given as a list of values, for the search to try them all."""

from collections.abc import Mapping
from typing import Any, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from src.settings.keys import fields

# What the search and its table call the settings of which it can try several values.
_MODEL = ("hidden", "dropouts", "relu", "standardise")
_TRAINING = (
    *("lr_scheduler_type", "warmup_ratio", "warmup_steps", "weight_decay", "max_grad_norm"),
    *("adam_beta1", "adam_beta2", "adam_epsilon"),
)
SEARCHED = {
    "head": "head",
    "loss_model": "loss",
    **{f"aesthetic_model_{name}": name for name in _MODEL},
    **{f"training_args.{name}": name for name in _TRAINING},
}


def take_lists(
    kind: type[BaseModel], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Values as given with one value for each setting, and the lists by key.

    A setting that is a list by itself is searched when it is given as a list of lists. Where a
    list is empty it is left in place, to be refused as a value.
    """
    plain = {k: dict(v) if isinstance(v, Mapping) else v for k, v in given.items()}
    lists: dict[str, list[Any]] = {}
    for key, field in fields(kind).items():
        value = get_value(plain, key)
        if key in SEARCHED and _is_several(field, value):
            lists[key] = list(value)
            plain = with_value(plain, key, value[0])
    return plain, lists


def get_value(given: Any, key: str) -> Any:
    """The value of a key, in mappings or in settings; None if it is not there."""
    for part in key.split("."):
        given = given.get(part) if isinstance(given, Mapping) else getattr(given, part, None)
    return given


def with_value(given: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A copy with another value of a key."""
    group, _, inner = key.rpartition(".")
    return {**given, group: {**given[group], inner: value}} if group else {**given, key: value}


def _is_several(field: FieldInfo, value: Any) -> bool:
    if not isinstance(value, (list, tuple)) or not value:
        return False
    of_lists = get_origin(field.annotation) is tuple
    return not of_lists or all(isinstance(item, (list, tuple)) for item in value)
