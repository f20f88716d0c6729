"""Computing the features that the store lacks: decoding ahead of the model, in parallel."""

import hashlib
import logging
import os
import time
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from src.errors import DataError
from src.features.file_names import FileNameExtractor
from src.features.registry import Extractor
from src.features.store import FeatureStore
from src.images import ImageFile, UnreadableImage, open_image
from src.images.decode import MAX_FILE_BYTES
from src.images.perceptual_hash import perceptual_hash
from src.progress import progress_bar

logger = logging.getLogger(__name__)

_SLOW_SECONDS = 600
_WARM_UP_SECONDS = 8


class FeatureTable(NamedTuple):
    """Features of the readable images of a folder."""

    paths: list[str]  # relative to the folder
    vectors: np.ndarray  # (n, d) float32, of all extractors side by side
    blocks: tuple[int, ...]  # how many of the d each extractor gives
    sha256s: list[bytes]
    perceptual_hashes: np.ndarray  # (n, bytes) uint8
    unreadable: dict[str, str]  # path -> why


class _Loaded(NamedTuple):
    file: ImageFile
    sha256: bytes | None
    perceptual_hash: bytes | None
    prepared: np.ndarray | None
    problem: str | None


def compute_features(
    directory: Path,
    files: Sequence[ImageFile],
    extractors: Sequence[Extractor],
    store: FeatureStore,
    *,
    batch_size: int = 32,
    workers: int | None = None,
) -> FeatureTable:
    """Features of all files that can be read; only those not in the store are computed.

    Each batch is kept as soon as it is done: after an interruption the next call goes on there.

    Args:
        directory: the image folder; the files' paths are relative to it.
        files: as `scan_images` found them.
        extractors: at least one that looks at images; their features are joined in this order.
            Those of file names are computed each time.
        store: where features are kept.
        batch_size: images in one pass through the model.
        workers: threads that read and decode; by default one for each processor.

    Raises:
        DataError: no file can be read, or the store cannot be written.
        ModelError: an extractor's model cannot be loaded.
    """
    unreadable: dict[str, str] = {}
    for extractor in extractors:
        if isinstance(extractor, FileNameExtractor):
            continue
        readable = [file for file in files if file.path not in unreadable]
        unreadable |= _fill(directory, readable, extractor, store, batch_size, workers)
    if unreadable:
        _report(unreadable)
    known = store.known_files(files)
    paths = [file.path for file in files if file.path not in unreadable and file.path in known]
    if not paths:
        raise DataError(f"no image in {directory} can be read")
    sha256s = [known[path] for path in paths]
    hashes = store.perceptual_hashes()
    parts = [
        extractor.features(paths)
        if isinstance(extractor, FileNameExtractor)
        else store.vectors(extractor.identity, sha256s)
        for extractor in extractors
    ]
    return FeatureTable(
        paths=paths,
        vectors=np.hstack(parts),
        blocks=tuple(part.shape[1] for part in parts),
        sha256s=sha256s,
        perceptual_hashes=np.frombuffer(
            b"".join([hashes[sha256] for sha256 in sha256s]), np.uint8
        ).reshape(len(paths), -1),
        unreadable=unreadable,
    )


