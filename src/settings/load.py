"""Reading arguments.py and the command line into one script's settings."""

import ast
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from src.errors import SettingsError
from src.settings.keys import ScriptSettings
from src.settings.mistakes import hint, mend, nearest, python_mistake
from src.settings.old_names import GONE, PARTS, RENAMED, new_training_name
from src.settings.scripts import SCRIPTS
from src.settings.several_values import searchable

S = TypeVar("S", bound=ScriptSettings)
logger = logging.getLogger(__name__)

NESTED = ("training_args", "evaluation_args")
COMMAND_LINE = "command line"
NAMES = [script.script for script in SCRIPTS]

# Where lists of values for these go.
INSTEAD = {
    "training_args.num_train_epochs": "meta_epochs",
    "training_args.learning_rate": "meta_lr",
    "training_args.per_device_train_batch_size": "meta_batch",
}


class Given(NamedTuple):
    """A value that the user wrote, and where."""

    value: Any
    source: str


class Reading(Generic[S]):
    """What the user wrote for one script: values by key, what is wrong with them, what to say."""

    def __init__(self, kind: type[S]) -> None:
        self.kind = kind
        self.given: dict[str, Given] = {}
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.renamed: dict[str, str] = {}
        self.without_effect: list[str] = []

    def settings(self) -> S | None:
        """The settings, if they can be; problems are added to those that are known."""
        try:
            return self.kind.model_validate(_nest(self.given))
        except ValidationError as error:
            self.problems += [self._explain(detail) for detail in error.errors()]
        return None

    def add(self, key: str, given: Given, script: str = "") -> None:
        """Note a value under the name that its key has now.

        Args:
            key: as written, with "training_args." before it where it stands in there.
            script: whose group it stands in; "" for the shared keys.
        """
        old, source = key, given.source
        own, _, name = RENAMED.get(key, key).rpartition(".") if "." not in key else ("", "", key)
        if own:
            script, key = own, name
        elif name in GONE:
            self.without_effect.append(name)
            return
        else:
            key = name
        if script and script != self.kind.script:
            if source == COMMAND_LINE:
                self.problems.append(f"{source}: {self.kind.script} has no use for {old!r}")
            return
        if key != old and (source == COMMAND_LINE or _belongs(self.kind, key)):
            self.renamed[old] = f"{key!r} in the group {script!r}" if script else repr(key)
        group, _, inner = key.partition(".")
        if inner and group == NESTED[0] and (model := _nested_model(self.kind, group)):
            own_names = frozenset(model.model_fields)
            new = new_training_name(inner, own_names)
            if new is None:
                self.without_effect.append(key)
                return
            key = f"{group}.{new}"
        if _belongs(self.kind, key):
            self.given[key] = given
        elif source == COMMAND_LINE and _known_anywhere(key):
            self.problems.append(f"{source}: {self.kind.script} has no use for {old!r}")
        elif not _known_anywhere(key) or (script and not inner):
            fields = self.kind.model_fields
            candidates = [*fields, *(k for other in SCRIPTS for k in other.model_fields), *NAMES]
            near = hint(old, [name for name in candidates if name not in NESTED])
            self.problems.append(f"{source}: unknown key {old!r}{near}")

    def say(self) -> None:
        """What the user should know, though nothing is wrong."""
        if self.renamed:
            names = "; ".join(f"{old!r} is now {new}" for old, new in self.renamed.items())
            self.notes.append(f"Still understood by their former names: {names}.")
        if self.without_effect:
            names = ", ".join(dict.fromkeys(self.without_effect))
            self.notes.append(f"Without effect in this version, and passed over: {names}.")
        for note in dict.fromkeys(self.notes):
            logger.info(note)

    def _explain(self, detail: Any) -> str:
        """One of pydantic's findings as a line: where, what, what to do."""
        location = [str(part) for part in detail["loc"]]
        key = ".".join(location[: 2 if location and location[0] in NESTED else 1])
        source = self.given[key].source if key in self.given else "settings"
        group, _, inner = key.rpartition(".")
        model = _nested_model(self.kind, group) if group else self.kind
        if detail["type"] == "extra_forbidden":
            names = list(model.model_fields) if model else []
            near = hint(inner, names) or f" (it takes {', '.join(names)})"
            return f"{source}: {group} has no {inner!r} that {self.kind.script} supports{near}"
        if not key:
            return str(detail["msg"]).removeprefix("Value error, ")
        message = mend(model.model_fields.get(inner) if model else None, detail)
        if isinstance(detail["input"], (list, tuple)) and not detail["type"].startswith("tuple"):
            message = "one value is needed here"
            if key in INSTEAD and INSTEAD[key] in self.kind.model_fields:
                message += f" (mode 'meta' tries those of {INSTEAD[key]})"
            elif searchable(self.kind):
                message += " (not even mode 'meta' takes several)"
        return f"{source}: {key} is {detail['input']!r}: {message}"


def load_settings(kind: type[S], arguments: Path, words: Sequence[str] = ()) -> S:
    """The settings of one script.

    Values come from the keys' defaults, then the shared keys of the arguments file, then its group
    for this script, then the command line.

    Raises:
        SettingsError: all problems found, one to a line.
    """
    reading = read(kind, arguments, words)
    settings = reading.settings()
    if reading.problems or settings is None:
        raise SettingsError("\n".join(dict.fromkeys(reading.problems)))
    reading.say()
    return settings


