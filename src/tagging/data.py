"""Images with several tags each: the labels of multi-label training, and their split."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Self

import numpy as np

from src.dataset.parts import PART_NAMES, TEST, TRAIN, VALIDATION
from src.dataset.split import split
from src.errors import DataError, SettingsError
from src.images import ImageFile, scan_images
from src.tagging.selected_tags import SelectedTag, read_selected_tags, select_tags
from src.tagging.sources import TagSource, read_source
from src.tagging.tag_files import SidecarStyle

if TYPE_CHECKING:
    from scipy.sparse import csr_array

logger = logging.getLogger(__name__)

_LEARNABLE = 10  # images that a tag takes at the least
_ID_RANGES = re.compile(r"(\d{1,3})-(\d{1,3}),\s*(\d{1,3})-(\d{1,3})")


@dataclass(frozen=True)
class TaggedImages:
    """The images of a folder whose tags are known.

    Attributes:
        directory: the image folder.
        files: the images, sorted by path; everything below is in this order.
        tags: the tags, in the order of the label columns.
        labels: (n, k) uint8, 1 where the image has the tag; sparse, for thousands of tags.
        parts: "train", "validation" or "test" where the source says so, otherwise "".
        source: where the tags come from, for messages.
        notes: what did not fit together, each a line for the user.
    """

    directory: Path
    files: tuple[ImageFile, ...]
    tags: tuple[SelectedTag, ...]
    labels: "csr_array"
    parts: tuple[str, ...]
    source: str
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.files)

    @property
    def paths(self) -> list[str]:
        """Relative paths with forward slashes."""
        return [file.path for file in self.files]

    @property
    def names(self) -> list[str]:
        """The tags' names, in the order of the label columns."""
        return [tag.name for tag in self.tags]

    def only(self, paths: Sequence[str]) -> Self:
        """The same without the images that are not named; the tags stay."""
        wanted = set(paths)
        keep = [index for index, file in enumerate(self.files) if file.path in wanted]
        return replace(
            self,
            files=tuple(self.files[index] for index in keep),
            labels=self.labels[keep],
            parts=tuple(self.parts[index] for index in keep),
        )

    def report(self) -> None:
        """Log what was found, and what does not fit together."""
        logger.info(
            "%d images in %s with %d tags, %.1f an image (from %s).",
            len(self),
            self.directory,
            len(self.tags),
            self.labels.nnz / max(len(self), 1),
            self.source,
        )
        for note in self.notes:
            logger.warning("%s", note)
        few = int((np.asarray(self.labels.sum(axis=0)) < _LEARNABLE).sum())
        if few:
            logger.info(
                "%d of the tags are on fewer than %d images and hard to learn: "
                "tag_min_count leaves such tags out.",
                few,
                _LEARNABLE,
            )


def load(
    directory: Path,
    *,
    source: str = "",
    style: SidecarStyle | None = None,
    min_count: int = 1,
    tag_list: Path | None = None,
) -> TaggedImages:
    """Read the tags of a folder of images.

    Args:
        directory: the image folder.
        source: see `tag_sources.read_source`.
        style: how tag files are named and written.
        min_count: tags of fewer images are left out.
        tag_list: a selected_tags.csv: its tags, in its order, and no others (`min_count` does
            not apply).

    Raises:
        DataError: no images, no tags, or a damaged source.
    """
    files = scan_images(directory)
    if not files:
        raise DataError(f"there are no images in {directory}")
    found = read_source(directory, [file.path for file in files], source, style or SidecarStyle())
    if not any(found.tags.values()):
        where = source or f"{found.name} of {directory}"
        raise DataError(
            f"none of the {len(files)} images has a tag in {where}: make tag files with "
            "prepare_tags, or set tag_source"
        )
    if tag_list is not None:
        tags = read_selected_tags(tag_list)
    else:
        tags = select_tags(
            found.tags.values(),
            min_count=min_count,
            categories=found.categories,
            ids=found.ids,
        )
    if not tags:
        raise DataError(f"no tag is on {min_count} images or more: lower tag_min_count")
    used = [file for file in files if file.path in found.tags]
    labels = binary_labels([found.tags[file.path] for file in used], [tag.name for tag in tags])
    return TaggedImages(
        directory=directory,
        files=tuple(used),
        tags=tuple(tags),
        labels=labels,
        parts=tuple(found.parts.get(file.path, "") for file in used),
        source=found.name,
        notes=(*found.notes, *_unused(tags, labels, found)),
    )


