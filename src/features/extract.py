"""Computing the features that the store lacks: decoding ahead of the model, in parallel."""

import logging
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from src.errors import DataError
from src.features.extractor import Extractor, FileNameExtractor, ImageExtractor
from src.features.store import FeatureStore
from src.files import write_csv
from src.images import ImageFile, open_file
from src.images.perceptual_hash import HASHED_SIDE, perceptual_hash
from src.images.read_ahead import read_ahead
from src.progress import progress_bar
from src.text import counted

logger = logging.getLogger(__name__)

_LONG_SECONDS, _SLOW_SECONDS = 60, 600
_SLOW = (
    " Faster: a GPU, or a smaller model such as ViT-B/32. Ctrl-C stops it, and the next run goes on"
    " from there."
)
UNREADABLE, _NAMED = "unreadable.csv", 10
_WARM_UP_SECONDS, _MEASURED_SECONDS = 30, 3
_LEAST_BATCH = 4


class FeatureTable(NamedTuple):
    """Features of the readable images of a folder."""

    paths: list[str]  # relative to the folder
    vectors: np.ndarray  # (n, d) float32, of all extractors side by side
    blocks: tuple[int, ...]  # how many of the d each extractor gives
    sha256s: list[bytes]
    perceptual_hashes: np.ndarray  # (n, bytes) uint8
    unreadable: dict[str, str]  # path -> why


class Computed(NamedTuple):
    """What came of one file: a vector, a content whose vector is known already, or a problem."""

    file: ImageFile
    sha256: bytes | None = None
    perceptual_hash: bytes | None = None
    vector: np.ndarray | None = None
    problem: str | None = None


# Opens an image file by its path; an OSError where it cannot be read.
Open = Callable[[str], BinaryIO]

# Where and how features are computed: files, an extractor that is not loaded yet (None: contents
# and hashes alone), contents (sha256) that may be passed over, and images in one pass through the
# model. Gives results in batches as they are ready, each file once, in any order.
Engine = Callable[
    [Sequence[ImageFile], ImageExtractor | None, set[bytes], int], Iterable[Sequence[Computed]]
]


def compute_features(
    directory: Path,
    files: Sequence[ImageFile],
    extractors: Sequence[Extractor],
    store: FeatureStore,
    *,
    batch_size: int = 32,
    workers: int | None = None,
    engine: Engine | None = None,
) -> FeatureTable:
    """Features of all files that can be read; only those not in the store are computed.

    Each batch is kept as soon as it is done: after an interruption the next call goes on there.
    The features of several extractors are joined in their order; those of file names are computed
    each time. Without extractors the store gets contents and perceptual hashes alone. `workers`
    are the threads that read and decode, by default one for each processor.
    """
    engine = engine or local_engine(lambda path: open_file(directory / path), workers)
    unreadable: dict[str, str] = {}
    looking: list[ImageExtractor | None] = [
        each for each in extractors if not isinstance(each, FileNameExtractor)
    ]
    for extractor in looking or [None]:
        readable = [file for file in files if file.path not in unreadable]
        unreadable |= _fill(readable, extractor, store, batch_size, engine)
    report_unreadable(unreadable, store.file.parent)
    known = store.known_files(files)
    paths = [file.path for file in files if file.path not in unreadable and file.path in known]
    if not paths:
        what = "none of the images can be read" if files else "there are no images"
        raise DataError(f"{what} in {directory}: set top_level_image_directory to your images")
    sha256s = [known[path] for path in paths]
    hashes = store.perceptual_hashes()
    looks = np.frombuffer(b"".join([hashes[sha256] for sha256 in sha256s]), np.uint8)
    parts = [
        each.features(paths)
        if isinstance(each, FileNameExtractor)
        else store.vectors(each.identity, sha256s)
        for each in extractors
    ]
    return FeatureTable(
        paths=paths,
        vectors=np.hstack([np.empty((len(paths), 0), np.float32), *parts]),
        blocks=tuple(part.shape[1] for part in parts),
        sha256s=sha256s,
        perceptual_hashes=looks.reshape(len(paths), -1),
        unreadable=unreadable,
    )


def report_unreadable(unreadable: Mapping[str, str], folder: Path) -> None:
    """Name images that cannot be read: the first ones here, all of many in a file."""
    if not unreadable:
        return
    named = [f"  {path}: {why}" for path, why in unreadable.items()]
    if len(named) > _NAMED:
        write_csv(folder / UNREADABLE, [("path", "problem"), *unreadable.items()])
        named[_NAMED:] = [f"  ... all of them are in {folder / UNREADABLE}"]
    number = counted(len(unreadable), "image")
    logger.warning("Left out: %s that cannot be read:\n%s", number, "\n".join(named))


