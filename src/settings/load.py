"""Reading arguments.py and the command line into one script's settings."""

import ast
import difflib
import runpy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from src.errors import SettingsError
from src.settings.keys import ScriptSettings
from src.settings.scripts import SCRIPTS
from src.settings.several_values import searchable

S = TypeVar("S", bound=ScriptSettings)

NESTED = ("training_args", "evaluation_args")

# What keys of the old tool are called now.
RENAMED = {
    "clip_model": "feature_extractor",
    "use_model_scores_for_stats": "load_model",
    "max_comparisons": "ab_scorer_goal",
    "evaluation_strategy": "eval_strategy",
    "apply_tag_errors": "review_decisions",
    "apply_sureness": "review_at_least",
}

# Where lists of values for these go.
INSTEAD = {
    "training_args.num_train_epochs": "meta_epochs",
    "training_args.learning_rate": "meta_lr",
    "training_args.per_device_train_batch_size": "meta_batch",
}


class _Given(NamedTuple):
    value: Any
    source: str  # where the user wrote it


def load_settings(kind: type[S], arguments: Path, overrides: Sequence[str] = ()) -> S:
    """The settings of one script.

    Values come from the keys' defaults, then `args`, `training_args` and `evaluation_args` in
    the arguments file, then its `per_script` part for this script, then the command line.

    Args:
        kind: the script's settings class.
        arguments: the arguments file.
        overrides: words of the command line: `--key=value`, `--training_args.key=value`.

    Raises:
        SettingsError: all problems found, one to a line.
    """
    problems: list[str] = []
    given = _from_file(kind, arguments, problems) | _from_command_line(kind, overrides, problems)
    problems += _unknown(kind, given)
    known = {key: entry for key, entry in given.items() if _belongs(kind, key)}
    try:
        settings = kind.model_validate(_nest(known))
    except ValidationError as error:
        problems += [_explain(kind, detail, known) for detail in error.errors()]
    if problems:
        raise SettingsError("\n".join(dict.fromkeys(problems)))
    return settings


def _from_file(
    kind: type[ScriptSettings], arguments: Path, problems: list[str]
) -> dict[str, _Given]:
    name = arguments.name
    if not arguments.is_file():
        raise SettingsError(f"there is no file {str(arguments)!r}: give --arguments=FILE")
    try:
        variables = runpy.run_path(str(arguments))
    except SyntaxError as error:
        raise SettingsError(f"{name}, line {error.lineno}: {error.msg}") from None
    except Exception as error:  # whatever the user's own file raises
        raise SettingsError(f"{name}: {type(error).__name__}: {error}") from None

    given: dict[str, _Given] = {}
    for variable, prefix in [("args", ""), *((nested, f"{nested}.") for nested in NESTED)]:
        part = variables.get(variable, {})
        if not isinstance(part, Mapping):
            problems.append(f"{name}: {variable} must be a dictionary: {variable} = {{...}}")
            continue
        given |= {f"{prefix}{key}": _Given(value, name) for key, value in part.items()}

    per_script = variables.get("per_script", {})
    if not isinstance(per_script, Mapping):
        problems.append(f"{name}: per_script must be a dictionary of dictionaries")
        return given
    names = [script.script for script in SCRIPTS]
    for script in per_script:
        if str(script).removesuffix(".py") not in names:
            problems.append(f"{name}: per_script has no script {script!r}{_hint(script, names)}")
    own = per_script.get(kind.script, per_script.get(f"{kind.script}.py", {}))
    source = f"{name}, per_script {kind.script!r}"
    for key, value in own.items() if isinstance(own, Mapping) else ():
        if key in NESTED and isinstance(value, Mapping):
            given |= {f"{key}.{inner}": _Given(v, source) for inner, v in value.items()}
        else:
            given[str(key)] = _Given(value, source)
    return given