def binary_labels(tag_lists: Sequence[Sequence[str]], names: Sequence[str]) -> "csr_array":
    """(n, k) uint8: 1 where image i has tag j; tags that are not among the names do not count."""
    from scipy.sparse import csr_array

    column = {name: index for index, name in enumerate(names)}
    rows = [sorted({column[tag] for tag in tags if tag in column}) for tags in tag_lists]
    starts = np.cumsum([0, *map(len, rows)])
    columns = np.fromiter((index for row in rows for index in row), np.int32, int(starts[-1]))
    return csr_array(
        (np.ones(len(columns), np.uint8), columns, starts), shape=(len(rows), len(names))
    )


def split_parts(
    data: TaggedImages,
    sha256s: Sequence[bytes],
    groups: np.ndarray,
    *,
    fraction_for_test: float,
    fraction_for_validation: float,
    seed: int,
    id_ranges: str = "",
) -> np.ndarray:
    """TRAIN, VALIDATION or TEST for each image, (n,) int8.

    Thresholds and the best epoch are chosen on the validation images; the test images are only
    reported on. Groups of duplicates stay together. Where the source names a part, or an image's
    id lies in a range, that goes before the draw; a group that is torn so goes to the test
    images rather than validation, and to validation rather than training.

    Args:
        data: the images.
        sha256s: content of each image.
        groups: group of duplicates that each image belongs to, (n,) int.
        fraction_for_test: share of all images.
        fraction_for_validation: share of those that are not for testing.
        seed: another seed, another choice.
        id_ranges: "900-949,950-999" takes images whose id (the file name's number) modulo 1000
            lies in the first range for validation, in the second for testing, and trains on the
            others; "" draws by the fractions.

    Raises:
        SettingsError: the ranges cannot be read.
    """
    given = np.array([PART_NAMES.index(part) if part else -1 for part in data.parts], np.int8)
    if id_ranges:
        given = np.where(given < 0, _by_id(data.paths, id_ranges), given)
    test = split(sha256s, groups, fraction=fraction_for_test, seed=seed)
    rest = np.flatnonzero(~test)
    parts = np.where(test, TEST, TRAIN).astype(np.int8)
    # The second draw must not depend on the first: another seed, and only among the others.
    validation = split(
        [sha256s[index] for index in rest.tolist()],
        groups[rest],
        fraction=fraction_for_validation,
        seed=seed + 1_000_003,
    )
    parts[rest[validation]] = VALIDATION
    for part in (TRAIN, VALIDATION, TEST):
        parts[np.isin(groups, groups[given == part])] = part
    return parts


def _by_id(paths: Sequence[str], id_ranges: str) -> np.ndarray:
    match = _ID_RANGES.fullmatch(id_ranges.strip())
    if match is None:
        raise SettingsError(
            f"split_by_id is {id_ranges!r}: write two ranges for validation and testing, "
            "such as 900-949,950-999"
        )
    low, high, test_low, test_high = map(int, match.groups())
    parts = np.full(len(paths), -1, np.int8)
    for index, path in enumerate(paths):
        stem = PurePosixPath(path).stem
        if stem.isascii() and stem.isdigit():
            last = int(stem) % 1000
            parts[index] = (
                TEST if test_low <= last <= test_high else VALIDATION if low <= last <= high else 0
            )
    return parts


def _unused(tags: Sequence[SelectedTag], labels: "csr_array", found: TagSource) -> list[str]:
    absent = [
        tag.name
        for tag, count in zip(tags, np.asarray(labels.sum(axis=0)).ravel(), strict=True)
        if not count
    ]
    if not absent:
        return []
    some = ", ".join(absent[:5])
    return [f"{len(absent)} of the listed tags are on no image in {found.name}: {some}"]
