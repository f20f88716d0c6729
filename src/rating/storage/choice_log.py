"""Every choice a person made, in an append-only SQLite file beside `score.json`.

One row per event, never changed and never deleted: taking a choice back is a row of its own. A row
is on the disk when `append` returns (`synchronous=FULL`: one fsync of the write-ahead log).

Each row carries a checksum of itself and its number, and the numbers have no gaps, so that a
changed, a lost and a cut-off row are all noticed. A damaged log is set aside, and the rows that are
whole go into a new one.

The open log holds SQLite's exclusive lock on the file. That is what refuses a second window on the
folder; the operating system drops the lock with the process, however it ends, so there is never a
stale one. It also lets the write-ahead log do without shared memory, which network folders lack
(https://sqlite.org/wal.html#noshm).
"""

import logging
import math
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from src.errors import DataError
from src.rating.storage import choice_rows as rows
from src.rating.storage.choice_rows import Event, Start
from src.rating.storage.score_file import set_aside

logger = logging.getLogger(__name__)

NAME = "score_choices.sqlite"


class _Damaged(Exception):
    """Rows of a log are missing or not as they were written."""


class ChoiceLog:
    """The open log of one folder, owned by one process.

    Raises a DataError where the folder cannot be written, or the log is open elsewhere, damaged
    beyond reading, or made by a newer version of this program.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        self.notices: list[str] = []  # what the user should know about the file
        self._connection = self._connect()
        try:
            with self._explained():
                try:
                    self._prepare()
                except (_Damaged, sqlite3.DatabaseError, UnicodeDecodeError) as error:
                    if not _is_damage(error):
                        raise
                    self._restore(error)
        except BaseException:
            self._connection.close()
            raise

    def append(self, event: Event, undoes: int | None = None) -> int:
        """Write one event of this session; it is on the disk when this returns its id."""
        seconds, probability = (
            None if value is None else float(value)
            for value in (event.response_time, event.prediction)
        )
        about = (event.left, event.right, event.outcome, seconds, event.kind, probability, undoes)
        row = (self._last + 1, _now(), self.session, *about)
        with self._explained():
            self._connection.execute(rows.INSERT, (*row, rows.checksum_of(row)))
        self._last += 1
        return self._last

    def undo(self, event: Event) -> None:
        self.append(event._replace(outcome="undo", prediction=None), undoes=event.id)

    def events(self) -> list[Event]:
        """All events that still stand, in the order they happened."""
        return self._rows(
            Event,
            'SELECT "left", "right", outcome, kind, prediction, response_time, session, id'
            " FROM events WHERE outcome != 'undo'"
            " AND id NOT IN (SELECT undoes FROM events WHERE undoes IS NOT NULL) ORDER BY id",
        )

    def add_starts(self, starts: Iterable[Start]) -> None:
        """Keep scores that images begin with; a later one for the same path counts."""
        now = _now()
        with self._explained(), self._connection:  # commits, or takes all back
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                "INSERT INTO starts (time, path, score, source) VALUES (?, ?, ?, ?)",
                [(now, *start) for start in starts],
            )

    def starts(self) -> dict[str, Start]:
        """The score each image began with, where it had one."""
        starts = self._rows(Start, "SELECT path, score, source FROM starts ORDER BY id")
        return {start.path: start for start in starts if math.isfinite(start.score)}

    def set_state(self, **values: str) -> None:
        """Keep values by name, in this order, replacing earlier ones."""
        with self._explained():
            self._connection.executemany(
                "INSERT OR REPLACE INTO state (key, value) VALUES (?, ?)", list(values.items())
            )

    def state(self) -> dict[str, str]:
        with self._explained():
            return dict(self._connection.execute("SELECT key, value FROM state"))

    def close(self) -> None:
        """Release the folder; merges the write-ahead log into the file. May be called twice."""
        self._connection.close()

    def _connect(self) -> sqlite3.Connection:
        with self._explained():  # callers share it between threads under their own lock
            return sqlite3.connect(
                self.path, timeout=0.5, isolation_level=None, check_same_thread=False
            )

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA locking_mode = EXCLUSIVE")  # before WAL: then no shared memory is needed
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        run("PRAGMA fullfsync = ON")  # macOS: a plain fsync stops at the disk's cache
        (version,) = run("PRAGMA user_version").fetchone()
        if version == 0:
            self._connection.executescript(rows.SCHEMA)
        elif version != rows.VERSION:
            raise DataError(
                f"{self.path} was written by a newer version of this program (format {version}): "
                "update the program"
            )
        run("BEGIN IMMEDIATE")  # takes the lock, and fails where nothing can be written
        run("COMMIT")
        if "checksum" not in {column[1] for column in run("PRAGMA table_info(events)")}:
            run("ALTER TABLE events ADD COLUMN checksum INTEGER")
        ((verdict, *_), *_) = run("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            raise _Damaged(verdict)
        self._last = self.session = 0
        for row in run(f"SELECT {rows.COLUMNS} FROM events ORDER BY id"):
            if not rows.is_whole(row) or row[0] != self._last + 1:
                raise _Damaged(f"choice {self._last + 1:,} is missing or changed")
            self._last, self.session = row[0], row[2]
        if self._last < rows.as_count(dict(run("SELECT key, value FROM state")).get("last_event")):
            raise _Damaged("the last choices are missing")
        self.session += 1

    def _restore(self, damage: Exception) -> None:
        """Set the file aside and go on with a new one of the rows that are whole."""
        fresh = self.path.with_name(f"{NAME}.restored")
        fresh.unlink(missing_ok=True)
        kept, missing = rows.rescue(self._connection, fresh)
        if not kept:
            raise DataError(
                f"{self.path} is damaged ({damage}); it has not been changed. Put a backup in its "
                "place, or rename it to continue from the scores in score.json"
            ) from damage
        self._connection.close()
        copy = set_aside(self.path)
        self.path.with_name(f"{NAME}-wal").unlink(missing_ok=True)
        os.replace(fresh, self.path)
        self._connection = self._connect()
        self._prepare()
        lost = f"at least {missing:,}" if missing else "an unknown number"
        notice = (
            f"{self.path} was damaged ({damage}): {kept:,} choices are intact and "
            f"kept, {lost} are lost; the damaged file is {copy.name}"
        )
        logger.warning(notice)
        self.notices.append(notice)

    def _rows(self, kind: Any, query: str) -> list[Any]:
        with self._explained():
            return [kind._make(row) for row in self._connection.execute(query)]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise DataError(self._explanation(error)) from error

    def _explanation(self, error: sqlite3.Error) -> str:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            where = f"{self.path.parent} is open in another rating window or program"
            return f"{where}: close that one first"
        if name.startswith("SQLITE_FULL"):
            return f"{self.path}: the disk is full. Free some space, then answer again"
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            return (
                f"{self.path.parent} cannot be written ({error}), so choices could not be kept: "
                "correct the folder's permissions or copy the images elsewhere"
            )
        return f"{self.path} cannot be used ({error}): check the disk, then try again"


@contextmanager
def no_window(directory: Path) -> Iterator[None]:
    """Keep rating windows off a folder for as long as the block takes."""
    # Where there is no log, no window has ever been there, and none is made for this.
    with closing(ChoiceLog(directory)) if (directory / NAME).exists() else nullcontext():
        yield


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _is_damage(error: Exception) -> bool:
    name = getattr(error, "sqlite_errorname", "")
    return (
        isinstance(error, (_Damaged, UnicodeDecodeError))
        or name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))
        or "decode" in str(error)  # text that is no UTF-8; it has no code
    )
