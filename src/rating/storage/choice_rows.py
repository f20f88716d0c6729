"""The tables of the choice log: how a row shows that it is whole, and how such rows are rescued."""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

VERSION = 1
ANSWERS = ("left", "right", "tie")
Row = tuple[Any, ...]

SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    time TEXT NOT NULL,            -- UTC, ISO 8601
    session INTEGER NOT NULL,
    "left" TEXT NOT NULL,          -- relative paths with forward slashes
    "right" TEXT NOT NULL,
    outcome TEXT NOT NULL,         -- left, right, tie, skip, exclude (the left image), undo
    response_time REAL,            -- seconds
    kind TEXT NOT NULL,            -- why the pair was shown: audit, repeat, active, ...
    prediction REAL,               -- probability given to "left" before the pair was shown
    undoes INTEGER,                -- id of the event that an undo takes back
    checksum INTEGER               -- of the other columns; NULL in rows of earlier versions
) STRICT;
CREATE TABLE starts (
    id INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    path TEXT NOT NULL,
    score REAL NOT NULL,
    source TEXT NOT NULL           -- file (score.json of the old tool) or model
) STRICT;
CREATE TABLE state (               -- what score.json was when it was last read or written
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
CREATE TRIGGER events_kept BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER events_unchanged BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
PRAGMA user_version = {VERSION};
COMMIT;
"""
COLUMNS = (
    'id, time, session, "left", "right", outcome, response_time, kind, prediction, undoes, checksum'
)
INSERT = f"INSERT INTO events ({COLUMNS}) VALUES ({', '.join('?' * 11)})"
_OTHER_TABLES = {"starts": "time, path, score, source", "state": "key, value"}
_GAP = 1000  # numbers without a row after which a rescue looks for no more


class Event(NamedTuple):
    """One row: a choice, an exclusion, or the taking back of either."""

    left: str
    right: str
    outcome: str
    kind: str
    prediction: float | None = None
    response_time: float | None = None
    session: int = 0
    id: int = 0


class Start(NamedTuple):
    """A score that an image had before any logged choice."""

    path: str
    score: float
    source: str


def as_count(text: str | None) -> int:
    """A count kept as text in the state; 0 where there is none that makes sense."""
    return int(text) if text and text.isdecimal() else 0


def checksum_of(row: Row) -> int:
    """Of a row without its checksum."""
    return zlib.crc32(repr(row).encode())


def is_whole(row: Row) -> bool:
    """Whether a row is as it was written; one without a checksum only has to make sense."""
    *written, checksum = row
    if checksum is not None:
        return bool(checksum == checksum_of(tuple(written)))
    number, _, session, left, right, outcome, _, kind, prediction, undoes = written
    of_one = outcome in ("exclude", "undo")  # right is empty where only an image was excluded
    return (
        all(isinstance(text, str) for text in (left, right, kind))
        and isinstance(session, int)
        and outcome in (*ANSWERS, "skip", "exclude", "undo")
        and left not in ("", right)
        and (right != "" or of_one)
        and (prediction is None or 0 <= prediction <= 1)
        and (undoes in range(1, number) if outcome == "undo" else undoes is None)
    )


def rescue(damaged: sqlite3.Connection, file: Path) -> tuple[int, int]:
    """Write what is whole to a new log, if any is: how many events are kept, how many are lost."""
    with suppress(sqlite3.Error, ValueError):  # else nothing is read of a file that was cut off
        damaged.execute("PRAGMA writable_schema = ON")
    events: list[Row] = []
    last = missed = 0
    by_number = f"SELECT {COLUMNS} FROM events WHERE id = ?"
    while missed < _GAP:  # by number, since a damaged page ends every scan
        found = _readable(damaged, by_number, last + missed + 1)
        if found:
            last, missed = last + missed + 1, 0
            events += filter(is_whole, found)
        else:
            missed += 1
    if not events:
        return 0, last
    with closing(sqlite3.connect(file, isolation_level=None)) as restored:
        restored.executescript(SCHEMA)
        restored.execute("BEGIN")
        restored.executemany(INSERT, _renumbered(events))
        for table, columns in _OTHER_TABLES.items():
            rows = _readable(damaged, f"SELECT {columns} FROM {table}")
            marks = ", ".join("?" * len(columns.split(",")))
            restored.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
        for (written,) in _readable(restored, "SELECT value FROM state WHERE key = 'last_event'"):
            last = max(last, as_count(written))
        # score.json is to be written again
        restored.execute("DELETE FROM state WHERE key = 'last_event'")
        restored.execute("COMMIT")
    return len(events), last - len(events)


def _readable(connection: sqlite3.Connection, query: str, *values: int) -> list[Row]:
    """The rows up to the first that cannot be read."""
    rows: list[Row] = []
    with suppress(sqlite3.Error, ValueError, OverflowError):
        rows.extend(connection.execute(query, values))
    return rows


def _renumbered(events: Iterable[Row]) -> Iterator[Row]:
    """Numbers without gaps; the undo of a lost row goes with it."""
    new: dict[int, int] = {}
    for number, *middle, undoes, _ in events:
        if undoes is not None and undoes not in new:
            continue
        new[number] = len(new) + 1
        row = (new[number], *middle, None if undoes is None else new[undoes])
        yield (*row, checksum_of(row))
