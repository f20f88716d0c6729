"""Reading arguments.py and the command line into one script's settings."""

import ast
import functools
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import ValidationError

from src.errors import SettingsError
from src.settings.keys import ScriptSettings, fields
from src.settings.mistakes import hint, mend, nearest, python_mistake
from src.settings.old_names import (
    GONE,
    HAD_OWN_DRY_RUN,
    PARTS,
    RENAMED,
    new_training_name,
    training_argument_names,
)
from src.settings.scripts import SCRIPTS
from src.text import without_password

S = TypeVar("S", bound=ScriptSettings)
logger = logging.getLogger(__name__)

NESTED = ("training_args", "evaluation_args")
COMMAND_LINE = "command line"
NAMES = [script.script for script in SCRIPTS]


class Entry(NamedTuple):
    """A value that the user wrote."""

    key: str  # as it is called now, "training_args.seed" where it is nested
    value: Any
    source: str  # "arguments.py, line 12" or "command line"
    written: str  # the key as written
    script: str  # whose group it stands in; "" for the shared keys


class Reading(Generic[S]):
    """What the user wrote for one script, what is wrong with it, and what is to be said."""

    def __init__(self, kind: type[S]) -> None:
        self.kind, self.fields = kind, fields(kind)
        own = {key.partition(".")[2] for key in self.fields if key.startswith("training_args")}
        trains = "training_args" in kind.model_fields
        self.training = (own or training_argument_names()) if trains else own
        self.given: dict[str, Entry] = {}
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.words: dict[str, str] = {}  # as given on the command line, by key
        self._renamed: dict[str, str] = {}
        self._without_effect: dict[str, None] = {}

    def add(self, entry: Entry) -> None:
        """Take a value, unless it is for another script."""
        key, source, script = entry.key, entry.source, entry.script
        group, _, inner = key.partition(".")
        if group == "training_args" and self.training:
            inner = new_training_name(inner, self.training) or ""
            key = f"{group}.{inner}"
        if key in GONE or key == "training_args.":
            self._without_effect[entry.key] = None
        elif script in ("", self.kind.script) and (
            key in self.fields or (group == "training_args" and inner in self.training)
        ):
            self.given[key] = entry
            if entry.written != key:
                group = f" in the group {script!r}" if script and source != COMMAND_LINE else ""
                self._renamed[entry.written] = f"{key!r}{group}"
        elif source == COMMAND_LINE and key in _all_keys():
            there = [other.script for other in SCRIPTS if key in fields(other)]
            others = f"; {there[0]} has" if len(there) == 1 else ""
            message = f"{self.kind.script} has no setting {entry.written!r}{others}"
            self.problems.append(f"{source}: {message}")
        elif script == self.kind.script or (not script and key not in _all_keys()):
            group = self.full_key(key).rpartition(".")[0]
            near = (
                f": it belongs in {group}"
                if group and group not in key
                else (hint(entry.written, [*self.fields, *_all_keys(), *NAMES]))
            )
            self.problems.append(f"{source}: unknown key {entry.written!r}{near}")

    def full_key(self, key: str) -> str:
        """With its group, where the key alone is that of one group's member."""
        full = [f"{group}.{key}" for group in NESTED]
        known = [each for each in full if each in self.fields]
        if not known and key in self.training:
            known = full[:1]
        return known[0] if known and key not in self.fields else key

    def settings(self) -> S | None:
        """The settings, if they can be; problems are added to those that are known."""
        values: dict[str, Any] = {}
        for key, entry in self.given.items():
            group, _, inner = key.rpartition(".")
            (values.setdefault(group, {}) if group else values)[inner] = entry.value
        try:
            return self.kind.model_validate(values)
        except ValidationError as error:
            self.problems += [self._explain(detail) for detail in error.errors()]
        return None

    def say(self) -> None:
        """What the user should know, though nothing is wrong."""
        if self._renamed:
            names = "; ".join(f"{old!r} is now {new}" for old, new in self._renamed.items())
            self.notes.append(f"Old names, still understood: {names}.")
        if self._without_effect:
            self.notes.append(f"No longer in use, and ignored: {', '.join(self._without_effect)}.")
        for note in dict.fromkeys(self.notes):
            logger.info(note)

    def _explain(self, detail: Any) -> str:
        """One of pydantic's findings as a line: where, what, what to do."""
        location = [str(part) for part in detail["loc"]]
        key = ".".join(location[: 2 if location and location[0] in NESTED else 1])
        if not key:
            return str(detail["msg"]).removeprefix("Value error, ")
        message = mend(self.fields.get(key), detail)
        if isinstance(detail["input"], (list, tuple)) and not detail["type"].startswith("tuple"):
            message = "one value is needed here"
            if "meta_lr" in self.fields:
                message += "; mode 'meta' tries those in meta_epochs, meta_lr and meta_batch"
        source = self.given[key].source if key in self.given else "settings"
        value = repr(detail["input"])
        value = without_password(value) if key == "meta_storage" else value
        return f"{source}: {key} is {value}: {message}"


def load_settings(kind: type[S], arguments: Path, words: Sequence[str] = ()) -> S:
    """The settings of one script, or a SettingsError with all problems found, one to a line.

    Values come from the keys' defaults, then the shared keys of the arguments file, then its group
    for this script, then the command line.
    """
    reading = read(kind, arguments, words)
    settings = reading.settings()
    if reading.problems or settings is None:
        raise SettingsError("\n".join(dict.fromkeys(reading.problems)))
    settings._words = reading.words
    reading.notes += settings.notes()
    reading.say()
    return settings


