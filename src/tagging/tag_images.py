"""Giving every image of a folder its tag file by a trained model."""

import csv
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from src.errors import DataError
from src.file_changes.apply import make
from src.file_changes.changes import Folders
from src.file_changes.undo_file import UndoFile, new_undo_file
from src.images import read_file
from src.images.read_ahead import read_ahead
from src.progress import progress_bar
from src.tagging.selected_tags import SelectedTag
from src.tagging.tag_files import (
    SidecarStyle,
    clean_tags,
    read_tags,
    scan_sidecars,
    sidecar_of,
    tag_changes,
)
from src.tagging.taggers import Tagger

logger = logging.getLogger(__name__)

PROGRESS_FILE = ".tag_images.progress"
_AHEAD = 4  # batches decoded ahead of the model


@dataclass(frozen=True)
class TagChoice:
    """Which tags an image gets.

    Attributes:
        thresholds: (k,); a tag is given where its probability reaches this.
        allowed: (k,) bool.
        top_k: the most probable so many instead, whatever the thresholds; 0: by thresholds.
    """

    thresholds: np.ndarray
    allowed: np.ndarray
    top_k: int = 0

    def given(self, probabilities: np.ndarray) -> np.ndarray:
        """Positions of the tags that an image with these probabilities gets, likeliest first."""
        candidates = np.flatnonzero(
            self.allowed if self.top_k else self.allowed & (probabilities >= self.thresholds)
        )
        order = candidates[np.argsort(-probabilities[candidates], kind="stable")]
        return order[: self.top_k] if self.top_k else order


def allowed_tags(
    tags: Sequence[SelectedTag], whitelist: Sequence[str] = (), blacklist: Sequence[str] = ()
) -> np.ndarray:
    """Which tags may be given, (k,) bool: those on the whitelist, if any, and on no blacklist.

    Raises:
        DataError: no tag is left.
    """
    names = {tag.name for tag in tags}
    for listed, name in ((whitelist, "whitelist"), (blacklist, "blacklist")):
        unknown = [tag for tag in listed if tag not in names]
        if unknown:
            logger.warning(
                "The model does not know %d tags of the %s, such as %r.",
                len(unknown),
                name,
                unknown[0],
            )
    allowed = np.array(
        [(not whitelist or tag.name in whitelist) and tag.name not in blacklist for tag in tags]
    )
    if not allowed.any():
        raise DataError("the whitelist and the blacklist leave no tag that the model knows")
    return allowed


class Tagged(NamedTuple):
    """What was done.

    Attributes:
        written: tag files.
        skipped: images that had one, which was left.
        unreadable: image -> why.
        undo_file: what undoes it; None if nothing was written.
    """

    written: int
    skipped: int
    unreadable: dict[str, str]
    undo_file: Path | None


def tag_images(
    directory: Path,
    images: Sequence[str],
    tagger: Tagger,
    choice: TagChoice,
    style: SidecarStyle,
    *,
    existing: Literal["skip", "append", "overwrite"] = "skip",
    batch_size: int = 32,
    probabilities: Path | None = None,
    dry_run: bool = False,
) -> Tagged:
    """Write a tag file for each image.

    Each file is written as a whole, a batch at a time, after the undo file has it; if the run is
    stopped, the next one with the same model and choice goes on after the last finished batch,
    with the same undo file.

    Args:
        directory: the image folder.
        images: paths relative to it.
        tagger: the model.
        choice: which tags are given.
        style: how tag files are named and written.
        existing: what becomes of tag files that are there.
        batch_size: images in one pass through the model.
        probabilities: a CSV file for the probabilities of the allowed tags, one row an image.
        dry_run: log what would be written, and write nothing.

    Raises:
        DataError: a file cannot be written, or a tag file that is there cannot be read.
    """
    scan = scan_sidecars(directory, images, style)
    shared = {image for owners in scan.shared.values() for image in owners}
    progress = _Progress(
        directory, f"{tagger.identity}|{existing}|{_fingerprint(choice)}", writes=not dry_run
    )
    skipped = [
        image
        for image in images
        if image in shared or image in progress.done or (existing == "skip" and image in scan.files)
    ]
    left_out = set(skipped)
    wanted = [image for image in images if image not in left_out]
    if progress.done:
        logger.info("Going on: %d images were tagged before the last stop.", len(progress.done))
    unreadable: dict[str, str] = {}
    folders = Folders(directory, directory)
    record: UndoFile | None = None
    written = 0
    with (
        ExitStack() as stack,
        _table(
            probabilities, tagger.tags, choice.allowed, goes_on=bool(progress.done)
        ) as write_row,
        progress_bar(len(wanted), "tagging") as bar,
    ):
        for batch in _batches(directory, wanted, tagger, batch_size, unreadable):
            found = tagger.probabilities([prepared for _, prepared in batch])
            wanted_tags = {}
            for (image, _), row in zip(batch, found, strict=True):
                tags = [tagger.tags[index].name for index in choice.given(row).tolist()]
                file = sidecar_of(image, style)
                if existing == "append" and image in scan.files:
                    tags = clean_tags([*read_tags(directory / file, style), *tags])
                wanted_tags[file] = tags
                write_row(image, row)
            changes = tag_changes(directory, wanted_tags, style)
            if dry_run:
                for file, tags in wanted_tags.items():
                    logger.info("would write %s: %s", file, ", ".join(tags))
            elif changes:
                if record is None:
                    record = UndoFile(progress.undo_file, folders, go_on=True)
                    stack.callback(record.close)
                record.add(changes)
                make(folders, changes).report()
                written += len(changes)
            bar.update(len(batch))
            progress.finished([image for image, _ in batch])
    progress.close()
    undo_file = progress.undo_file if progress.undo_file.exists() else None
    return Tagged(written, len(skipped), unreadable, undo_file)


