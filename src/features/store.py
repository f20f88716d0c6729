"""Feature vectors on disk: one SQLite file for each image folder.

Vectors are kept under the content of the image (sha256) and the identity of the extractor, so a
renamed or moved image keeps its features and a changed one gets new ones. A file whose size and
time of change are as they were is not read again.
"""

import logging
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from src.errors import DataError
from src.files import is_writable, user_cache
from src.images import ImageFile

logger = logging.getLogger(__name__)

FILE_NAME = ".features.sqlite"  # the dot keeps it out of sight and out of the image scan
_FORMAT = 1
_NO_FEATURES = "fingerprints|v1"  # zeros, which find_duplicates once kept beside the hashes
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


def _is_busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class FeatureStore:
    """An open feature store. Two processes may have the same one open.

    Args:
        file: the SQLite file; made if it does not exist.

    Raises:
        DataError: the file is damaged, of a newer version, or cannot be written.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            self._connection = sqlite3.connect(file, timeout=_PATIENCE, check_same_thread=False)
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version > _FORMAT:
                raise DataError(f"{file} was made by a newer version of this program: update it")
            self._prepare(version)
        except sqlite3.DatabaseError as error:
            if _is_busy(error):
                raise DataError(f"{file} is in use by another program: try again later") from None
            raise DataError(
                f"{file} cannot be used ({error}): delete it, and features are computed anew"
            ) from None

    def _prepare(self, version: int) -> None:
        # SQLite does not wait for a lock by itself where the journal's mode is changed.
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                break
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > until:
                    raise
                time.sleep(0.05)
        self._connection.execute("PRAGMA synchronous=NORMAL")
        if version < _FORMAT:
            self._connection.executescript(_SCHEMA)
            self._connection.execute(f"PRAGMA user_version={_FORMAT}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was put in is on disk."""
        self._connection.close()

    def known_files(self, files: Iterable[ImageFile]) -> dict[str, bytes]:
        """path -> sha256 of the files whose size and time of change are as recorded."""
        recorded = {
            path: (size, mtime_ns, sha256)
            for path, size, mtime_ns, sha256 in self._connection.execute(
                "SELECT path, size, mtime_ns, sha256 FROM files"
            )
        }
        known = {}
        for file in files:
            row = recorded.get(file.path)
            if row is not None and row[:2] == (file.size, file.mtime_ns):
                known[file.path] = row[2]
        return known

    def perceptual_hashes(self) -> dict[bytes, bytes]:
        """sha256 -> perceptual hash of every image seen so far."""
        return dict(self._connection.execute("SELECT sha256, perceptual_hash FROM images"))

    def holds(self, identity: str) -> set[bytes]:
        """sha256 of every image that has features of this extractor."""
        rows = self._connection.execute(
            "SELECT sha256 FROM features JOIN extractors ON extractor = id WHERE identity = ?",
            (identity,),
        )
        return {row[0] for row in rows}

    def identities(self) -> dict[str, int]:
        """Every extractor that has features here, and of how many images."""
        query = (
            "SELECT identity, COUNT(*) FROM features JOIN extractors ON extractor = id "
            "WHERE identity != ? GROUP BY identity"
        )
        return dict(self._connection.execute(query, (_NO_FEATURES,)))

    def vectors(self, identity: str, sha256s: Sequence[bytes]) -> np.ndarray:
        """Features of the given images in the given order, (n, d) float32.

        Raises:
            KeyError: one of them has none.
        """
        rows = self._connection.execute(
            "SELECT sha256, vector FROM features JOIN extractors ON extractor = id "
            "WHERE identity = ?",
            (identity,),
        )
        wanted = set(sha256s)
        blobs = {sha256: vector for sha256, vector in rows if sha256 in wanted}
        if not sha256s:
            return np.empty((0, 0), np.float32)
        joined = b"".join([blobs[sha256] for sha256 in sha256s])
        return np.frombuffer(joined, "<f4").reshape(len(sha256s), -1).astype(np.float32)

    def put(
        self,
        *,
        files: Iterable[tuple[ImageFile, bytes]] = (),
        perceptual_hashes: Mapping[bytes, bytes] | None = None,
        identity: str | None = None,
        vectors: Mapping[bytes, np.ndarray] | None = None,
    ) -> None:
        """Keep what was found out, in one transaction: all of it is on disk, or none.

        Raises:
            DataError: the disk is full or the file cannot be written.
        """
        try:
            with self._connection as connection:
                connection.executemany(
                    "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
                    [(file.path, file.size, file.mtime_ns, sha256) for file, sha256 in files],
                )
                connection.executemany(
                    "INSERT OR REPLACE INTO images VALUES (?, ?)", (perceptual_hashes or {}).items()
                )
                if identity is not None and vectors:
                    connection.execute(
                        "INSERT OR IGNORE INTO extractors (identity) VALUES (?)", (identity,)
                    )
                    (extractor,) = connection.execute(
                        "SELECT id FROM extractors WHERE identity = ?", (identity,)
                    ).fetchone()
                    connection.executemany(
                        "INSERT OR REPLACE INTO features VALUES (?, ?, ?)",
                        [
                            (extractor, sha256, vector.astype("<f4").tobytes())
                            for sha256, vector in vectors.items()
                        ],
                    )
        except sqlite3.Error as error:
            raise DataError(f"features cannot be kept in {self.file}: {error}") from None

    def prune(self, present: Iterable[ImageFile]) -> dict[str, int]:
        """Forget files that are gone, and features and hashes that no present file has.

        Returns:
            How many files, images and features were forgotten, and the bytes given back.
        """
        before = self.file.stat().st_size
        with self._connection as connection:
            connection.execute("CREATE TEMP TABLE present (path TEXT PRIMARY KEY)")
            connection.executemany(
                "INSERT INTO present VALUES (?)", [(file.path,) for file in present]
            )
            counts = {
                "files": connection.execute(
                    "DELETE FROM files WHERE path NOT IN (SELECT path FROM present)"
                ).rowcount,
                "images": connection.execute(
                    "DELETE FROM images WHERE sha256 NOT IN (SELECT sha256 FROM files)"
                ).rowcount,
                "features": connection.execute(
                    "DELETE FROM features WHERE sha256 NOT IN (SELECT sha256 FROM files) OR "
                    "extractor IN (SELECT id FROM extractors WHERE identity = ?)",
                    (_NO_FEATURES,),
                ).rowcount,
            }
            connection.execute("DROP TABLE present")
        self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return counts | {"bytes": max(0, before - self.file.stat().st_size)}


def open_store(images: Path, elsewhere: Path | None = None) -> FeatureStore:
    """The feature store of an image folder.

    Args:
        images: the folder of images; the store lies inside it.
        elsewhere: a folder for the store instead. It is also made in the user's cache folder
            when the image folder cannot be written.

    Raises:
        DataError: the store is damaged, or no place for it can be written.
    """
    if elsewhere is not None:
        elsewhere.mkdir(parents=True, exist_ok=True)
        return FeatureStore(elsewhere / FILE_NAME)
    if is_writable(images):
        return FeatureStore(images / FILE_NAME)
    cache = user_cache(images)
    logger.info("%s cannot be written: its features are kept in %s", images, cache)
    cache.mkdir(parents=True, exist_ok=True)
    return FeatureStore(cache / FILE_NAME)
