"""Reading tables, writing files so that nothing is ever half written, and where to write them."""

import csv
import hashlib
import io
import json
import logging
import os
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from src.errors import DataError, loading

logger = logging.getLogger(__name__)

_LARGEST = 1e15  # number in a JSON file
_MODEL_FILES = ("model.safetensors", "ensemble.json", "model.onnx")
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
_ABANDONED = 60  # seconds after which nobody writes a temporary file any more
FORMULA = re.compile(r"[=+\-@\t\r](?![\d.]*(e[+-]?\d+)?$)", re.IGNORECASE)  # but numbers are none
README = "README.md"  # a model's card
_SOURCE = "image_folder.txt"  # in a folder of results: the images that they are for


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; when the block ends well, it takes the place of `path`.

    The folder is made if need be. If the block raises, `path` stays as it was. Where the disk is
    full or the folder cannot be written, that is a DataError.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clean_up(path.parent.absolute())
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_together(folder: Path, *, instead_of: Iterable[str] = ()) -> Iterator[Path]:
    """A temporary folder in `folder`; when the block ends well, its files take their places.

    Before the first does, files named in `instead_of` are removed: what is left after a power cut
    never belongs to anything else.
    """
    temporary = folder / f".new.{secrets.token_hex(4)}.tmp"
    try:
        temporary.mkdir(parents=True)
        _clean_up(folder.absolute())
        yield temporary
        for name in instead_of:
            (folder / name).unlink(missing_ok=True)
        for path in sorted(temporary.iterdir()):
            os.replace(path, folder / path.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@cache
def _clean_up(folder: Path) -> None:
    """Once in a run, remove what killed runs left in a folder that were writing files."""
    for left in folder.glob(".*.tmp"):
        with suppress(OSError):
            if _TEMPORARY.fullmatch(left.name) and time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file as a whole, with line ends as they are in the text.

    What UTF-8 does not know, in names of files that are not Unicode, is escaped.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")


def write_readme(folder: Path, text: str) -> None:
    """Write README.md into a folder, unless a person wrote or changed the one that is there."""
    if (folder / README).exists() and not has_our_readme(folder):
        logger.info("%s was not written by this program alone: left as it is.", folder / README)
    else:
        write_text(folder / README, text + _signature(text))


def has_our_readme(folder: Path) -> bool:
    """Whether `write_readme` wrote the README.md of a folder, and nobody has changed it since."""
    try:
        text, start, rest = (folder / README).read_text(encoding="utf-8").rpartition("<!--")
    except (OSError, UnicodeDecodeError):
        return False
    return start + rest == _signature(text)


def _signature(text: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"<!-- Written by image-taste {digest}; once edited, it is not written again. -->\n"


def read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Arrays and texts of a safetensors file; a ModelError where it is not a whole one."""
    from safetensors import safe_open

    what = f"{path}, which must be a whole safetensors file,"
    with loading(what), safe_open(path, "numpy") as file:
        names = file.keys()
        return {name: file.get_tensor(name) for name in names}, file.metadata() or {}


def write_safetensors(path: Path, arrays: Mapping[str, Any], texts: Mapping[str, str]) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with replacing(path) as temporary:
        save_file(whole, temporary, metadata=dict(texts))


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
    """Rows as CSV, their heading first; a cell that a spreadsheet would compute gets a quote."""
    text, formula = io.StringIO(), FORMULA.match
    csv.writer(text, lineterminator="\n").writerows(
        [f"'{cell}" if isinstance(cell, str) and formula(cell) else cell for cell in row]
        for row in rows
    )
    return text.getvalue()


def write_csv(path: Path, rows: Iterable[Iterable[object]]) -> None:
    write_text(path, csv_text(rows))


def read_csv(path: Path, *needed: str) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file as column -> cell, each with its line number; see `csv_text`.

    A DataError says where the file cannot be read, or lacks one of the columns that are needed.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream, restval="")
            lacking = set(needed) - set(rows.fieldnames or ())
            if lacking:
                raise DataError(f"{path.name}: the first line lacks {', '.join(sorted(lacking))}")
            return [
                (rows.line_num, {name: _unquoted(cell) for name, cell in row.items()})
                for row in rows
            ]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}") from None


def _unquoted(cell: Any) -> Any:
    """A cell as it was before `csv_text`; those beyond the heading are a list."""
    is_quoted = isinstance(cell, str) and cell[:1] == "'" and FORMULA.match(cell[1:])
    return cell[1:] if is_quoted else cell


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


def cache_root() -> Path:
    """Where this user's computer keeps what can be made again."""
    if sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "image-taste"


def user_cache(folder: Path) -> Path:
    """The place there for what belongs to a folder that cannot be written."""
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return cache_root() / f"{folder.resolve().name}-{digest}"


def output_folder(given: str, shipped: str, images: str) -> Path:
    """Where a script's results go: the folder that is given, which is made.

    The folder that is the default, `shipped`, gets one inside it for each image folder.
    """
    source = images if "://" in images else str(Path(images).resolve())
    folder = Path(given)
    if given == shipped:
        folder = _free_for(folder / (PurePath(source).name or "images"), source)
    else:
        warn_of_replacing(folder, source)
    write_text(folder / _SOURCE, source)
    return folder


def warn_of_replacing(folder: Path, source: str) -> None:
    """Say so where a folder holds what was made from other images."""
    if (other := _results_of(folder)) not in (None, source):
        logger.warning("%s holds results for %s, which will be replaced.", folder, other)


def evaluation_folder(model: Path, images: Path, save_model: Path | None) -> Path:
    """Where the results of evaluating a model go: never over the figures of any model's training.

    That is `save_model` if it names another folder that holds no model, and otherwise a folder
    inside the model's own for each image folder.
    """
    if save_model is not None:
        holds_model = any((save_model / name).is_file() for name in _MODEL_FILES)
        if save_model.resolve() != model.resolve() and not holds_model:
            return save_model
    resolved = images.resolve()
    folder = model if model.is_dir() else model.parent
    return _free_for(folder / f"evaluation-{resolved.name or 'images'}", str(resolved))


def _free_for(folder: Path, source: str) -> Path:
    """This folder, or one beside it where it holds results for another image folder."""
    if _results_of(folder) in (None, source):
        return folder
    digest = hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return folder.with_name(f"{folder.name}-{digest}")


def _results_of(folder: Path) -> str | None:
    """The image folder that the results in a folder are for; None if they do not say."""
    with suppress(OSError, ValueError):
        return (folder / _SOURCE).read_text(encoding="utf-8")
    with suppress(OSError, ValueError):
        metrics = read_json(folder / "metrics.json")
        named = metrics.get("image_folder", metrics.get("images"))  # the latter of scores
        return named if isinstance(named, str) else None
    return None
