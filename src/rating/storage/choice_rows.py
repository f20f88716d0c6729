"""The tables of the choice log, and how a row shows that it is as it was written."""

import zlib
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
OTHER_TABLES = {"starts": "time, path, score, source", "state": "key, value"}


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
