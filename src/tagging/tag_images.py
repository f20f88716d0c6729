"""Giving every image of a folder its tag file by a trained model."""

import csv
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.devices import one_torch_thread
from src.errors import DataError
from src.file_changes.apply import make
from src.file_changes.changes import Folders
from src.file_changes.undo_file import UndoFile, new_undo_file
from src.images import open_file
from src.images.read_ahead import ReadImage, in_passes, read_ahead
from src.progress import progress_bar
from src.settings.tags import TagWriting
from src.settings.use_models import TagImages
from src.tagging.choice import TagChoice
from src.tagging.tag_files import read_tags, scan_sidecars, sidecar_of, tag_changes
from src.tagging.tag_format import TagFormat
from src.tagging.taggers import Tagger
from src.text import counted

logger = logging.getLogger(__name__)

PROGRESS_FILE = ".tag_images.progress"
_AHEAD = 4  # batches decoded ahead of the model


class Tagged(NamedTuple):
    """What was done."""

    written: int  # tag files
    skipped: int  # images that had one, which was left
    unreadable: dict[str, str]  # image -> why
    undo_file: Path | None  # what undoes it; None if nothing was written


def tag_images(
    images: Sequence[str], tagger: Tagger, choice: TagChoice, settings: TagImages
) -> Tagged:
    """Write a tag file for each image, and with `probabilities` a table.

    If the run is stopped, the next one with the same model and choice goes on after the last
    finished batch, with the same undo file. A dry run logs what would be written.
    """
    directory, existing = Path(settings.top_level_image_directory), settings.existing
    size = settings.evaluation_args.per_device_eval_batch_size
    size = min(size, tagger.images_per_pass or size)
    scan = scan_sidecars(directory, images, settings)
    writing = TagFormat(tagger.tags, settings)
    choice = choice._replace(allowed=choice.allowed & writing.writable)
    wishes = settings.model_dump_json(include=set(TagWriting.model_fields)).encode()
    chosen = hashlib.sha256(choice.thresholds.tobytes() + choice.allowed.tobytes() + wishes)
    key = f"{tagger.identity}|{chosen.hexdigest()[:16]}|{choice.top_k}"
    progress = _Progress(directory, key, writes=not settings.dry_run)
    left_out = scan.shared | progress.done | (scan.files.keys() if existing == "skip" else set())
    wanted = [image for image in images if image not in left_out]
    unreadable: dict[str, str] = {}
    folders = Folders(directory, directory)
    record: UndoFile | None = None
    written = 0
    with ExitStack() as stack:
        write_row = stack.enter_context(_table(settings, tagger, choice, bool(progress.done)))
        bar = stack.enter_context(progress_bar(len(wanted), "tagging"))
        reading = read_ahead(
            wanted,
            lambda path: open_file(directory / path),
            tagger.prepare,
            min_side=tagger.min_side,
            ahead=_AHEAD * size * tagger.passes_at_once,
        )
        stack.enter_context(closing(reading))
        stack.enter_context(one_torch_thread())
        at_once = tagger.passes_at_once
        found = in_passes(reading, partial(_look, tagger), size=size, at_once=at_once)
        for batch, rows in stack.enter_context(closing(found)):
            bar.update(len(batch))
            unreadable |= {image.path: image.problem for image in batch if image.problem}
            readable = [image.path for image in batch if image.prepared is not None]
            tags_of = {}
            for image, row in zip(readable, rows, strict=True):
                file = sidecar_of(image, settings)
                keeps = image in scan.files and existing != "overwrite"
                there = read_tags(directory / file, settings) if keeps else []
                tags_of[file] = writing.tags(choice.given(row), row, there)
                write_row(image, row)
            changes = tag_changes(directory, tags_of, settings)
            if settings.dry_run:
                for file, tags in tags_of.items():
                    logger.info("would write %s: %s", file, ", ".join(tags))
            elif changes:
                if record is None:
                    record = UndoFile(progress.undo_file, folders, go_on=True)
                    stack.callback(record.close)
                record.add(changes)
                make(folders, changes).report()
                written += len(changes)
            progress.add(readable)
    progress.close()
    undo_file = progress.undo_file if progress.undo_file.exists() else None
    return Tagged(written, len(images) - len(wanted), unreadable, undo_file)


def _look(tagger: Tagger, batch: list[ReadImage[Any]]) -> tuple[list[ReadImage[Any]], Any]:
    """The images of a batch, and the probabilities (n, k) of those that can be read."""
    readable = [image.prepared for image in batch if image.prepared is not None]
    return batch, tagger.probabilities(readable) if readable else ()


class _Progress:
    """Which images are done and where the undo file is, in a text file that is gone in the end.

    Else images whose tag file was just written would look as if they had had one before.
    """

    def __init__(self, directory: Path, key: str, *, writes: bool) -> None:
        self._file, self._writes = directory / PROGRESS_FILE, writes
        self.undo_file, self.done = new_undo_file(directory, "tags"), set[str]()
        try:
            known, undo_name, *done = self._file.read_text(encoding="utf-8").split("\n")
        except (OSError, ValueError):
            known, undo_name, done = "", "", []
        if known == key and undo_name.startswith("undo-"):
            self.done = set(done[:-1])  # the last line may be cut off
            self.undo_file = directory / Path(undo_name).name
            logger.info("Resuming: %s tagged already.", counted(len(self.done), "image"))
        else:
            self.add([key, self.undo_file.name], mode="w")

    def add(self, lines: Sequence[str], mode: str = "a") -> None:
        if not self._writes:
            return
        try:
            with self._file.open(mode, encoding="utf-8", newline="") as stream:
                stream.write("".join(f"{line}\n" for line in lines))
        except OSError as error:
            raise DataError(f"{self._file} cannot be written: {error.strerror or error}") from None

    def close(self) -> None:
        if self._writes:
            self._file.unlink(missing_ok=True)


@contextmanager
def _table(
    settings: TagImages, tagger: Tagger, choice: TagChoice, goes_on: bool
) -> Iterator[Callable[[str, np.ndarray], None]]:
    """Writes an image and its probabilities, a column for each allowed tag, if a file is wanted."""
    if not settings.probabilities:
        yield lambda image, probabilities: None
        return
    file, columns = Path(settings.probabilities), np.flatnonzero(choice.allowed)
    goes_on &= file.is_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        stream = file.open("a" if goes_on else "w", encoding="utf-8", newline="")
    except OSError as error:
        raise DataError(f"{file} cannot be written: {error.strerror or error}") from None
    with stream:
        rows = csv.writer(stream, lineterminator="\n")
        if not goes_on:
            rows.writerow(["path", *(tagger.tags[index].name for index in columns.tolist())])
        yield lambda image, probabilities: rows.writerow(
            [image, *(f"{value:.4f}" for value in probabilities[columns])]
        )
