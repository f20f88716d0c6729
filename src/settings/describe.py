"""The text of `--help`: every key with its meaning, type and default."""

import textwrap
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from src.settings.keys import ScriptSettings
from src.settings.several_values import Searchable


def help_text(kind: type[ScriptSettings]) -> str:
    """What a script does and every key it reads."""
    lines = [
        f"{kind.script}.py: {(kind.__doc__ or '').strip().splitlines()[0]}",
        "",
        f"usage: python run.py {kind.script} [--key=value ...] [--arguments=FILE]",
        "",
        "Keys are read from arguments.py; those on the command line go before them.",
        "",
    ]
    nested = []
    for name, field in kind.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            nested.append((name, annotation))
        else:
            lines += _describe(f"--{name}", field)
    for name, model in nested:
        lines += ["", f"{name}: {(model.__doc__ or '').strip().splitlines()[0]}"]
        for inner, field in model.model_fields.items():
            lines += _describe(f"--{name}.{inner}", field)
    return "\n".join(lines)


def _describe(flag: str, field: FieldInfo) -> list[str]:
    default = field.get_default(call_default_factory=True, validated_data={})
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    several = ", or a list to try" if any(isinstance(m, Searchable) for m in field.metadata) else ""
    head = f"{flag}  ({type_name(field.annotation)}{several}; default {shown!r})"
    return [
        head,
        *textwrap.wrap(
            field.description or "", 88, initial_indent="    ", subsequent_indent="    "
        ),
    ]


def type_name(annotation: Any) -> str:
    """A type in words a user knows."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return type_name(get_args(annotation)[0])
    if origin is Literal:
        return " or ".join(map(repr, get_args(annotation)))
    if origin is tuple:
        return f"list of {type_name(get_args(annotation)[0])}s"
    if origin is not None and get_args(annotation):
        return " or ".join(type_name(part) for part in get_args(annotation))
    return {str: "text", int: "whole number", float: "number", bool: "True or False"}.get(
        annotation, str(annotation)
    )
