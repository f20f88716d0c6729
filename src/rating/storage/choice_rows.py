"""The tables of the choice log: how a row shows that it is whole, and how such rows are rescued."""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

VERSION = 2
OLDEST = 1  # of logs without a choice among more than two images, which earlier programs read too
LARGEST = 1e6  # no score is larger, in Elo/400
MOST = 4  # images to choose among
_NUMBERED = [str(number) for number in range(1, MOST + 1)]
ANSWERS = ("left", "right", "tie", *_NUMBERED, *map("/".join, permutations(_NUMBERED, 2)))
"""of more than two images the number of the best, or of the best and the worst, as in 3/1"""
Row = tuple[Any, ...]

SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    time TEXT NOT NULL,            -- UTC, ISO 8601
    session INTEGER NOT NULL,
    "left" TEXT NOT NULL,          -- relative paths with forward slashes
    "right" TEXT NOT NULL,
    outcome TEXT NOT NULL,         -- left, right, tie, skip, exclude (the left image), undo; of
                                   -- more than two the best (1 to 4), or best and worst (3/1)
    response_time REAL,            -- seconds
    kind TEXT NOT NULL,            -- why the pair was shown: audit, repeat, active, ...
    prediction REAL,               -- probability given to "left" before the pair was shown
    undoes INTEGER,                -- id of the event that an undo takes back
    more TEXT,                     -- JSON where there are more than two images: the other paths
                                   -- and the probability given to each of all to be the best
    checksum INTEGER               -- of the other columns; NULL in rows of earlier versions
) STRICT;
CREATE TABLE starts (
    id INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    path TEXT NOT NULL,
    score REAL NOT NULL,
    source TEXT NOT NULL,          -- file (score.json of the old tool) or model
    checksum INTEGER
) STRICT;
CREATE TABLE state (               -- what score.json was when it was last read or written
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    checksum INTEGER
) STRICT;
CREATE TRIGGER events_kept BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER events_unchanged BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
PRAGMA user_version = {OLDEST};
COMMIT;
"""
_COLUMNS = {
    "events": 'id, time, session, "left", "right", outcome, response_time, kind, prediction, '
    "undoes, more, checksum",
    "starts": "id, time, path, score, source, checksum",
    "state": "key, value, checksum",
}
_WIDTH = _COLUMNS["events"].count(",")  # without the checksum
_NUMBERS = ("last_event", "rows")  # of events, in the state: the last in score.json, and the last
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
    others: tuple[str, ...] = ()
    """the third image and so on, of more than two"""
    predictions: tuple[float, ...] = ()
    """and the probability given to each of all, the first included, to be the best"""

    @property
    def images(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.left, self.right, *self.others)))


class Start(NamedTuple):
    """A score that an image had before any logged choice."""

    path: str
    score: float
    source: str


def places(outcome: str) -> tuple[int | None, int | None]:
    """Which image was the best and which the worst, from 0; None where the answer does not say."""
    if outcome in ("left", "right"):
        return int(outcome == "right"), None
    best, _, worst = outcome.partition("/")
    if not best.isdecimal():
        return None, None
    return int(best) - 1, int(worst) - 1 if worst else None


def predicted(event: Event) -> int | None:
    """Which image was the most probable to be chosen; None where nothing was predicted."""
    if event.predictions:
        return max(range(len(event.predictions)), key=event.predictions.__getitem__)
    return None if event.prediction is None else int(event.prediction <= 0.5)


def is_outcome(outcome: str, count: int) -> bool:
    """Whether this can be the answer about so many images, or skipping them."""
    if outcome in ("tie", "skip"):
        return True
    best, worst = places(outcome)
    of_pair = outcome in ("left", "right")
    return outcome in ANSWERS and of_pair == (count == 2) and max(best or 0, worst or 0) < count


def as_count(value: object) -> int:
    """A count, or its text; 0 where there is none that makes sense."""
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def known_by(state: Iterable[tuple[str, str]]) -> int:
    """How many events there are at least, by what is noted of them."""
    return max((as_count(value) for key, value in state if key in _NUMBERS), default=0)


def is_score(value: float) -> bool:
    return abs(value) <= LARGEST  # not NaN either


def select(table: str, where: str = "") -> str:
    return f"SELECT {_COLUMNS[table]} FROM {table} {where}"


def insert(table: str) -> str:
    """For rows `with_checksum`. Of the state, which has no triggers, a row replaces an earlier."""
    verb = "INSERT OR REPLACE" if table == "state" else "INSERT"
    marks = ", ".join("?" * (_COLUMNS[table].count(",") + 1))
    return f"{verb} INTO {table} ({_COLUMNS[table]}) VALUES ({marks})"


def add_columns(connection: sqlite3.Connection) -> None:
    """Those that logs of earlier versions lack; earlier programs pass over them."""
    for table, column in (
        ("events", "more TEXT"),
        *((one, "checksum INTEGER") for one in _COLUMNS),
    ):
        columns = connection.execute(f"PRAGMA table_info({table})")
        if column.split()[0] not in {there[1] for there in columns}:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column}")


def with_checksum(row: Row) -> Row:
    """The row and its checksum, in which `more` counts only where there is any."""
    told = row[:-1] if len(row) == _WIDTH and row[-1] is None else row
    return (*row, zlib.crc32(repr(told).encode()))


def is_whole(row: Row) -> bool:
    """Whether a row is as it was written; one without a checksum only has to make sense."""
    *written, checksum = row
    if checksum is not None:
        return row == with_checksum(tuple(written))
    if len(written) < 10:  # of another table
        kinds = [*map(type, written)]
        is_start = kinds == [int, str, str, float, str] and is_score(written[3])
        return is_start or kinds == [str, str]
    number, _, session, left, right, outcome, _, kind, prediction, undoes, more = written
    of_one = outcome in ("exclude", "undo")  # right is empty where only an image was excluded
    return (
        all(isinstance(text, str) for text in (left, right, kind))
        and session in range(2**31)
        and outcome in ("left", "right", "tie", "skip", "exclude", "undo")
        and more is None
        and left not in ("", right)
        and (right != "" or of_one)
        and (prediction is None or 0 <= prediction <= 1)
        and (undoes in range(1, number) if outcome == "undo" else undoes is None)
    )


def rescue(damaged: sqlite3.Connection, file: Path, written: int) -> tuple[int, int]:
    """Write what is whole to a new log: how many events are kept, and how many there were.

    `written` is how many there were for certain.
    """
    with suppress(sqlite3.Error, ValueError):  # else nothing is read of a file that was cut off
        damaged.execute("PRAGMA writable_schema = ON")
        add_columns(damaged)
    found = {table: [*_whole(damaged, select(table))] for table in ("starts", "state")}
    written = max(written, known_by(row[:2] for row in found["state"]))
    events: list[Row] = []
    number, last = 1, written
    while number <= last + _GAP:  # by number, since a damaged page ends every scan
        events += _whole(damaged, select("events", f"WHERE id = {number}"))
        last = max(last, events[-1][0] if events else 0)
        number += 1
    # score.json is to be written again
    found["state"] = [row for row in found["state"] if row[0] not in _NUMBERS]
    found["events"] = [*_renumbered(events)]
    scores = enumerate(found["starts"], start=1)
    found["starts"] = [with_checksum((number, *row[1:-1])) for number, row in scores]
    with closing(sqlite3.connect(file, isolation_level=None)) as restored:
        restored.executescript(SCHEMA)
        restored.execute("BEGIN")
        for table, rows in found.items():
            restored.executemany(insert(table), rows)
        restored.execute("COMMIT")
        if any(row[_WIDTH - 1] for row in found["events"]):
            restored.execute(f"PRAGMA user_version = {VERSION}")
    return len(events), last


def _whole(connection: sqlite3.Connection, query: str) -> Iterator[Row]:
    """The whole rows up to the first that cannot be read."""
    with suppress(sqlite3.Error, ValueError, OverflowError):
        yield from filter(is_whole, connection.execute(query))


def _renumbered(events: Iterable[Row]) -> Iterator[Row]:
    """Numbers without gaps; the undo of a lost row goes with it."""
    new: dict[int, int] = {}
    for number, *middle, undoes, more, _ in events:
        if undoes is not None and undoes not in new:
            continue
        new[number] = len(new) + 1
        undone = None if undoes is None else new[undoes]
        yield with_checksum((new[number], *middle, undone, more))
