"""The keys of the scripts in words: --help, and docs/settings.md.

python -m src.settings.describe > docs/settings.md
"""

import textwrap
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from src.errors import SettingsError
from src.settings.keys import ScriptSettings, fields
from src.settings.load import Reading, read
from src.settings.scripts import SCRIPTS
from src.settings.several_values import SEARCHED, get_value
from src.text import without_password

_INTRODUCTION = """# Settings

Every key of every script, with the value that it has unless you give one. `arguments.py` holds
those that people change most. A key of `args` counts for all scripts that have it; in the group of
a script, `"score_images": {...}`, for that script alone. On the command line, `--key=value` or
`--key value` replaces a value for one run: `python run.py score_images --first=worst`. `--help`
after the name of a script shows the values in force, `--help --all` those of all its keys.

This page is made from the program: `python -m src.settings.describe > docs/settings.md`."""


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
    keys = reading.fields
    more = "" if everything else f"   (--help --all: all {len(keys)} keys)"
    lines = [
        *(f"{kind.script}: {kind.__doc__}", ""),
        f"usage: python run.py {kind.script} [--key=value ...] [--arguments=FILE]{more}",
        *("", "The keys, their values now, and where these come from:"),
    ]
    for key in keys if everything else ("top_level_image_directory", *kind.essentials):
        given = reading.given.get(key)
        value = given.value if given else keys[key].default
        value = get_value(settings, key) if settings else value
        source = given.source if given else "default"
        spelled = without_password(_spelled(value)) if key == "meta_storage" else _spelled(value)
        lines.append(f"  --{key}={spelled}   ({_type_name(key, keys[key])}; {source})")
        indent = " " * 6
        lines += [indent + line for line in textwrap.wrap(keys[key].description or "", 92)]
    lines += [
        *("", "To keep a value, write it into arguments.py; docs/settings.md describes every key."),
        'Put quotes around lists and values with spaces: --top_level_image_directory="my pictures" '
        '--hidden_states="[-2]"',
        *reading.problems,
    ]
    return "\n".join(lines)


def reference() -> str:
    """The text of docs/settings.md."""
    used = Counter((key, f.description) for kind in SCRIPTS for key, f in fields(kind).items())
    shared = {
        key: field
        for kind in SCRIPTS
        for key, field in fields(kind).items()
        if used[key, field.description] > 1
    }
    parts = [_INTRODUCTION, "## Several scripts", _table(shared)]
    for kind in SCRIPTS:
        own = {k: f for k, f in fields(kind).items() if used[k, f.description] == 1}
        also = ", ".join(f"`{key}`" for key in fields(kind) if key not in own)
        parts += [f"## {kind.script}", f"{kind.__doc__} It also reads {also}."]
        parts += [_table(own)] if own else []
    return "\n\n".join(parts) + "\n"


def _table(keys: dict[str, FieldInfo]) -> str:
    rows = [
        f"| `{key}` | `{_spelled(field.default)}` | {_type_name(key, field)} | "
        + (field.description or "").replace("|", "\\|")
        + " |"
        for key, field in keys.items()
    ]
    return "\n".join(["| key | default | values | meaning |", "|---|---|---|---|", *rows])


def _spelled(value: Any) -> str:
    """A value as one writes it on the command line."""
    if isinstance(value, tuple) and value and all(str(item).isalpha() for item in value):
        return ",".join(value)
    if isinstance(value, tuple):
        return repr(list(value))
    return value if isinstance(value, str) and value else repr(value)


def _type_name(key: str, field: FieldInfo) -> str:
    """A field's type in words a user knows."""
    return _named(field.annotation) + (", or a list to try" if key in SEARCHED else "")


def _named(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _named(parts[0])
    if origin is tuple:
        return f"list of {_named(parts[0])}s"
    if parts:
        return " or ".join(str(part) if origin is Literal else _named(part) for part in parts)
    names = {str: "text", int: "whole number", float: "number", bool: "True or False"}
    return names[annotation]


if __name__ == "__main__":
    print(reference(), end="")
