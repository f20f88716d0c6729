"""Feature vectors on disk: one SQLite file for each image folder.

Vectors are kept under the content of the image (sha256) and the identity of the extractor, so a
renamed or moved image keeps its features and a changed one gets new ones. A file whose size and
time of change are as they were is not read again.
"""

import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeGuard

import numpy as np

from src.errors import DataError
from src.features.hub import OPENAI_NAMES, folder_identity
from src.files import is_writable, user_cache
from src.images import ImageFile
from src.images.perceptual_hash import HASH_BYTES

logger = logging.getLogger(__name__)

FILE_NAME = ".features.sqlite"  # the dot keeps it out of sight and out of the image scan
_FORMAT = 1
_NO_FEATURES = "fingerprints|v1"  # zeros, which find_duplicates once kept beside the hashes
_CHECKED_BYTES = 32 << 20  # a store of up to this size is checked whole on opening
_PATIENCE = 60.0  # seconds to wait for another process

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS images (
    sha256 BLOB PRIMARY KEY, perceptual_hash BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS extractors (id INTEGER PRIMARY KEY, identity TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS features (
    extractor INTEGER NOT NULL, sha256 BLOB NOT NULL, vector BLOB NOT NULL,
    UNIQUE (extractor, sha256)
);
"""

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_NOT_DAMAGED = {  # the disk or its permissions are at fault, not the file
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}


def _code(error: Exception) -> int:
    return int(getattr(error, "sqlite_errorcode", -1)) & 0xFF


def _is_hash(value: Any) -> TypeGuard[bytes]:
    """Whether a value is a sha256 or perceptual hash; of damaged rows it may be anything."""
    return isinstance(value, bytes) and len(value) == HASH_BYTES


class FeatureStore:
    """An open feature store. Two processes may have the same one open.

    A damaged file is kept under another name and a new one is made: on opening if the damage shows
    then, otherwise by the next run. Everything raises a DataError where the file is of no use.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            self._open()
        except (sqlite3.Error, ValueError) as error:
            if _code(error) in _BUSY | _NOT_DAMAGED:
                raise self._problem(error) from None
            logger.warning(self._set_aside())
            with self._watched():
                self._open()

    def _open(self) -> None:
        self._connection = sqlite3.connect(self.file, timeout=_PATIENCE, check_same_thread=False)
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > _FORMAT:
            raise DataError(f"{self.file} was made by a newer version of this program: update it")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        if version < _FORMAT:
            self._connection.executescript(f"{_SCHEMA} PRAGMA user_version={_FORMAT};")
        if self.file.stat().st_size <= _CHECKED_BYTES:
            (result,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
            if result != "ok":
                raise sqlite3.DatabaseError(result)
        for table in ("files", "images", "features JOIN extractors"):
            self._connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchall()

    @contextmanager
    def _watched(self, *values: type[Exception]) -> Iterator[None]:
        """Errors of the database as one line; `values`: those that damaged values lead to."""
        faults: tuple[type[Exception], ...] = (sqlite3.Error, *values)
        try:
            yield
        except faults as error:
            raise self._problem(error) from None

    def _problem(self, error: Exception) -> DataError:
        if _code(error) in _BUSY:
            return DataError(f"{self.file} is in use by another program: try again later")
        if _code(error) in _NOT_DAMAGED:
            return DataError(f"features cannot be stored in {self.file}: {error}")
        return DataError(f"{self._set_aside()}. Run this again")

    def _set_aside(self) -> str:
        """Rename a damaged file; returns what to tell the user."""
        self.close()
        number, aside = 1, self.file.with_name(f"{self.file.name}.damaged")
        while aside.exists():
            number += 1
            aside = self.file.with_name(f"{self.file.name}.damaged-{number}")
        try:
            for end in ("", "-journal", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    os.replace(f"{self.file}{end}", f"{aside}{end}")
        except OSError:  # another program has it open, on Windows
            raise DataError(f"{self.file} is damaged: delete it, and run this again") from None
        return f"{self.file} was damaged: it is now {aside.name}, and features are computed again"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def known_files(self, files: Iterable[ImageFile]) -> dict[str, bytes]:
        """path -> sha256 of the files whose size and time of change are as recorded."""
        recorded = {row[:3]: row[3] for row in self._rows("SELECT * FROM files")}
        found = {file.path: recorded.get(tuple(file)) for file in files}
        return {path: sha256 for path, sha256 in found.items() if _is_hash(sha256)}

    def perceptual_hashes(self) -> dict[bytes, bytes]:
        """sha256 -> perceptual hash of every image seen so far."""
        rows = self._rows("SELECT sha256, perceptual_hash FROM images")
        return {sha256: look for sha256, look in rows if _is_hash(look)}

    def holds(self, identity: str) -> set[bytes]:
        """sha256 of every image that has features of this extractor."""
        query = "SELECT sha256 FROM features JOIN extractors ON extractor = id WHERE identity = ?"
        return {row[0] for row in self._rows(query, identity)}

    def described(self, sha256s: Iterable[bytes]) -> dict[str, set[bytes]]:
        """Which of these images have features of each vision model that has any here."""
        wanted, rows = set(sha256s), self._rows("SELECT identity FROM extractors")
        visions = (name for (name,) in rows if not str(name).startswith(("builtin", _NO_FEATURES)))
        return {name: found for name in visions if (found := wanted & self.holds(name))}

    def vectors(self, identity: str, sha256s: Sequence[bytes]) -> np.ndarray:
        """Features of the given images in the given order, (n, d) float32.

        Where one of them has none, that is a KeyError.
        """
        wanted = set(sha256s)
        with self._watched(TypeError, ValueError):
            rows = self._connection.execute(
                "SELECT sha256, vector FROM features JOIN extractors ON extractor = id "
                "WHERE identity = ?",
                (identity,),
            )
            blobs = {sha256: vector for sha256, vector in rows if sha256 in wanted}
            if not sha256s:
                return np.empty((0, 0), np.float32)
            joined = b"".join([blobs[sha256] for sha256 in sha256s])
            if len({len(blob) for blob in blobs.values()}) > 1:
                raise ValueError("vectors of different lengths")
            return np.frombuffer(joined, "<f4").reshape(len(sha256s), -1).astype(np.float32)

    def _rows(self, query: str, *values: str) -> list[Any]:
        with self._watched(TypeError, ValueError):
            return self._connection.execute(query, values).fetchall()

    def put(
        self,
        *,
        files: Iterable[tuple[ImageFile, bytes]] = (),
        perceptual_hashes: Mapping[bytes, bytes] | None = None,
        vectors: Mapping[str, Mapping[bytes, np.ndarray]] | None = None,
    ) -> None:
        """Keep what was found out, in one transaction: all of it is on disk, or none.

        `vectors` has those of each extractor under its identity.
        """
        with self._watched(), self._connection as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
                [(file.path, file.size, file.mtime_ns, sha256) for file, sha256 in files],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO images VALUES (?, ?)", (perceptual_hashes or {}).items()
            )
            for identity, rows in (vectors or {}).items():
                insert = "INSERT OR IGNORE INTO extractors (identity) VALUES (?)"
                connection.execute(insert, (identity,))
                blobs = [(sha, x.astype("<f4").tobytes(), identity) for sha, x in rows.items()]
                connection.executemany(
                    "INSERT OR REPLACE INTO features (sha256, vector, extractor) "
                    "VALUES (?, ?, (SELECT id FROM extractors WHERE identity = ?))",
                    blobs,
                )

    def prune(self, present: Iterable[ImageFile]) -> dict[str, int]:
        """Forget files that are gone, and features and hashes that no present file has.

        Returns how many files, images and features were forgotten, and the bytes given back.
        """
        before = self.file.stat().st_size
        with self._watched(), self._connection as connection:
            paths = [(file.path,) for file in present]
            connection.execute("CREATE TEMP TABLE present (path TEXT PRIMARY KEY)")
            connection.executemany("INSERT INTO present VALUES (?)", paths)
            gone = {
                "files": "path NOT IN (SELECT path FROM present)",
                "images": "sha256 NOT IN (SELECT sha256 FROM files)",
                "features": "sha256 NOT IN (SELECT sha256 FROM files) OR extractor IN "
                f"(SELECT id FROM extractors WHERE identity = '{_NO_FEATURES}')",
            }
            counts = {
                table: connection.execute(f"DELETE FROM {table} WHERE {condition}").rowcount
                for table, condition in gone.items()
            }
            connection.execute("DROP TABLE present")
        self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # of a store of version bc9c4d7
        return counts | {"bytes": max(0, before - self.file.stat().st_size)}


def open_store(images: Path, elsewhere: Path | str = "") -> FeatureStore:
    """The feature store of an image folder: inside it, or in a folder `elsewhere`.

    Where the image folder cannot be written, it is made in the user's cache folder.
    """
    folder = Path(elsewhere or images)
    if not elsewhere and not is_writable(images):
        folder = user_cache(images)
        logger.info("%s cannot be written: its features are stored in %s", images, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise DataError(f"feature_store {folder} is a file: name a folder") from None
    except OSError as error:
        raise DataError(f"feature_store {folder} cannot be made: {error.strerror}") from None
    return FeatureStore(folder / FILE_NAME)


def kept_identity(store: FeatureStore, files: Sequence[ImageFile], preferred: str) -> str:
    """Whose features to use where none are computed: the preferred extractor's, or the most.

    They must be of half of the images, and not the built-in ones; "" where there are none such.
    `preferred` is a `feature_extractor` setting; the first of several joined with `+` counts.
    """
    name = preferred.partition("+")[0].strip()
    if Path(name, "config.json").is_file():
        wanted = f"|{folder_identity(Path(name))}|"
    else:
        wanted = f"|{OPENAI_NAMES.get(name, name)}@"
    described = store.described(store.known_files(files).values())
    usable = [identity for identity, found in described.items() if len(found) >= len(files) / 2]
    return max(usable, key=lambda name: (wanted in name, len(described[name])), default="")
