"""Reading and decoding images in threads, and what uses them at work at the same time."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Set
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import BinaryIO, Generic, NamedTuple, TypeVar

from PIL import Image

from src.images.decode import UnreadableImage, open_image

T = TypeVar("T")
R = TypeVar("R")


class ReadImage(NamedTuple, Generic[T]):
    """One file: prepared, or with a known content, or with a problem."""

    path: str
    sha256: bytes | None = None
    prepared: T | None = None
    problem: str | None = None


def read_ahead(
    paths: Iterable[str],
    read: Callable[[str], BinaryIO],
    prepare: Callable[[Image.Image], T],
    *,
    min_side: int | None,
    ahead: int,
    workers: int | None = None,
    known: Set[bytes] = frozenset(),
) -> Generator[ReadImage[T], None, None]:
    """Every file in its order; closing the generator cancels what has not begun.

    `read` opens a file, `prepare` is called from several threads at once. At most `ahead`
    files are in memory that the caller has not taken yet; contents (sha256) that are `known` are
    not decoded. By default there is a worker, a thread, for each processor.
    """

    def load(path: str) -> ReadImage[T]:
        try:
            with read(path) as file:
                sha256 = hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]
                if sha256 in known:
                    return ReadImage(path, sha256)
                file.seek(0)
                return ReadImage(path, sha256, prepare(open_image(file, min_side=min_side)))
        except UnreadableImage as error:
            return ReadImage(path, problem=str(error))
        except OSError as error:
            return ReadImage(path, problem=error.strerror or "cannot be read")

    pool = ThreadPoolExecutor(workers or os.cpu_count())
    pending: deque[Future[ReadImage[T]]] = deque()
    try:
        for path in paths:
            pending.append(pool.submit(load, path))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def in_passes(
    items: Iterable[T], run: Callable[[list[T]], R], *, size: int, at_once: int
) -> Generator[R, None, None]:
    """What `run` gives for each list of so many items, in their order.

    It is called in threads, so many of them at once, while the next items are fetched.
    """
    rest, pool = iter(items), ThreadPoolExecutor(at_once)
    running: deque[Future[R]] = deque()
    try:
        while batch := list(islice(rest, size)):
            running.append(pool.submit(run, batch))
            while running and (running[0].done() or len(running) > at_once):
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
