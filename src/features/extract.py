"""Computing the features that the store lacks: decoding ahead of the model, in parallel."""

import logging
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from src.devices import one_torch_thread
from src.errors import DataError
from src.features.extractor import Extractor, FileNameExtractor, ImageExtractor
from src.features.store import FeatureStore
from src.files import write_csv
from src.images import ImageFile, open_file
from src.images.perceptual_hash import HASHED_SIDE, perceptual_hash
from src.images.read_ahead import ReadImage, in_passes, read_ahead
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


class FeatureTable(NamedTuple):
    """Features of the readable images of a folder."""

    paths: list[str]  # relative to the folder
    vectors: np.ndarray  # (n, d) float32, of all extractors side by side
    blocks: tuple[int, ...]  # how many of the d each extractor gives
    sha256s: list[bytes]
    perceptual_hashes: np.ndarray  # (n, bytes) uint8
    unreadable: dict[str, str]  # path -> why


class Computed(NamedTuple):
    """What came of one file: vectors, a content whose vectors are known already, or a problem."""

    file: ImageFile
    sha256: bytes | None = None
    perceptual_hash: bytes | None = None
    vectors: Sequence[np.ndarray] = ()  # of each extractor
    problem: str | None = None


# Opens an image file by its path; an OSError where it cannot be read.
Open = Callable[[str], BinaryIO]
_Prepared = tuple[bytes, list[np.ndarray]]  # perceptual hash, and what each extractor needs

# Where and how features are computed: files, extractors that are not loaded yet (none: contents
# and hashes alone), contents (sha256) that may be passed over, and images in one pass through a
# model at most. Gives results in batches as they are ready, each file once, in any order.
Engine = Callable[
    [Sequence[ImageFile], Sequence[ImageExtractor], set[bytes], int], Iterable[Sequence[Computed]]
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
    looking = [each for each in extractors if not isinstance(each, FileNameExtractor)]
    for lacking, missing in _missing(files, looking, store):
        unreadable |= _fill(missing, lacking, store, batch_size, engine)
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
    loaded = set[str]()

    def compute(
        files: Sequence[ImageFile],
        extractors: Sequence[ImageExtractor],
        done: set[bytes],
        batch_size: int,
    ) -> Iterator[list[Computed]]:
        for extractor in extractors:
            if extractor.identity not in loaded:
                extractor.load(len(files))
                loaded.add(extractor.identity)
        yield from compute_batches(read, files, extractors, done, batch_size, workers)

    return compute


def _missing(
    files: Sequence[ImageFile], extractors: Sequence[ImageExtractor], store: FeatureStore
) -> list[tuple[list[ImageExtractor], list[ImageFile]]]:
    """The files that lack something, by the extractors whose features they lack."""
    known, seen = store.known_files(files), set(store.perceptual_hashes())
    done = [seen & store.holds(each.identity) for each in extractors]
    found: dict[tuple[int, ...], list[ImageFile]] = {}
    for file in files:
        sha256 = known.get(file.path)
        lacking = tuple(place for place, those in enumerate(done) if sha256 not in those)
        if lacking or sha256 not in seen:
            found.setdefault(lacking, []).append(file)
    return [([extractors[i] for i in lacking], those) for lacking, those in found.items()]


def _fill(
    files: Sequence[ImageFile],
    extractors: Sequence[ImageExtractor],
    store: FeatureStore,
    batch_size: int,
    engine: Engine,
) -> dict[str, str]:
    """Put features of these files into the store; returns those that cannot be read, and why."""
    done = set(store.perceptual_hashes())
    for extractor in extractors:
        done &= store.holds(extractor.identity)
    unreadable: dict[str, str] = {}
    name = "+".join(extractor.name for extractor in extractors)
    with progress_bar(len(files), f"features {name}" if name else "checking images") as bar:
        batches = engine(files, extractors, done, batch_size)
        for batch in _with_estimate(batches, len(files), name):
            unreadable |= {c.file.path: c.problem for c in batch if c.problem is not None}
            store.put(
                files=[(c.file, c.sha256) for c in batch if c.sha256 and not c.problem],
                perceptual_hashes={
                    c.sha256: c.perceptual_hash for c in batch if c.sha256 and c.perceptual_hash
                },
                vectors={
                    extractor.identity: {
                        c.sha256: c.vectors[place] for c in batch if c.sha256 and c.vectors
                    }
                    for place, extractor in enumerate(extractors)
                },
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
    extractors: Sequence[ImageExtractor],
    done: set[bytes],
    batch_size: int,
    workers: int | None,
) -> Generator[list[Computed], None, None]:
    """Read and decode in threads while the models, which are loaded, compute; see `Engine`.

    Each image is decoded once, at the smallest scale that serves all extractors. Files come in
    their order; where several have the same content, one of them has its vectors.
    """
    workers = workers or os.cpu_count() or 1
    at_once = min(workers, max((each.passes_at_once for each in extractors), default=1))
    for extractor in extractors:
        batch_size = min(batch_size, extractor.images_per_pass or batch_size)
    # In a small folder, too, everything works at the same time, and ends at about the same time.
    batch_size = min(batch_size, max(1, len(files) // (2 * at_once if at_once > 1 else 8)))
    claimed, sides = set(done), [each.min_side or 0 for each in extractors]

    def prepare(image: Image.Image) -> _Prepared:
        return perceptual_hash(image), [each.prepare(image) for each in extractors]

    def compute(batch: list[tuple[ImageFile, ReadImage[_Prepared]]]) -> list[Computed]:
        fresh: dict[bytes | None, list[np.ndarray]] = {}
        for _, image in batch:
            if image.prepared and image.sha256 not in claimed:
                claimed.add(image.sha256)  # type: ignore[arg-type]
                fresh[image.sha256] = image.prepared[1]
        rows = zip(*fresh.values(), strict=True)  # of each extractor what it has prepared
        found = [each.extract([*row]) for each, row in zip(extractors, rows, strict=False)]
        vectors = dict(zip(fresh, zip(*found, strict=True), strict=False))
        return [
            Computed(
                file,
                image.sha256,
                image.prepared[0] if image.prepared else None,
                vectors.pop(image.sha256, ()),
                image.problem,
            )
            for file, image in batch
        ]

    with ExitStack() as stack:  # on an error or Ctrl-C, what is not yet started is not begun
        stack.enter_context(one_torch_thread())
        reading = read_ahead(
            [file.path for file in files],
            read,
            prepare,
            min_side=max(sides, default=HASHED_SIDE) if all(sides) else None,
            ahead=2 * batch_size * at_once + workers,
            workers=workers,
            known=done,
        )
        stack.enter_context(closing(reading))
        pairs = zip(files, reading, strict=True)
        results = in_passes(pairs, compute, size=batch_size, at_once=at_once)
        yield from stack.enter_context(closing(results))
