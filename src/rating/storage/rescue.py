"""Damaged files: a copy is set aside, and what can still be read of a choice log is kept."""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from src.errors import DataError
from src.rating.storage import choice_rows
from src.rating.storage.choice_rows import OTHER_TABLES, Row, as_count, checksum_of, is_whole

_GAP = 1000  # numbers without a row after which no more are looked for


def set_aside(path: Path, what: str = "damaged") -> Path:
    """Copy a file to `NAME.damaged-TIME` beside it, once per content; returns the copy's path."""
    try:
        content = path.read_bytes()
        for copy in sorted(path.parent.glob(f"{path.name}.{what}-*")):
            if copy.read_bytes() == content:
                return copy
        name = copy = path.with_name(f"{path.name}.{what}-{time.strftime('%Y%m%d-%H%M%S')}")
        number = 1
        while copy.exists():
            number += 1
            copy = name.with_name(f"{name.name}-{number}")
        shutil.copy2(path, copy)
    except OSError as error:
        raise DataError(
            f"{path} is {what}, and no copy of it could be set aside ({error.strerror}): "
            "copy it yourself, then delete it"
        ) from error
    return copy


@dataclass(frozen=True)
class Rescued:
    """Rows that are whole, with all columns of their tables; `lost` counts the missing events."""

    events: list[Row]
    others: dict[str, list[Row]]
    lost: int

    def write(self, file: Path) -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as restored:
            restored.executescript(choice_rows.SCHEMA)
            restored.execute("BEGIN")
            restored.executemany(choice_rows.INSERT, self._renumbered())
            for table, rows in self.others.items():
                columns = OTHER_TABLES[table]
                marks = ", ".join("?" * len(columns.split(",")))
                restored.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
            restored.execute("COMMIT")

    def _renumbered(self) -> Iterator[Row]:
        """Numbers without gaps; the undo of a lost row goes with it."""
        new: dict[int, int] = {}
        for number, *middle, undoes, _ in self.events:
            if undoes is not None and undoes not in new:
                continue
            new[number] = len(new) + 1
            row = (new[number], *middle, None if undoes is None else new[undoes])
            yield (*row, checksum_of(row))


def rescue(connection: sqlite3.Connection) -> Rescued:
    with suppress(sqlite3.Error, ValueError):  # else nothing is read of a file that was cut off
        connection.execute("PRAGMA writable_schema = ON")
    found: list[Row] = []
    last = missed = 0
    by_number = f"SELECT {choice_rows.COLUMNS} FROM events WHERE id = ?"
    while missed < _GAP:  # by number, since a damaged page ends every scan
        rows = _readable(connection, by_number, last + missed + 1)
        if rows:
            last, missed = last + missed + 1, 0
            found += filter(is_whole, rows)
        else:
            missed += 1
    others = {
        table: _readable(connection, f"SELECT {columns} FROM {table}")
        for table, columns in OTHER_TABLES.items()
    }
    state = {str(key): str(value) for key, value in others["state"]}
    last = max(last, as_count(state.get("last_event")))
    # score.json is to be written again
    others["state"] = [row for row in others["state"] if row[0] != "last_event"]
    return Rescued(found, others, last - len(found))


def _readable(connection: sqlite3.Connection, query: str, *values: int) -> list[Row]:
    """The rows up to the first that cannot be read."""
    rows: list[Row] = []
    with suppress(sqlite3.Error, ValueError, OverflowError):
        rows.extend(connection.execute(query, values))
    return rows