def check_images(settings: ScriptSettings) -> None:
    """Refuse an image folder that is not there, before anything heavy is imported."""
    place = getattr(settings, "top_level_image_directory", "")
    if place and settings.needs_images and "://" not in place and not Path(place).is_dir():
        raise SettingsError(
            f"there is no folder {place!r}{nearest(Path(place))}: set top_level_image_directory to "
            "the folder that holds your images"
        )


def read(kind: type[S], arguments: Path, words: Sequence[str] = ()) -> Reading[S]:
    """What the arguments file and the words of the command line say for one script.

    Raises:
        SettingsError: the file cannot be read.
    """
    reading = Reading(kind)
    variables, lines = run_file(arguments, reading.notes)
    shared: list[tuple[str, str, Any]] = []
    groups: list[tuple[str, str, Any]] = []

    def source(path: str) -> str:
        return f"{arguments.name}, line {lines[path]}" if path in lines else arguments.name

    for part in (*PARTS, *NESTED, "per_script"):
        values = variables.get(part, {})
        if not isinstance(values, Mapping):
            what = "; remove the comma after its }" if isinstance(values, tuple) else ""
            reading.problems.append(f"{arguments.name}: write {part} = {{...}}{what}")
            continue
        for key, value in values.items():
            name = str(key).removesuffix(".py")
            path = f"{part}.{key}"
            if part in NESTED:
                reading.add(path, Given(value, source(path)))
            elif part == "per_script" or (part == "args" and name in NAMES):
                if name not in NAMES:
                    reading.problems.append(f"{source(path)}: no script is called {name!r}"
                                            f"{hint(name, NAMES)}")  # fmt: skip
                elif not isinstance(value, Mapping):
                    reading.problems.append(f'{source(path)}: write "{name}": {{...}}')
                elif name == kind.script:
                    groups += [(path, k, v) for k, v in value.items()]
            elif PARTS[part] in ("", kind.script):
                shared.append((path, str(key), value))
    shared.sort(key=lambda entry: "." in RENAMED.get(entry[1], ""))  # a script's own come later
    own = kind.script
    for script, entries in (("", shared), (own, groups)):
        for path, key, value in entries:
            for inner, each in _flat(key, value):
                inside = path if not script else f"{path}.{inner}"
                reading.add(inner, Given(each, source(inside)), script)
    for key, text in _pairs(words, reading):
        name = key.removeprefix(f"{own}.")
        value = _parse(kind, RENAMED.get(name, name).removeprefix(f"{own}."), text)
        reading.add(name, Given(value, COMMAND_LINE))
    return reading


def run_file(arguments: Path, notes: list[str]) -> tuple[dict[str, Any], dict[str, int]]:
    """The variables of an arguments file, and the line of each key ("args.mode")."""
    name = arguments.name
    if not arguments.is_file():
        raise SettingsError(f"there is no file {str(arguments)!r}: give --arguments=FILE")
    variables: dict[str, Any] = {"__name__": "arguments", "__file__": str(arguments)}
    try:
        text = arguments.read_bytes().decode("utf-8-sig")
        lines: dict[str, int] = {}
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
            tree = ast.parse(text)
            for node in tree.body:
                if isinstance(node, (ast.Assign, ast.AnnAssign)):
                    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                    _note_lines(ast.unparse(target), node.value, lines, notes, name)
            exec(compile(tree, str(arguments), "exec"), variables)
    except UnicodeDecodeError:
        raise SettingsError(f"{name} is not UTF-8 text: save it with the encoding UTF-8") from None
    except Exception as error:  # whatever the user's own file raises
        raise SettingsError(python_mistake(error, text, name)) from None
    return variables, lines


def _note_lines(
    path: str, node: ast.AST | None, lines: dict[str, int], notes: list[str], name: str
) -> None:
    if not isinstance(node, ast.Dict):
        return
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant):
            inner = f"{path}.{key.value!s}"
            if inner in lines:
                notes.append(
                    f"{name}, line {key.lineno}: {str(key.value)!r} is on line {lines[inner]} "
                    "already; this one counts"
                )
            lines[inner] = key.lineno
            _note_lines(inner, value, lines, notes, name)


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if key in NESTED and isinstance(value, Mapping):
        for inner, each in value.items():
            yield f"{key}.{inner}", each
    else:
        yield str(key), value


def _pairs(words: Sequence[str], reading: Reading[Any]) -> Iterator[tuple[str, str]]:
    """Keys and texts of `--key=value`, `--key value`, and `--key` for True."""
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        key, equals, text = word.lstrip("-–—").partition("=")
        key = key.replace("-", "_")
        if word[:1] not in ("-", "–", "—") or not key:
            reading.problems.append(
                f"{COMMAND_LINE}: {word!r} should read --key=value, with quotation marks around a "
                f'value that holds spaces: --key="my value"'
            )
        elif equals:
            yield key, text
        elif waiting and not waiting[0].startswith("--"):
            yield key, waiting.pop(0)
        else:
            yield key, "True"


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
    return key.startswith(NESTED) or any(_belongs(script, key) for script in SCRIPTS)


def _nest(given: Mapping[str, Given]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, entry in given.items():
        group, _, inner = key.partition(".")
        if inner:
            values.setdefault(group, {})[inner] = entry.value
        else:
            values[key] = entry.value
    return values
