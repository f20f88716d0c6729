"""What messages are made of: numbers with their nouns, and commands to paste into a shell."""

import os
import re
import shlex
from collections.abc import Sequence


def counted(number: int, noun: str) -> str:
    """As in "1 image", "1,200 images" and "2 copies"."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def first_of(lines: Sequence[str], most: int) -> list[str]:
    """The first lines, and how many more there are."""
    more = [f"  ... and {len(lines) - most:,} more"] if len(lines) > most else []
    return [*lines[:most], *more]


def command(script: str, **settings: object) -> str:
    """The line that starts a script with these settings, quoted for this system's shell."""
    words = ["python", "run.py", script, *(f"--{key}={value}" for key, value in settings.items())]
    return windows_line(words) if os.name == "nt" else shlex.join(words)


def without_password(text: str) -> str:
    """The same, but what stands before the @ of a database URL is hidden, even of a broken one."""
    return re.sub(r"(\w[\w+]*:/+)?[^\s'\"]*:.*@", r"\1***@", text)


def windows_line(words: Sequence[str]) -> str:
    """Words quoted for cmd as well as for PowerShell."""
    quoted = []
    for word in words:
        if not re.fullmatch(r"[\w\-=./\\:+~]+", word):
            ending = "\\" if word.endswith("\\") else ""  # which would hide the quotation mark
            word = '"' + word.replace('"', r"\"") + ending + '"'
        quoted.append(word)
    return " ".join(quoted)
