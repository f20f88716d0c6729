"""Settings that are given as a list of values, for the search to try them all."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class Searchable:
    """Marks a setting that the search can try several values of, given as a list.

    Attributes:
        name: what the search and its table call it.
    """

    name: str


def searchable(kind: type[BaseModel]) -> dict[str, str]:
    """The names that the search has for settings, by key ("head", "training_args.seed")."""
    return {
        key: mark.name
        for key, field in _fields(kind)
        for mark in field.metadata
        if isinstance(mark, Searchable)
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
    names = searchable(kind)
    for key, field in _fields(kind):
        value = get_value(plain, key)
        if key in names and _is_several(field, value):
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


def field_of(kind: type[BaseModel], key: str) -> FieldInfo:
    """The field of a key."""
    return dict(_fields(kind))[key]


def _fields(kind: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in kind.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            for inner, inner_field in field.annotation.model_fields.items():
                yield f"{name}.{inner}", inner_field
        else:
            yield name, field


def _is_several(field: FieldInfo, value: Any) -> bool:
    if not isinstance(value, (list, tuple)) or not value:
        return False
    if get_origin(field.annotation) is tuple:
        return all(isinstance(item, (list, tuple)) for item in value)
    return True