def _batches(
    directory: Path,
    images: Sequence[str],
    tagger: Tagger,
    batch_size: int,
    unreadable: dict[str, str],
) -> Iterator[list[tuple[str, Any]]]:
    """Images decoded ahead of the model; those that cannot be read are noted."""
    batch: list[tuple[str, Any]] = []
    reading = read_ahead(
        images,
        lambda path: read_file(directory / path),
        tagger.prepare,
        min_side=tagger.min_side,
        ahead=_AHEAD * batch_size,
    )
    with closing(reading):
        for image in reading:
            if image.problem:
                unreadable[image.path] = image.problem
                continue
            batch.append((image.path, image.prepared))
            if len(batch) == batch_size:
                yield batch
                batch = []
    if batch:
        yield batch


class _Progress:
    """Which images are done and where the undo file is, in a text file that is gone in the end.

    Images whose tag file was just written look the same as images that had one before; for
    `append` and `overwrite` only this file tells them apart.
    """

    def __init__(self, directory: Path, key: str, *, writes: bool) -> None:
        self._file = directory / PROGRESS_FILE
        self._writes = writes
        self.done: set[str] = set()
        self.undo_file = new_undo_file(directory, "tags")
        try:
            first, undo_name, *rest = self._file.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError, ValueError):
            first = undo_name = ""
            rest = []
        if first == key and undo_name.startswith("undo-"):
            self.done = set(rest[:-1])  # the last line may be cut off
            self.undo_file = directory / Path(undo_name).name
        elif writes:
            self._append(f"{key}\n{self.undo_file.name}\n", mode="w")

    def finished(self, images: Sequence[str]) -> None:
        """Note a batch."""
        if self._writes:
            self._append("".join(f"{image}\n" for image in images))

    def close(self) -> None:
        """All images are done."""
        if self._writes:
            self._file.unlink(missing_ok=True)

    def _append(self, text: str, mode: str = "a") -> None:
        try:
            with self._file.open(mode, encoding="utf-8", newline="") as stream:
                stream.write(text)
        except OSError as error:
            raise DataError(f"{self._file} cannot be written: {error.strerror or error}") from None


@contextmanager
def _table(
    file: Path | None, tags: Sequence[SelectedTag], allowed: np.ndarray, *, goes_on: bool
) -> Iterator[Callable[[str, np.ndarray], None]]:
    """Writes an image and its probabilities, a column for each allowed tag, if a file is wanted."""
    if file is None:
        yield lambda image, probabilities: None
        return
    goes_on &= file.is_file()
    columns = np.flatnonzero(allowed)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        stream = file.open("a" if goes_on else "w", encoding="utf-8", newline="")
    except OSError as error:
        raise DataError(f"{file} cannot be written: {error.strerror or error}") from None
    with stream:
        rows = csv.writer(stream, lineterminator="\n")
        if not goes_on:
            rows.writerow(["path", *(tags[index].name for index in columns.tolist())])
        yield lambda image, probabilities: rows.writerow(
            [image, *(f"{value:.4f}" for value in probabilities[columns])]
        )


def _fingerprint(choice: TagChoice) -> str:
    import hashlib

    digest = hashlib.sha256(np.asarray(choice.thresholds, np.float64).tobytes())
    digest.update(np.asarray(choice.allowed, bool).tobytes() + str(choice.top_k).encode())
    return digest.hexdigest()[:16]