def _from_command_line(
    kind: type[ScriptSettings], words: Sequence[str], problems: list[str]
) -> dict[str, _Given]:
    given: dict[str, _Given] = {}
    for word in words:
        key, equals, text = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not equals:
            problems.append(f"command line: {word!r} should read --key=value")
        elif not _belongs(kind, key) and _known_anywhere(key):
            problems.append(f"command line: {kind.script} has no use for {key!r}")
        else:
            given[key] = _Given(_parse(kind, key, text), "command line")
    return given


def _parse(kind: type[ScriptSettings], key: str, text: str) -> Any:
    """Text as the field's type wants it: words stay words, everything else is a literal."""
    group, _, inner = key.rpartition(".")
    owner: type[BaseModel] | None = kind if not group else _nested_model(kind, group)
    field = owner.model_fields.get(inner) if owner else None
    if field is not None and field.annotation is str:
        return text
    spelled = {"true": "True", "false": "False", "none": "None"}.get(text.lower(), text)
    try:
        return ast.literal_eval(spelled)
    except (ValueError, SyntaxError):
        return text


def _nested_model(kind: type[ScriptSettings], group: str) -> type[BaseModel] | None:
    field = kind.model_fields.get(group)
    annotation = field.annotation if field else None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def _belongs(kind: type[ScriptSettings], key: str) -> bool:
    group, _, inner = key.partition(".")
    if not inner:
        return group in kind.model_fields and group not in NESTED
    model = _nested_model(kind, group)
    if model is None or inner in model.model_fields or model.model_config["extra"] == "allow":
        return model is not None
    # A known group takes keys that no script has, too, so that they are reported by name.
    others = (_nested_model(script, group) for script in SCRIPTS)
    return not any(other and inner in other.model_fields for other in others)


def _known_anywhere(key: str) -> bool:
    return any(_belongs(script, key) for script in SCRIPTS)


def _unknown(kind: type[ScriptSettings], given: Mapping[str, _Given]) -> list[str]:
    candidates = [key for script in SCRIPTS for key in script.model_fields if key not in NESTED]
    problems = []
    for key, entry in given.items():
        if not _known_anywhere(key) and not key.startswith(tuple(f"{n}." for n in NESTED)):
            problems.append(f"{entry.source}: unknown key {key!r}{_hint(key, candidates)}")
    return problems


def _hint(key: object, candidates: Sequence[str]) -> str:
    word = str(key)
    if word in RENAMED and RENAMED[word] in candidates:
        return f": it is called {RENAMED[word]!r} now"
    close = difflib.get_close_matches(word, candidates, n=1, cutoff=0.7)
    if not close and len(word) > 3:
        close = [name for name in candidates if name.startswith(word) or word in name][:1]
    return f". Did you mean {close[0]!r}?" if close else ""


def _nest(given: Mapping[str, _Given]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, entry in given.items():
        group, _, inner = key.partition(".")
        if inner:
            values.setdefault(group, {})[inner] = entry.value
        else:
            values[key] = entry.value
    return values


def _explain(kind: type[ScriptSettings], detail: Any, given: Mapping[str, _Given]) -> str:
    """One of pydantic's findings as a line: where, what, what to do."""
    location = [str(part) for part in detail["loc"]]
    key = ".".join(location[: 2 if location and location[0] in NESTED else 1])
    source = given[key].source if key in given else "settings"
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        group, _, inner = key.partition(".")
        model = _nested_model(kind, group)
        names = list(model.model_fields) if model else []
        hint = _hint(inner, names) or f" (it takes {', '.join(names)})"
        return f"{source}: {group} has no {inner!r} that {kind.script} supports{hint}"
    if not key:
        return message
    if isinstance(detail["input"], (list, tuple)) and not detail["type"].startswith("tuple"):
        message += "; one value is needed here"
        if key in INSTEAD and INSTEAD[key] in kind.model_fields:
            message += f" (mode 'meta' tries those of {INSTEAD[key]})"
        elif searchable(kind):
            message += " (not even mode 'meta' takes several)"
    return f"{source}: {key} is {detail['input']!r}: {message[0].lower()}{message[1:]}"
