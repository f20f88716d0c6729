"""What every image is known by, its content and its look, for training that needs no features."""

import hashlib
import logging
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from src.errors import DataError
from src.features import FeatureStore
from src.images import ImageFile, UnreadableImage, open_image
from src.images.perceptual_hash import perceptual_hash
from src.progress import progress_bar

logger = logging.getLogger(__name__)

_SIDE = 64  # pixels that the perceptual hash looks at
_BATCH = 256  # images kept in one transaction


class Fingerprints(NamedTuple):
    """The readable images among some files."""

    paths: list[str]
    sha256s: list[bytes]
    perceptual_hashes: np.ndarray  # (n, bytes) uint8
    unreadable: dict[str, str]  # path -> why


class _Print(NamedTuple):
    file: ImageFile
    sha256: bytes
    perceptual_hash: bytes
    problem: str


def fingerprint(
    directory: Path, files: Sequence[ImageFile], store: FeatureStore, *, workers: int | None = None
) -> Fingerprints:
    """Fingerprints of all files that can be read; those the store knows are not read again.

    Every file is decoded once, so that damaged ones are found before training and not in it.

    Raises:
        DataError: no file can be read, or the store cannot be written.
    """
    unreadable = _fill(directory, files, store, workers or os.cpu_count() or 1)
    for path, problem in list(unreadable.items())[:10]:
        logger.warning("cannot be read and is left out: %s: %s", path, problem)
    if len(unreadable) > 10:
        logger.warning("... and %d more", len(unreadable) - 10)
    known = store.known_files(files)
    paths = [file.path for file in files if file.path in known]
    if not paths:
        raise DataError(f"no image in {directory} can be read")
    hashes = store.perceptual_hashes()
    joined = b"".join(hashes[known[path]] for path in paths)
    return Fingerprints(
        paths=paths,
        sha256s=[known[path] for path in paths],
        perceptual_hashes=np.frombuffer(joined, np.uint8).reshape(len(paths), -1),
        unreadable=unreadable,
    )


def _fill(
    directory: Path, files: Sequence[ImageFile], store: FeatureStore, workers: int
) -> dict[str, str]:
    known = store.known_files(files)
    missing = [file for file in files if file.path not in known]
    if not missing:
        return {}
    unreadable: dict[str, str] = {}
    batch: list[_Print] = []
    with progress_bar(len(missing), "checking images") as bar, ThreadPoolExecutor(workers) as pool:
        for done in _prints(pool, directory, missing, ahead=4 * workers):
            bar.update()
            if done.problem:
                unreadable[done.file.path] = done.problem
                continue
            batch.append(done)
            if len(batch) == _BATCH:
                _keep(batch, store)
                batch = []
        _keep(batch, store)
    return unreadable


def _prints(
    pool: ThreadPoolExecutor, directory: Path, files: Sequence[ImageFile], ahead: int
) -> Iterator[_Print]:
    pending: deque[Future[_Print]] = deque()
    try:
        for file in files:
            pending.append(pool.submit(_print, directory, file))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def _print(directory: Path, file: ImageFile) -> _Print:
    try:
        content = (directory / file.path).read_bytes()
        image = open_image(content, at_least=_SIDE)
    except OSError as error:
        return _Print(file, b"", b"", error.strerror or "cannot be read")
    except UnreadableImage as error:
        return _Print(file, b"", b"", str(error))
    return _Print(file, hashlib.sha256(content).digest(), perceptual_hash(image), "")


def _keep(batch: Sequence[_Print], store: FeatureStore) -> None:
    store.put(
        files=[(item.file, item.sha256) for item in batch],
        perceptual_hashes={item.sha256: item.perceptual_hash for item in batch},
    )
