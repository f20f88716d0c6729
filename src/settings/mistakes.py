"""What is wrong in arguments.py or on the command line, and how it is written, in sentences."""

import difflib
import re
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

_STRING = re.compile(r'"[^"]*"|\'[^\']*\'')
_WORDS = {"true": "True", "false": "False", "yes": "True", "no": "False", "on": "True"}
_WORDS |= {"off": "False", "none": '""', "null": '""'}


def hint(word: object, candidates: Sequence[str]) -> str:
    """'. Did you mean ...?', or nothing."""
    text = str(word)
    folded = {name.lower(): name for name in reversed(candidates)}
    close = difflib.get_close_matches(text.lower(), list(folded), n=1, cutoff=0.7)
    if not close and len(text) > 3:
        close = [name for name in folded if name.startswith(text) or text in name][:1]
    return f". Did you mean {folded[close[0]]!r}?" if close else ""


def nearest(path: Path) -> str:
    """Where a path that is not there goes wrong, in brackets."""
    there, missing = path, ""
    while not there.exists() and there != there.parent:
        there, missing = there.parent, there.name
    if there.is_file():
        return f" ({there.as_posix()!r} is a file)"
    names = sorted(entry.name for entry in there.iterdir() if not entry.name.startswith("."))
    folders = [name for name in names if (there / name).is_dir()]
    if close := difflib.get_close_matches(missing, folders, n=1, cutoff=0.6):
        return f" (did you mean {(there / close[0]).as_posix()!r}?)"
    listed = ", ".join(map(repr, folders[:5])) + (" ..." if len(folders) > 5 else "")
    place = repr(there.as_posix()) if there != Path() else "the current folder"
    return f" ({place} holds {listed or 'no folders'})"


def python_mistake(error: Exception, text: str, name: str) -> str:
    """What stops Python from reading an arguments file."""
    if isinstance(error, SyntaxError):
        line, message = error.lineno or 0, _syntax(error, text.splitlines())
    else:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((f.lineno or 0 for f in reversed(frames) if f.filename.endswith(name)), 0)
        message = f"{type(error).__name__}: {error}"
        if isinstance(error, NameError):
            message = _unknown_name(str(error.name), text.splitlines()[line - 1])
    where = f", line {line}" if line and not message.startswith("line ") else ""
    return f"{name}{', ' if message.startswith('line ') else where + ': '}{message}"


def _unknown_name(word: str, line: str) -> str:
    if re.match(rf"\s*{word}\s*:", line):
        return f'write the key in quotation marks: "{word}":'
    if word.lower() in _WORDS:
        return f"{word}: write {_WORDS[word.lower()]}"
    return f'put text in quotation marks: "{word}"'


def _syntax(error: SyntaxError, lines: list[str]) -> str:
    """A syntax error in words, begun with "line N" if it is not where Python found it."""
    number, last, text = error.lineno or 1, error.end_lineno or error.lineno or 1, error.msg
    line = (lines[number - 1 :] or [""])[0]
    before = next((n for n in range(last - 1, 0, -1) if _code(lines[n - 1])), 0)
    end = _code(lines[before - 1]) if before else ""
    bare = _STRING.sub('""', line)
    if "unicodeescape" in text or "line continuation" in text:
        return f'write "{_forward(line)}", or every backslash twice'
    if "unterminated string" in text:
        if re.search(r'\\["\']\s*,?\s*$', line):
            return f'write "{_forward(line)}": a backslash before a quotation mark hides it'
        return "a quotation mark is missing"
    if match := re.search(r"invalid character '([“”„‘’«»])'", text):
        return f'write straight quotation marks (") instead of {match[1]}'
    if match := re.search(r"(unmatched|closing parenthesis) '(.)'|'.' was never closed", text):
        return _brackets(lines) or f"{match[2]} closes nothing: remove it, or add its other half"
    if "cannot assign" in text:
        return "write a colon, not =, between a key and its value"
    if match := re.search(r":\s*(\d+),(\d+)\s*,?\s*(#.*)?$", bare):
        return f"write {match[1]}.{match[2]}: use a decimal point"
    if match := re.search(r":\s*(\d+(\.\d+)?)\s*%", bare):
        return f"write {float(match[1]) / 100:g} instead of {match[1]}%"
    if "invalid decimal" in text or "invalid imaginary" in text:
        return "write a number without a unit, or text in quotation marks"
    if "//" in bare or "/*" in bare:
        return "write # before a comment"
    if bare.rstrip().endswith(";"):
        return "write a comma at the end instead of a semicolon"
    if re.search(r":\s*([A-Za-z]:|~|\.{0,2}/)", bare):
        return "put text in quotation marks, paths too"
    if "forgot a comma" in text and last == number:
        return "a comma is missing between two values"
    if before and end[-1] not in ",{[(" and re.match(r"\s*[\"'}]", lines[last - 1]):
        return f"line {before}: a comma is missing at its end"
    if re.match(r"\s*(\"[^\"]*\"|'[^']*')\s+[^:\s]", end) and "expected" not in text:
        return f"line {before}: a colon is missing after the key"
    if "expected after dictionary key" in text:
        return 'a key has a colon and a value after it: "key": value,'
    if "indent" in text:
        return "remove the spaces at the beginning of the line"
    return text