def local_engine(read: Open, workers: int | None = None) -> Engine:
    """Computing in this process."""

    def compute(
        files: Sequence[ImageFile],
        extractor: ImageExtractor | None,
        done: set[bytes],
        batch_size: int,
    ) -> Iterator[list[Computed]]:
        if extractor:
            extractor.load()
        yield from compute_batches(read, files, extractor, done, batch_size, workers)

    return compute


def _fill(
    files: Sequence[ImageFile],
    extractor: ImageExtractor | None,
    store: FeatureStore,
    batch_size: int,
    engine: Engine,
) -> dict[str, str]:
    """Put what is missing into the store; returns the files that cannot be read, and why."""
    known = store.known_files(files)
    done = set(store.perceptual_hashes())
    if extractor:
        done &= store.holds(extractor.identity)
    missing = [file for file in files if known.get(file.path) not in done]
    if not missing:
        return {}
    unreadable: dict[str, str] = {}
    what = f"features {extractor.name}" if extractor else "checking images"
    with progress_bar(len(missing), what) as bar:
        batches = engine(missing, extractor, done, batch_size)
        for batch in _with_estimate(batches, len(missing), extractor.name if extractor else ""):
            unreadable |= {c.file.path: c.problem for c in batch if c.problem is not None}
            store.put(
                files=[(c.file, c.sha256) for c in batch if c.sha256 and not c.problem],
                perceptual_hashes={
                    c.sha256: c.perceptual_hash for c in batch if c.sha256 and c.perceptual_hash
                },
                identity=extractor.identity if extractor else None,
                vectors={c.sha256: c.vector for c in batch if c.sha256 and c.vector is not None},
            )
            bar.update(len(batch))
    return unreadable


def _with_estimate(
    batches: Iterable[Sequence[Computed]], images: int, name: str
) -> Iterator[Sequence[Computed]]:
    """The same; says how long all images will take as soon as the first ones tell."""
    since, before, finished, told = time.monotonic(), 0, 0, False
    for batch in batches:
        yield batch
        finished += len(batch)
        seconds = time.monotonic() - since
        if not before and seconds < _WARM_UP_SECONDS:  # much of it was loading the model
            since, before = time.monotonic(), finished
        elif not told and seconds >= _MEASURED_SECONDS:
            told = True
            total = seconds / (finished - before) * images
            if total > _LONG_SECONDS:
                model = f" with {name}" if name else ""
                minutes = counted(round(total / 60), "minute")
                hint = _SLOW if total > _SLOW_SECONDS and name not in ("", "builtin") else ""
                image = counted(images, "image")
                logger.info("%s%s on this computer: about %s.%s", image, model, minutes, hint)


def compute_batches(
    read: Open,
    files: Sequence[ImageFile],
    extractor: ImageExtractor | None,
    done: set[bytes],
    batch_size: int,
    workers: int | None,
) -> Generator[list[Computed], None, None]:
    """Read and decode in threads, ahead of the model, which is loaded; see `Engine`.

    Files come in their order; each vector in the same list as its first file, or an earlier one
    where several files have the same content.
    """

    def prepare(image: Image.Image) -> tuple[bytes, np.ndarray | None]:
        return perceptual_hash(image), extractor.prepare(image) if extractor else None

    # In a small folder, too, the model works while images are decoded.
    batch_size = min(batch_size, max(_LEAST_BATCH, len(files) // 8))
    claimed = set(done)
    batch: list[tuple[Computed, np.ndarray | None]] = []
    fresh = 0
    reading = read_ahead(
        [file.path for file in files],
        read,
        prepare,
        min_side=extractor.min_side if extractor else HASHED_SIDE,
        ahead=2 * batch_size + (workers or os.cpu_count() or 1),
        workers=workers,
        known=done,
    )
    with closing(reading):  # on an error or Ctrl-C, what is not yet started is not begun
        for file, image in zip(files, reading, strict=True):
            look, prepared = image.prepared or (None, None)
            if image.sha256 in claimed:
                prepared = None  # same content as an image of this call
            elif prepared is not None and image.sha256 is not None:
                claimed.add(image.sha256)
                fresh += 1
            batch.append((Computed(file, image.sha256, look, None, image.problem), prepared))
            if fresh == batch_size or len(batch) == 8 * batch_size:
                yield _extracted(batch, extractor)
                batch, fresh = [], 0
    if batch:
        yield _extracted(batch, extractor)


def _extracted(
    batch: Sequence[tuple[Computed, np.ndarray | None]], extractor: ImageExtractor | None
) -> list[Computed]:
    prepared = [pixels for _, pixels in batch if pixels is not None]
    vectors = iter(extractor.extract(prepared) if extractor and prepared else ())
    return [
        result if pixels is None else result._replace(vector=next(vectors))
        for result, pixels in batch
    ]