def _fill(
    directory: Path,
    files: Sequence[ImageFile],
    extractor: Extractor,
    store: FeatureStore,
    batch_size: int,
    workers: int | None,
) -> dict[str, str]:
    """Put what is missing into the store; returns the files that cannot be read, and why."""
    known = store.known_files(files)
    done = store.holds(extractor.identity) & store.perceptual_hashes().keys()
    missing = [file for file in files if known.get(file.path) not in done]
    if not missing:
        return {}
    extractor.load()
    count = workers or os.cpu_count() or 1
    unreadable: dict[str, str] = {}
    claimed = set(done)
    waiting: list[tuple[ImageFile, bytes]] = []  # same content as an image computed in this call

    with (
        progress_bar(len(missing), f"features {extractor.name}") as bar,
        ThreadPoolExecutor(count) as pool,
    ):
        pace = _Pace(len(missing), extractor.name)
        batch: list[_Loaded] = []
        loads = _loads(pool, directory, missing, extractor, done, ahead=2 * batch_size + count)
        with closing(loads):  # on an error or Ctrl-C, what is not yet started is not begun
            for number, loaded in enumerate(loads, start=1):
                bar.update()
                if loaded.problem is not None or loaded.sha256 is None:
                    unreadable[loaded.file.path] = loaded.problem or "cannot be read"
                elif loaded.sha256 in claimed:
                    waiting.append((loaded.file, loaded.sha256))
                else:
                    claimed.add(loaded.sha256)
                    batch.append(loaded)
                if len(batch) == batch_size:
                    _keep(batch, extractor, store)
                    pace.note(number)
                    batch = []
        _keep(batch, extractor, store)
        store.put(files=waiting)
    return unreadable


def _loads(
    pool: Executor,
    directory: Path,
    files: Sequence[ImageFile],
    extractor: Extractor,
    done: set[bytes],
    ahead: int,
) -> Generator[_Loaded, None, None]:
    """Files read and decoded by the pool, in order, at most `ahead` of them not yet taken."""
    pending: deque[Future[_Loaded]] = deque()
    try:
        for file in files:
            pending.append(pool.submit(_load, directory, file, extractor, done))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def _load(directory: Path, file: ImageFile, extractor: Extractor, done: set[bytes]) -> _Loaded:
    if file.size > MAX_FILE_BYTES:
        return _Loaded(file, None, None, None, "file larger than 1 GiB")
    try:
        content = (directory / file.path).read_bytes()
    except OSError as error:
        return _Loaded(file, None, None, None, error.strerror or "cannot be read")
    sha256 = hashlib.sha256(content).digest()
    if sha256 in done:
        return _Loaded(file, sha256, None, None, None)
    try:
        image = open_image(content, at_least=extractor.at_least)
    except UnreadableImage as error:
        return _Loaded(file, sha256, None, None, str(error))
    return _Loaded(file, sha256, perceptual_hash(image), extractor.prepare(image), None)


def _keep(batch: Sequence[_Loaded], extractor: Extractor, store: FeatureStore) -> None:
    if not batch:
        return
    vectors = extractor.extract([item.prepared for item in batch if item.prepared is not None])
    sha256s = [item.sha256 for item in batch if item.sha256 is not None]
    store.put(
        files=[(item.file, item.sha256) for item in batch if item.sha256 is not None],
        perceptual_hashes={
            item.sha256: item.perceptual_hash
            for item in batch
            if item.sha256 is not None and item.perceptual_hash is not None
        },
        identity=extractor.identity,
        vectors=dict(zip(sha256s, vectors, strict=True)),
    )


class _Pace:
    """Says once, when the work turns out long, what would be faster."""

    def __init__(self, total: int, name: str) -> None:
        self._total, self._name, self._start = total, name, time.monotonic()
        self._said = name == "builtin"

    def note(self, done: int) -> None:
        seconds = time.monotonic() - self._start
        left = seconds / done * (self._total - done)
        if not self._said and seconds > _WARM_UP_SECONDS and left > _SLOW_SECONDS:
            self._said = True
            logger.info(
                "About %.0f minutes left with %s. Faster: a GPU, a smaller model such as "
                "openai/clip-vit-base-patch32, or feature_extractor 'builtin'. You may stop with "
                "Ctrl-C at any time: what is done is kept.",
                left / 60,
                self._name,
            )


def _report(unreadable: dict[str, str]) -> None:
    logger.warning("%d images cannot be read and are left out:", len(unreadable))
    for path, problem in list(unreadable.items())[:10]:
        logger.warning("  %s: %s", path, problem)
    if len(unreadable) > 10:
        logger.warning("  and %d more", len(unreadable) - 10)