def _brackets(lines: list[str]) -> str:
    """Which bracket is missing, by the indentation of the lines; "" if that does not say."""
    opened: list[tuple[int, int, str]] = []
    for number, line in enumerate(lines, 1):
        code, indent = _STRING.sub("", _code(line)), len(line) - len(line.lstrip())
        inside = not code or code[0] in ")]}" or (not indent and "=" not in code)
        if opened and not inside and indent <= opened[-1][1]:
            break
        if code.endswith((":", "=")):
            return f"line {number}: a {{ is missing at its end"
        opened += [(number, indent, character) for character in code if character in "([{"]
        del opened[len(opened) - sum(map(code.count, ")]}")) :]
    return f"line {opened[-1][0]}: the {opened[-1][2]} is never closed" if opened else ""


def _code(line: str) -> str:
    """A line without its comment."""
    return re.match(r"(\"[^\"]*\"|'[^']*'|[^#\"'])*", line)[0].strip()  # type: ignore[index]


def _forward(line: str) -> str:
    """The first path in a line, with forward slashes."""
    match = re.search(r"[A-Za-z]:\\[^\"',]*|[^\s\"':,]*\\[^\"',]*", line)
    path = match[0] if match and "@" not in match[0] else "C:/Users/me"
    return re.sub(r"[\\/]+", "/", path).rstrip("/ ")


def mend(field: FieldInfo | None, detail: Any) -> str:
    """How a value that pydantic refused is written."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    text = str(value).strip()
    if kind == "bool_type":
        word = _WORDS.get(text.lower(), {"1": "True", "0": "False"}.get(text, ""))
        return f"write {word or 'True or False'}, without quotation marks"
    if kind in ("int_type", "float_type") and isinstance(value, str):
        number = re.match(r"[-+]?\d+([.,]\d+)?(e-?\d+)?", text)
        wanted = number[0].replace(",", ".") if number else "a number"
        return f"write {wanted}, without quotation marks"
    if kind in ("int_type", "int_from_float"):
        return "write a whole number"
    if value == "score_file":
        return "python run.py aesthetic_score_from_model writes scores into score.json"
    if kind == "literal_error" and field is not None:
        choices = [str(choice) for choice in get_args(field.annotation)]
        return f"choose one of {', '.join(map(repr, choices))}{hint(text, choices)}"
    if kind == "string_type":
        return 'write "" for none' if value is None else f'write "{text}", in quotation marks'
    if kind == "tuple_type":
        inner = value if isinstance(value, str) and re.search(r"\d", text) else repr(value)
        return f"write a list: [{inner}]"
    if kind == "string_too_short":
        return "it must not be empty"
    if kind == "string_pattern_mismatch" and field is not None:
        return f"it does not fit. {field.description}"
    limit = context.get("le", context.get("lt"))
    if kind.startswith("less_than") and limit == 1 and 2 <= value <= 100:
        return f"it is a share: write {value / 100:g} for {value:g}%"
    message = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return f"{message[0].lower()}{message[1:]}"