def check_images(settings: ScriptSettings) -> None:
    """Refuse an image folder that is not there, before anything heavy is imported."""
    place = settings.top_level_image_directory
    if place and settings.needs_images and "://" not in place and not Path(place).is_dir():
        raise SettingsError(
            f"there is no folder {place!r}{nearest(Path(place))}: set top_level_image_directory to "
            "the folder that holds your images"
        )


def read(kind: type[S], arguments: Path, words: Sequence[str] = ()) -> Reading[S]:
    """What the arguments file and the words of the command line say for one script."""
    reading = Reading(kind)
    entries = [*_from_file(arguments, reading), *_from_words(words, reading)]
    for entry in sorted(entries, key=lambda e: (e.source == COMMAND_LINE, bool(e.script))):
        reading.add(entry)
    return reading


@functools.cache
def _all_keys() -> frozenset[str]:
    training = {f"training_args.{name}" for name in training_argument_names()}
    return frozenset(key for script in SCRIPTS for key in fields(script)) | training


def _entry(written: str, value: Any, source: str, script: str = "") -> Entry:
    new = RENAMED.get(written, written)
    own, _, key = new.rpartition(".") if new != written else ("", "", written)
    if written == "classify_undo" and isinstance(value, bool):  # the notes in `into`, or none
        value = "True" if value else ""
    return Entry(key, value, source, written, own or script)


def _from_file(arguments: Path, reading: Reading[Any]) -> Iterator[Entry]:
    variables, lines = run_file(arguments, reading.notes)
    name, own = arguments.name, reading.kind.script

    def entries(path: str, values: Any, script: str = "", group: str = "") -> Iterator[Entry]:
        if not isinstance(values, Mapping):
            comma = "; remove the comma after its }" if isinstance(values, tuple) else ""
            reading.problems.append(f"{name}: {path} must be a group: {{...}}{comma}")
            return
        for key, value in values.items():
            inner, bare = f"{path}.{key}", str(key).removesuffix(".py")
            source = f"{name}, line {lines[inner]}" if inner in lines else name
            if inner == "args.dry_run" and "per_script" in variables and own in HAD_OWN_DRY_RUN:
                continue
            if path == "per_script" and bare not in NAMES:
                near = hint(bare, NAMES)
                reading.problems.append(f"{source}: no script is called {key!r}{near}")
            elif path in ("args", "per_script") and bare in NAMES:
                yield from entries(inner, value, bare)
            elif not group and key in NESTED and isinstance(value, Mapping):
                yield from entries(inner, value, script, f"{key}.")
            else:
                yield _entry(f"{group}{key}", value, source, script)

    for part, owner in PARTS.items():
        if owner in ("", own):
            yield from entries(part, variables.get(part, {}))
    for part in NESTED:
        yield from entries(part, variables.get(part, {}), "", f"{part}.")


def run_file(arguments: Path, notes: list[str]) -> tuple[dict[str, Any], dict[str, int]]:
    """The variables of an arguments file, and the line of each key ("args.mode")."""
    name, lines = arguments.name, dict[str, int]()
    if not arguments.is_file():
        raise SettingsError(f"there is no file {str(arguments)!r}: give --arguments=FILE")
    variables: dict[str, Any] = {"__name__": "arguments", "__file__": str(arguments)}

    def note_lines(path: str, node: ast.AST | None) -> None:
        for key, value in (
            zip(node.keys, node.values, strict=True) if type(node) is ast.Dict else ()
        ):
            if isinstance(key, ast.Constant):
                inner = f"{path}.{key.value!s}"
                if inner in lines:
                    twice = f"{str(key.value)!r} is on line {lines[inner]} already"
                    notes.append(f"{name}, line {key.lineno}: {twice}; this one counts")
                lines[inner] = key.lineno
                note_lines(inner, value)

    try:
        text = arguments.read_bytes().decode("utf-8-sig")
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
            tree = ast.parse(text)
            for node in tree.body:
                if isinstance(node, (ast.Assign, ast.AnnAssign)):
                    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                    note_lines(ast.unparse(target), node.value)
            exec(compile(tree, str(arguments), "exec"), variables)
    except UnicodeDecodeError:
        raise SettingsError(f"{name} is not UTF-8 text: save it with the encoding UTF-8") from None
    except Exception as error:  # whatever the user's own file raises
        raise SettingsError(python_mistake(error, text, name)) from None
    return variables, lines


def _from_words(words: Sequence[str], reading: Reading[Any]) -> Iterator[Entry]:
    """`--key=value`, `--key value`, and `--key` for True."""
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        key, equals, text = word.lstrip("-–—").partition("=")
        key = key.replace("-", "_").removeprefix(f"{reading.kind.script}.")
        if word[:1] not in ("-", "–", "—") or not key:
            mend = 'put quotation marks around a value that holds spaces: --key="my value"'
            if "=" in word:
                mend = f"write --{word}"
            reading.problems.append(f"{COMMAND_LINE}: {word!r} is no setting; {mend}")
            continue
        if not equals:
            text = waiting.pop(0) if waiting and not waiting[0].startswith("--") else "True"
        entry = _entry(reading.full_key(key), text, COMMAND_LINE)
        reading.words[entry.key] = text
        yield entry._replace(value=_parse(reading.fields.get(entry.key), text))


def _parse(field: Any, text: str) -> Any:
    """Text as the field's type wants it: words stay words, everything else is a literal."""
    if field is not None and field.annotation is str:
        return text
    try:
        return ast.literal_eval({"true": "True", "false": "False"}.get(text.lower(), text))
    except (ValueError, SyntaxError):
        return text
