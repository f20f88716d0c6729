"""Images with several tags each: the labels of multi-label training."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from src.dataset.labelled import LabelledImages, label_counts
from src.dataset.split import TEST, TRAIN, VALIDATION
from src.errors import DataError, SettingsError
from src.images import scan_images
from src.settings.classifier import ClassifierTraining
from src.tagging.selected_tags import SelectedTag, read_selected_tags, select_tags
from src.tagging.sources import image_id, note, read_source
from src.text import counted

logger = logging.getLogger(__name__)

_LEARNABLE = 10  # images that a tag takes at the least
_ID_RANGES = re.compile(r"(\d{1,3})-(\d{1,3}),\s*(\d{1,3})-(\d{1,3})")


@dataclass(frozen=True)
class TaggedImages(LabelledImages):
    """The images of a folder whose tags are known."""

    tags: tuple[SelectedTag, ...] = ()  # in the order of the label columns
    given_parts: np.ndarray | None = None  # by the source, as in `split_parts`, (n,) int8

    def _at(self, places: list[int]) -> Self:
        parts = None if self.given_parts is None else self.given_parts[places]
        return replace(super()._at(places), given_parts=parts)


def read_tagged_images(settings: ClassifierTraining, tag_list: Path | None = None) -> TaggedImages:
    """Read the tags of a folder of images, and log what was found.

    `tag_list`, a selected_tags.csv, gives the tags and their order instead of `tag_min_count`.
    What the source says of an image's part goes before `split_by_id`.
    """
    directory = Path(settings.top_level_image_directory)
    files = scan_images(directory)
    if not files:
        raise DataError(f"there are no images in {directory}")
    found = read_source(directory, [file.path for file in files], settings)
    if not any(found.tags.values()):
        where = settings.tag_source or f"{found.name} of {directory}"
        raise DataError(
            f"none of the images ({len(files):,}) has a tag in {where}: make tag files with "
            "prepare_tags, or set tag_source"
        )
    if tag_list:
        tags = read_selected_tags(tag_list)
    else:
        least = settings.tag_min_count
        tags = select_tags(found.tags.values(), least, found.categories, found.ids)
        if not tags:
            raise DataError(f"no tag is on {counted(least, 'image')} or more: lower tag_min_count")
    used = tuple(file for file in files if file.path in found.tags)
    names = tuple(tag.name for tag in tags)
    parts = np.array([found.parts.get(file.path, -1) for file in used], np.int8)
    if settings.split_by_id:
        by_id = _parts_by_id([file.path for file in used], settings.split_by_id)
        parts = np.where(parts < 0, by_id, parts)
    labels = binary_labels([found.tags[file.path] for file in used], names)
    counts, notes = label_counts(labels, len(names)), found.notes
    notes += note(
        [name for name, count in zip(names, counts.tolist(), strict=True) if not count],
        f"Listed tags that are on no image in {found.name}",
    )
    data = TaggedImages(directory, used, labels, names, tuple(notes), tuple(tags), parts)
    images, mean = counted(len(used), "image"), labels.nnz / len(used)
    text = "%s in %s with %s, %.1f per image (from %s)."
    logger.info(text, images, directory, counted(len(tags), "tag"), mean, found.name)
    for line in notes:
        logger.warning("%s", line)
    if few := int((counts < _LEARNABLE).sum()):
        text = "On fewer than %s, and so hard to learn: %s (tag_min_count drops such tags)"
        logger.info(text, counted(_LEARNABLE, "image"), counted(few, "tag"))
    return data


def binary_labels(tag_lists: Sequence[Sequence[str]], names: Sequence[str]) -> Any:
    """Sparse, (n, k) uint8: 1 where image i has tag j of the names."""
    from scipy.sparse import csr_array

    column = {name: index for index, name in enumerate(names)}
    rows = [sorted({column[tag] for tag in tags if tag in column}) for tags in tag_lists]
    starts = np.cumsum([0, *map(len, rows)])
    columns = np.fromiter((index for row in rows for index in row), np.int32, int(starts[-1]))
    return csr_array(
        (np.ones(len(columns), np.uint8), columns, starts), shape=(len(rows), len(names))
    )


def _parts_by_id(paths: Sequence[str], id_ranges: str) -> np.ndarray:
    """The part of each image by its id modulo 1000, (n,) int8; -1 without an id."""
    match = _ID_RANGES.fullmatch(id_ranges.strip())
    if match is None:
        raise SettingsError(
            f"split_by_id is {id_ranges!r}: write two ranges for validation and testing, "
            "such as 900-949,950-999"
        )
    low, high, test_low, test_high = map(int, match.groups())
    parts = np.full(len(paths), -1, np.int8)
    for index, number in enumerate(map(image_id, paths)):
        if number is not None:
            held_out = VALIDATION if low <= number % 1000 <= high else TRAIN
            parts[index] = TEST if test_low <= number % 1000 <= test_high else held_out
    return parts
