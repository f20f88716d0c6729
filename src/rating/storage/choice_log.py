"""Every choice a person made, in an append-only SQLite file beside `score.json`.

One row per event, never changed and never deleted: taking a choice back is a row of its own. A row
is on the disk when `append` returns (`synchronous=FULL`: one fsync of the write-ahead log).

Each row carries a checksum of itself and its number, and the numbers have no gaps, so that a
changed, a lost and a cut-off row are all noticed. Rows that were in the write-ahead log when the
program was killed, and are cut off from it, leave no gap: that is why the number of the last row is
also kept in a small file, for as long as the log is open. It is written after the row, without
waiting for the disk, so that it is never ahead of the log. A damaged log is set aside, and the rows
that are whole go into a new one.

The open log holds SQLite's exclusive lock on the file. That is what refuses a second window on the
folder; the operating system drops the lock with the process, however it ends, so there is never a
stale one. It also lets the write-ahead log do without shared memory, which network folders lack
(https://sqlite.org/wal.html#noshm).
"""

import json
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from src.errors import DataError
from src.rating.storage import choice_rows as rows
from src.rating.storage.choice_rows import Event, Start
from src.rating.storage.score_file import read_bytes, set_aside
from src.text import counted

logger = logging.getLogger(__name__)

NAME = "score_choices.sqlite"


_REMEDIES = {
    ("SQLITE_BUSY", "SQLITE_LOCKED"): (
        "{folder} is open in another rating window or program: close that one first"
    ),
    ("SQLITE_FULL",): "{file}: the disk is full. Free some space, then answer again",
    ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM"): (
        "{folder} cannot be written ({error}), so choices could not be saved: "
        "correct the folder's permissions or copy the images elsewhere"
    ),
    ("SQLITE_IOERR", "SQLITE_NOMEM"): (
        "{file} cannot be used ({error}): check the disk, then try again"
    ),
}


class _Damaged(Exception):
    """Rows of a log are missing or not as they were written."""


