"""meta.txt: one row per combination that was tried, safe against interruption."""

import csv
import io
import json
import logging
import math
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.aesthetic.search.trials import Score, Setting
from src.errors import DataError
from src.files import write_text

COLUMNS = ("epochs", "lr", "batch", "train_loss", "eval_loss", "ab")
_RESULTS = ("train_loss", "eval_loss", "ab")
_log = logging.getLogger(__name__)


class MetaTable:
    """Rows of `COLUMNS` and further settings, written as they come.

    A second file beside it, `meta.txt.json`, says which data and fixed settings the rows belong to.
    If these have changed, the old table is put aside under another name and a new one is begun.

    Args:
        path: of meta.txt.
        more: names of further settings that vary; they become columns after the usual ones.
        about: identifies data and fixed settings; JSON values.

    Raises:
        DataError: the folder cannot be written.
    """

    def __init__(self, path: Path, more: Sequence[str], about: Mapping[str, Any]) -> None:
        self.path, self._more = path, tuple(more)
        self._about = json.dumps({"more": list(more), **about}, sort_keys=True)
        self._lock = threading.Lock()
        self.rows: list[dict[str, str]] = []
        if self._belongs():
            self.rows = self._read()
        else:
            self._put_aside()
            self._write()

    def score(self, setting: Setting) -> Score | None:
        """The result of a combination that was tried before, or None."""
        wanted = {name: _text(value) for name, value in setting.items()}
        for row in self.rows:
            if all(row.get(name) == value for name, value in wanted.items()):
                return Score(*(float(row[name] or "nan") for name in _RESULTS))
        return None

    def append(self, setting: Setting, score: Score) -> None:
        """Add a row and make sure that it is on the disk, once. Several threads may do so."""
        row = row_of(setting, score)
        with self._lock:
            if row in self.rows:
                return
            self.rows.append(row)
            try:
                with self.path.open("a", encoding="utf-8", newline="") as file:
                    file.write(self._lines([row]))
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise DataError(f"{self.path} cannot be written: {error.strerror}") from None

    def best(self) -> dict[str, str] | None:
        """The row with the highest AB; the earlier of equals; None if none was measured."""
        measured = [row for row in self.rows if row["ab"]]
        return max(measured, key=lambda row: float(row["ab"])) if measured else None

    @property
    def _about_path(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    def _belongs(self) -> bool:
        try:
            known = self._about_path.read_text(encoding="utf-8")
            head = self.path.read_text(encoding="utf-8").partition("\n")[0]
        except (OSError, UnicodeDecodeError):
            return False
        return known == self._about and head == ",".join((*COLUMNS, *self._more))

    def _read(self) -> list[dict[str, str]]:
        whole = self.path.read_text(encoding="utf-8").rpartition("\n")[0]  # a last line may be torn
        names = (*COLUMNS, *self._more)
        rows = [row for row in csv.DictReader(io.StringIO(whole)) if set(row) == set(names)]
        self.rows = [row for row in rows if all(row[name] is not None for name in names)]
        self._write()
        return self.rows

    def _put_aside(self) -> None:
        if not self.path.exists():
            return
        number = 1
        while (aside := self.path.with_name(f"{self.path.stem}-{number}.txt")).exists():
            number += 1
        os.replace(self.path, aside)
        _log.warning("%s was about other data or settings: kept as %s", self.path, aside.name)

    def _write(self) -> None:
        write_text(self._about_path, self._about)
        write_text(self.path, ",".join((*COLUMNS, *self._more)) + "\n" + self._lines(self.rows))

    def _lines(self, rows: Sequence[Mapping[str, str]]) -> str:
        buffer = io.StringIO()
        names = (*COLUMNS, *self._more)
        csv.DictWriter(buffer, names, lineterminator="\n").writerows(rows)
        return buffer.getvalue()


def row_of(setting: Setting, score: Score) -> dict[str, str]:
    """A combination and its result as they stand in the table."""
    results = {name: _text(getattr(score, name)) for name in _RESULTS}
    return {name: _text(value) for name, value in setting.items()} | results


def _text(value: Any) -> str:
    """A value as it stands in the table; numbers so that they are read back alike."""
    if value is None:
        return ""
    if isinstance(value, float):
        return (
            ""
            if math.isnan(value)
            else repr(int(value) if value.is_integer() and abs(value) < 1e15 else value)
        )
    if isinstance(value, (list, tuple)):
        return " ".join(_text(item) for item in value) or "none"
    return str(value)
