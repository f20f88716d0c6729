"""The text of `--help`: the keys of a script, the values in force and where they come from."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from src.errors import SettingsError
from src.settings.keys import ScriptSettings
from src.settings.load import Reading, read
from src.settings.several_values import Searchable, get_value

WIDTH = 98


def help_text(
    kind: type[ScriptSettings], arguments: Path, words: list[str], *, everything: bool
) -> str:
    """What a script does and the keys that it reads: the essential ones, or all."""
    try:
        reading = read(kind, arguments, words)
    except SettingsError as error:
        reading = Reading(kind)
        reading.problems.append(str(error))
    settings = reading.settings()
    keys = dict(fields(kind))
    shown = list(keys) if everything else ["top_level_image_directory", *kind.essentials]
    more = "" if everything else f"   (--help --all: all {len(keys)} keys)"
    lines = [
        f"{kind.script}: {(kind.__doc__ or '').strip().splitlines()[0]}",
        "",
        f"usage: python run.py {kind.script} [--key=value ...] [--arguments=FILE]{more}",
        *("", "The keys, their values now, and where these come from:"),
    ]
    for key in shown:
        field = keys[key]
        given = reading.given.get(key)
        value = given.value if given else default(field)
        value = get_value(settings, key) if settings else value
        source = given.source if given else "default"
        lines.append(f"  --{key}={spelled(value)}   ({type_name(field)}; {source})")
        lines += textwrap.wrap(
            field.description or "", WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6
        )
    lines += [
        "",
        'Spaces need quotation marks: --top_level_image_directory="my pictures". A list: '
        '--hidden_states="[-2]".',
        "Lasting values belong into arguments.py; docs/settings.md describes every key.",
        *reading.problems,
    ]
    return "\n".join(lines)


def fields(kind: type[BaseModel], group: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key of a script with its field, those of groups last."""
    nested = []
    for name, field in kind.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            nested.append((name, annotation))
        else:
            yield f"{group}{name}", field
    for name, model in nested:
        yield from fields(model, f"{name}.")


def default(field: FieldInfo) -> Any:
    """The value of a key that nobody gives."""
    return field.get_default(call_default_factory=True, validated_data={})


def spelled(value: Any) -> str:
    """A value as one writes it on the command line."""
    if isinstance(value, tuple):
        words = all(isinstance(item, str) and item.isalpha() for item in value) and value
        return ",".join(value) if words else repr(list(value))
    return value if isinstance(value, str) and value else repr(value)


def type_name(field: FieldInfo) -> str:
    """A field's type in words a user knows."""
    several = ", or a list to try" if any(isinstance(m, Searchable) for m in field.metadata) else ""
    return _named(field.annotation) + several


def _named(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _named(get_args(annotation)[0])
    if origin is Literal:
        return " or ".join(map(str, get_args(annotation)))
    if origin is tuple:
        return f"list of {_named(get_args(annotation)[0])}s"
    if get_args(annotation):
        return " or ".join(_named(part) for part in get_args(annotation))
    names = {str: "text", int: "whole number", float: "number", bool: "True or False"}
    return names[annotation]