class ChoiceLog:
    """The open log of one folder, owned by one process."""

    events: list[Event]  # that still stand, in the order they happened
    starts: dict[str, Start]  # the score each image began with, where it had one
    state: dict[str, str]
    session: int
    _version: int  # of the format
    _last: int  # events, in all
    _starts: int

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        self._wal, self._count = (self.path.with_name(NAME + end) for end in ("-wal", "-count"))
        self._counter: FileIO | None = None
        self.notices: list[str] = []  # what the user should know about the file
        left_in_wal = read_bytes(self._wal)  # opening the file takes it in, as far as it is whole
        size = self.path.stat().st_size if self.path.exists() else None
        if size is None:
            self._count.unlink(missing_ok=True)
        self._connect()
        try:
            with self._explained():
                try:
                    if size == 0:
                        raise _Damaged("it is empty")
                    self._prepare()
                except (_Damaged, sqlite3.Error, UnicodeDecodeError) as error:
                    if _remedy(error):
                        raise
                    self._restore(error, left_in_wal)
        except BaseException:
            self._connection.close()
            raise

    def append(self, event: Event) -> None:
        """Write one event of this session; it is on the disk when this returns."""
        self.events.append(self._write(event))

    def take_back(self) -> Event:
        """Undo the last event that stands."""
        last = self.events[-1]
        undo = last._replace(outcome="undo", prediction=None, others=(), predictions=())
        self._write(undo, undoes=last.id)
        return self.events.pop()

    def add_starts(self, starts: Iterable[Start]) -> None:
        """Keep scores that images begin with; a later one for the same path counts."""
        now, added = _now(), list(starts)
        numbered = [(self._starts + n, now, *start) for n, start in enumerate(added, start=1)]
        with self._explained(), self._connection:  # commits, or takes all back
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(rows.insert("starts"), map(rows.with_checksum, numbered))
        self._starts += len(added)
        self.starts.update((start.path, start) for start in added)

    def set_state(self, **values: str) -> None:
        """Keep values by name, in this order, replacing earlier ones."""
        with self._explained():
            written = map(rows.with_checksum, values.items())
            self._connection.executemany(rows.insert("state"), written)
        self.state.update(values)

    def close(self) -> None:
        """Release the folder; merges the write-ahead log into the file. May be called twice."""
        if self.state.get("rows") != str(self._last):
            with suppress(DataError):  # it is closed already, or the disk is full
                self.set_state(rows=str(self._last))
        self._connection.close()
        if self._counter:
            self._counter.close()
        if not self._wal.exists():
            self._count.unlink(missing_ok=True)

    def _write(self, event: Event, undoes: int | None = None) -> Event:
        event = event._replace(id=self._last + 1, session=self.session)
        seconds, probability = (
            None if value is None else float(value)
            for value in (event.response_time, event.prediction)
        )
        more = json.dumps([event.others, event.predictions]) if event.others else None
        about = (event.left, event.right, event.outcome, seconds, event.kind, probability)
        row = rows.with_checksum((event.id, _now(), self.session, *about, undoes, more))
        with self._explained():
            if more and self._version < rows.VERSION:  # earlier programs would misread it
                self._connection.execute(f"PRAGMA user_version = {rows.VERSION}")
                self._version = rows.VERSION
            self._connection.execute(rows.insert("events"), row)
        self._last = event.id
        with suppress(OSError):
            self._counter = self._counter or self._count.open("wb", buffering=0)
            self._counter.seek(0)
            self._counter.write(b"%12d %12d" % rows.with_checksum((self._last,)))
        return event

    def _connect(self) -> None:
        with self._explained():  # callers share it between threads under their own lock
            self._connection = sqlite3.connect(
                self.path, timeout=0.5, isolation_level=None, check_same_thread=False
            )

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA locking_mode = EXCLUSIVE")  # before WAL: then no shared memory is needed
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        run("PRAGMA fullfsync = ON")  # macOS: a plain fsync stops at the disk's cache
        run("BEGIN IMMEDIATE")  # takes the lock, and fails where nothing can be written
        run("COMMIT")
        (self._version,) = run("PRAGMA user_version").fetchone()
        if self._version > rows.VERSION:
            raise DataError(
                f"{self.path} was written by a newer version of this program (format "
                f"{self._version}): update the program"
            )
        if not run("SELECT name FROM sqlite_schema").fetchall() and not self._counted():
            self._connection.executescript(rows.SCHEMA)
        rows.add_columns(self._connection)
        ((verdict, *_), *_) = run("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            raise _Damaged(verdict.splitlines()[-1])
        self._read()

    def _read(self) -> None:
        """Take in what the tables say; every row must be whole, and none missing."""
        run, events = self._connection.execute, dict[int, Event]()
        self._last = self._starts = self.session = 0
        for row in run(rows.select("events", "ORDER BY id")):
            number, _, session, left, right, outcome, seconds, kind, predicted, undoes = row[:10]
            if not rows.is_whole(row) or number != self._last + 1:
                raise _Damaged(f"choice {self._last + 1:,} is missing or changed")
            self._last, self.session = number, session
            if outcome == "undo":
                events.pop(undoes, None)
            else:
                given = (left, right, outcome, kind, predicted, seconds, session, number)
                others, predictions = json.loads(row[10]) if row[10] else ((), ())
                events[number] = Event(*given, tuple(others), tuple(predictions))
        self.events, self.starts = list(events.values()), {}
        for row in run(rows.select("starts", "ORDER BY id")):
            number, _, path, score, source, _ = row
            if not rows.is_whole(row) or number != self._starts + 1:
                raise _Damaged(f"starting score {self._starts + 1:,} is missing or changed")
            self._starts, self.starts[path] = number, Start(path, score, source)
        state = run(rows.select("state")).fetchall()
        if not all(map(rows.is_whole, state)):
            raise _Damaged("what it says about score.json is changed")
        self.state = {key: value for key, value, _ in state}
        if self._last < max(self._counted(), rows.known_by(self.state.items())):
            raise _Damaged("the last choices are missing")
        self.session += 1

    def _counted(self) -> int:
        """How many events there are by the small file; 0 where it does not say."""
        with suppress(OSError, ValueError):
            row = tuple(map(int, self._count.read_text(encoding="ascii").split()))
            return row[0] if len(row) == 2 and rows.is_whole(row) else 0
        return 0

    def _restore(self, damage: Exception, left_in_wal: bytes | None) -> None:
        """Set the file aside and go on with a new one of the rows that are whole."""
        fresh = self.path.with_name(f"{NAME}.restored")
        fresh.unlink(missing_ok=True)
        kept, written = rows.rescue(self._connection, fresh, self._counted())
        self._connection.close()
        copy = set_aside(self.path)
        if left_in_wal:
            copy.with_name(f"{copy.name}-wal").write_bytes(left_in_wal)
        if not kept:
            fresh.unlink()
            count = f"none of its {counted(written, 'choice')}" if written else "no choice in it"
            raise DataError(
                f"{self.path} is damaged ({damage}), and {count} can be read; a copy is "
                f"{copy.name}. Put a backup in its place, or delete it to continue from the scores "
                "in score.json"
            ) from damage
        for old in (self._wal, self._count):
            old.unlink(missing_ok=True)
        os.replace(fresh, self.path)
        self._connect()
        self._prepare()
        notice = (
            f"{self.path} was damaged ({damage}): {kept:,} of its {counted(written, 'choice')} "
            f"are intact and kept; the damaged file is {copy.name}"
        )
        logger.warning(notice)
        self.notices.append(notice)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            text = (
                _remedy(error) or "{file} cannot be used ({error}): check the disk, then try again"
            )
            told = text.format(file=self.path, folder=self.path.parent, error=error)
            raise DataError(told) from error


@contextmanager
def no_window(directory: Path) -> Iterator[None]:
    """Keep rating windows off a folder for as long as the block takes."""
    # Where there is no log, no window has ever been there, and none is made for this.
    with closing(ChoiceLog(directory)) if (directory / NAME).exists() else nullcontext():
        yield


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _remedy(error: Exception) -> str:
    """What to do where the file is not the fault; "" where it is damaged."""
    name = getattr(error, "sqlite_errorname", "")
    return next((text for names, text in _REMEDIES.items() if name.startswith(names)), "")
