"""`score.json`: relative path → score, with what other programs keep in it left as it is.

    {"a/cat.png": 0.25, "b/dog.jpg": -0.4, "#meta#": {"evaluations": 1007, "model_evals": 123}}

Scores are Elo/400: +1 is odds of 10:1. `#meta#` counts the person's choices and the images that a
model scored; `unrated` in it lists the images with a score here that no person has compared.

The old tool's later files are read too: `[score, comparisons]` instead of a score, and
`{"ImageRecords": {path: {"score": 0.25, "comparisons": 7}}}`. Scores beside the records are newer.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from src.errors import DataError
from src.rating.storage.choice_rows import LARGEST, as_count, is_score

NAME = "score.json"
META = "#meta#"
_RECORDS = "ImageRecords"


class DamagedScoreFile(DataError):
    """The file is there but does not hold scores; it has not been touched."""


@dataclass
class ScoreFile:
    """What a `score.json` holds; an empty one stands for a file that does not exist yet."""

    scores: dict[str, float] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)  # unknown entries, written back as read

    def unrated(self) -> set[str]:
        """The images in the file that no person has compared.

        Files of the old tool have no such list; there an image starts at exactly 0, and since
        every comparison moves it by K(1-P) > 0 it practically never returns to it. So in such a
        file exactly 0 is read as unrated.
        """
        listed = self.meta.get("unrated")
        if isinstance(listed, list):
            return {posix(path) for path in listed if isinstance(path, str)}
        return {path for path, score in self.scores.items() if score == 0}

    def rated(self) -> dict[str, float]:
        """The scores that rest on a person's choices."""
        unrated = self.unrated()
        return {path: score for path, score in self.scores.items() if path not in unrated}

    def count(self, key: str) -> int:
        return as_count(self.meta.get(key))


def posix(path: str) -> str:
    """The path with forward slashes; the old tool wrote the separators of its system."""
    return path.replace("\\", "/")


def read_bytes(path: Path) -> bytes | None:
    """What the file holds; None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        what = f"{path} cannot be read ({error.strerror}): correct its permissions"
        raise DataError(what) from error


def set_aside(path: Path, what: str = "damaged") -> Path:
    """Copy a file to `NAME.damaged-HASH` beside it, once per content; returns the copy's path."""
    try:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:8]
        copy = path.with_name(f"{path.name}.{what}-{digest}")
        if not copy.exists() or copy.read_bytes() != content:
            shutil.copy2(path, copy)
    except OSError as error:
        raise DataError(
            f"{path} is {what}, and no copy of it could be set aside ({error.strerror}): "
            "copy it yourself, then delete it"
        ) from error
    return copy


def read_score_file(path: Path) -> ScoreFile:
    """Read a score file; one that does not exist is empty.

    Raises a DamagedScoreFile where it is no JSON object of numbers (cut short, edited …).
    """
    data, result = read_bytes(path), ScoreFile()
    if data is None:
        return result
    try:
        text = data.decode("utf-8-sig")
        content = json.loads(text)
        if "\\u" in text:  # which may stand for half a character, that no file can hold
            json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(content, dict):
        raise _damaged(path, "it is not an object of paths and scores")
    records = content.get(_RECORDS)
    for key, entry in {**(records if isinstance(records, dict) else {}), **content}.items():
        is_image = not key.startswith("#") and bool(PurePosixPath(posix(key)).suffix)
        value = _score(entry) if is_image else entry
        if key == META:
            if not isinstance(value, dict):
                raise _damaged(path, f"{META} is not an object")
            result.meta = value
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            if not is_score(value):
                raise _damaged(path, f"the score of {key!r} is not a number up to {LARGEST:,.0f}")
            name = posix(key)
            # Both spellings of one path can only come from a hand merge: the system-free one wins.
            if name == key or name not in content:
                result.scores[name] = float(value)
        elif is_image:
            raise _damaged(path, f"the score of {key!r} is not a number")
        else:
            result.extra[key] = value
    return result


def _score(entry: Any) -> Any:
    """The score of an entry that holds more than that; others as they are."""
    if isinstance(entry, list) and len(entry) == 2:
        return entry[0]
    return entry.get("score", entry) if isinstance(entry, dict) else entry


def _damaged(path: Path, why: str) -> DamagedScoreFile:
    return DamagedScoreFile(f"{path} is damaged: {why}. It has not been changed")


def as_text(content: ScoreFile) -> str:
    """The file's text: paths sorted, then what else was in it, then `#meta#`."""
    entries = {**dict(sorted(content.scores.items())), **content.extra, META: content.meta}
    return json.dumps(entries, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
