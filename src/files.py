"""Reading tables, writing files so that nothing is ever half written, and where to write them."""

import csv
import hashlib
import io
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from src.errors import DataError

_LARGEST = 1e15  # number in a JSON file
_MODEL_FILES = ("model.safetensors", "ensemble.json", "model.onnx")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; when the block ends well, it takes the place of `path`.

    The folder is made if need be. If the block raises, `path` stays as it was. Where the disk is
    full or the folder cannot be written, that is a DataError.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file as a whole, with line ends as they are in the text."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    OSError if it cannot be read; ValueError for anything else, also for what JSON allows and no
    file of ours holds: numbers that are none or beyond all measure, and broken characters.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text, parse_int=_sane, parse_float=_sane, parse_constant=_sane)
        json.dumps(content, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("too many brackets") from None
    if not isinstance(content, dict):
        raise ValueError("no JSON object")
    return content


def _sane(number: str) -> float:
    value = float(number)
    if not abs(value) <= _LARGEST:
        raise ValueError(f"a number of {number[:20]}")
    return int(number) if number.lstrip("-").isdigit() else value


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV, their heading first."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_csv(path: Path, rows: Iterable[Iterable[object]]) -> None:
    write_text(path, csv_text(rows))


def read_csv(path: Path, *needed: str) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file as column -> cell, each with its line number.

    A DataError says where the file cannot be read, or lacks one of the columns that are needed.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream, restval="")
            lacking = set(needed) - set(rows.fieldnames or ())
            if lacking:
                raise DataError(f"{path.name}: the first line lacks {', '.join(sorted(lacking))}")
            return [(rows.line_num, row) for row in rows]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}") from None


def rows_of(columns: Mapping[str, Any]) -> list[list[object]]:
    """Columns (lists or arrays) as rows for `write_csv`, numbers with six digits."""
    lists = [
        column.tolist() if hasattr(column, "tolist") else column for column in columns.values()
    ]
    rows = zip(*lists, strict=True)
    return [
        list(columns),
        *([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row] for row in rows),
    ]


def is_writable(folder: Path) -> bool:
    """Whether files can be made in a folder; tried, since permission bits do not tell."""
    try:
        with tempfile.TemporaryFile(prefix=".", dir=folder):
            return True
    except OSError:
        return False


def user_cache(folder: Path) -> Path:
    """Where this user's computer keeps what belongs to a folder that cannot be written."""
    if sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return root / "image-taste" / f"{folder.resolve().name}-{digest}"


def evaluation_folder(model: Path, images: Path, save_model: Path | None) -> Path:
    """Where the results of evaluating a model go: never over the figures of any model's training.

    That is `save_model` if it names another folder that holds no model, and otherwise a folder
    inside the model's own that is named after the image folder. A second image folder of that
    name gets another, as far as `metrics.json` says there which images it is of.
    """
    if save_model is not None:
        holds_model = any((save_model / name).is_file() for name in _MODEL_FILES)
        if save_model.resolve() != model.resolve() and not holds_model:
            return save_model
    resolved = images.resolve()
    folder = model if model.is_dir() else model.parent
    folder /= f"evaluation-{resolved.name or 'images'}"
    if _measured_images(folder) not in (None, str(resolved)):
        digest = hashlib.sha256(str(resolved).encode("utf-8", "surrogateescape")).hexdigest()[:8]
        folder = folder.with_name(f"{folder.name}-{digest}")
    return folder


def _measured_images(folder: Path) -> object:
    """The image folder that the figures in a folder are of; None if they do not say."""
    try:
        return read_json(folder / "metrics.json").get("images")
    except (OSError, ValueError):
        return None
