"""Every choice a person made, in an append-only SQLite file beside `score.json`.

One row per event, never changed and never deleted: taking a choice back is a row of its own. A row
is on the disk when `append` returns (`synchronous=FULL`: one fsync of the write-ahead log).

The open log holds SQLite's exclusive lock on the file. That is what refuses a second window on the
folder; the operating system drops the lock with the process, however it ends, so there is never a
stale one. It also lets the write-ahead log do without shared memory, which network folders lack
(https://sqlite.org/wal.html#noshm).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from src.errors import DataError

NAME = "score_choices.sqlite"
VERSION = 1
ANSWERS = ("left", "right", "tie")

_SCHEMA = f"""
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
    undoes INTEGER                 -- id of the event that an undo takes back
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


class ChoiceLog:
    """The open log of one folder, owned by one process.

    Raises:
        DataError: the folder cannot be written, the log is open elsewhere, damaged, or made by a
            newer version of this program.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        try:
            # Callers share the connection between threads under their own lock.
            self._connection = sqlite3.connect(
                self.path, timeout=0.5, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self._explain(error) from error
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._connection.close()
            raise self._explain(error) from error
        except DataError:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA locking_mode = EXCLUSIVE")  # before WAL: then no shared memory is needed
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        run("PRAGMA fullfsync = ON")  # macOS: a plain fsync stops at the disk's cache
        (version,) = run("PRAGMA user_version").fetchone()
        if version == 0:
            self._connection.executescript(_SCHEMA)
        elif version != VERSION:
            raise DataError(
                f"{self.path} was written by a newer version of this program (format {version}): "
                "update the program"
            )
        run("BEGIN IMMEDIATE")  # takes the lock, and fails where nothing can be written
        run("COMMIT")
        (last,) = run("SELECT coalesce(max(session), 0) FROM events").fetchone()
        self.session: int = last + 1

    def append(self, event: Event, undoes: int | None = None) -> int:
        """Write one event of this session; it is on the disk when this returns its id.

        Raises:
            DataError: nothing was written (disk full, folder gone …).
        """
        try:
            cursor = self._connection.execute(
                'INSERT INTO events (time, session, "left", "right", outcome, response_time, kind,'
                " prediction, undoes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    datetime.now(UTC).isoformat(timespec="milliseconds"),
                    self.session,
                    event.left,
                    event.right,
                    event.outcome,
                    event.response_time,
                    event.kind,
                    event.prediction,
                    undoes,
                ),
            )
        except sqlite3.Error as error:
            raise self._explain(error) from error
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def undo(self, event: Event) -> None:
        """Take an event back by a new row."""
        self.append(event._replace(outcome="undo", prediction=None), undoes=event.id)

    def events(self) -> list[Event]:
        """All events that still stand, in the order they happened."""
        try:
            rows = self._connection.execute(
                'SELECT "left", "right", outcome, kind, prediction, response_time, session, id'
                " FROM events WHERE outcome != 'undo'"
                " AND id NOT IN (SELECT undoes FROM events WHERE undoes IS NOT NULL) ORDER BY id"
            )
            return [Event._make(row) for row in rows]
        except sqlite3.Error as error:
            raise self._explain(error) from error

    def add_starts(self, starts: Iterable[Start]) -> None:
        """Keep scores that images begin with; a later one for the same path counts."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(
                    "INSERT INTO starts (time, path, score, source) VALUES (?, ?, ?, ?)",
                    [(now, *start) for start in starts],
                )
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._explain(error) from error

    def starts(self) -> dict[str, Start]:
        """The score each image began with, where it had one."""
        try:
            rows = self._connection.execute("SELECT path, score, source FROM starts ORDER BY id")
            return {row[0]: Start._make(row) for row in rows}
        except sqlite3.Error as error:
            raise self._explain(error) from error

    def set_state(self, **values: str) -> None:
        """Keep values by name, replacing earlier ones."""
        try:
            self._connection.executemany(
                "INSERT OR REPLACE INTO state (key, value) VALUES (?, ?)", list(values.items())
            )
        except sqlite3.Error as error:
            raise self._explain(error) from error

    def state(self) -> dict[str, str]:
        """The values kept by `set_state`."""
        try:
            return dict(self._connection.execute("SELECT key, value FROM state"))
        except sqlite3.Error as error:
            raise self._explain(error) from error

    def close(self) -> None:
        """Release the folder; merges the write-ahead log into the file. May be called twice."""
        self._connection.close()

    def _explain(self, error: sqlite3.Error) -> DataError:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            text = (
                f"{self.path.parent} is open in another rating window or program: "
                "close that one first"
            )
        elif name.startswith("SQLITE_FULL"):
            text = f"{self.path}: the disk is full. Free some space, then answer again"
        elif name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            text = (
                f"{self.path} is damaged ({error}); it has not been changed. Put a backup in its "
                f"place, or rename it to go on from the scores in score.json"
            )
        elif name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            text = (
                f"{self.path.parent} cannot be written ({error}), so choices could not be kept: "
                "mend the folder's permissions or copy the images elsewhere"
            )
        else:
            text = f"{self.path} cannot be used ({error}): check the disk, then try again"
        return DataError(text)


@contextmanager
def no_window(directory: Path) -> Iterator[None]:
    """Keep rating windows off a folder for as long as the block takes.

    Where there is no log, no window has ever been there, and none is made for this.

    Raises:
        DataError: a window has the folder open.
    """
    if not (directory / NAME).exists():
        yield
        return
    with closing(ChoiceLog(directory)):
        yield
