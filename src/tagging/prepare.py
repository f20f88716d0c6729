"""Making and checking the tag files of a folder tree."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from src.images import read_file
from src.images.perceptual_hash import HASHED_SIDE
from src.images.read_ahead import read_ahead
from src.progress import progress_bar
from src.tagging.tag_files import SidecarStyle, clean_tags, read_tags, scan_sidecars, sidecar_of

Existing = Literal["skip", "append", "overwrite"]

_AHEAD = 32  # images; a JPEG's whole stream is read even where it is decoded small


class TagPlan(NamedTuple):
    """What tag files would hold.

    Attributes:
        changes: tag file -> its tags from now on.
        kept: tag files that are there and stay as they are.
        untagged: images for which there is no tag to write.
    """

    changes: dict[str, list[str]]
    kept: list[str]
    untagged: list[str]


def plan_tags(
    directory: Path,
    images: Sequence[str],
    style: SidecarStyle,
    *,
    fixed: Sequence[str] = (),
    from_folders: bool = False,
    existing: Existing = "skip",
) -> TagPlan:
    """What to write so that every image has its tag file.

    Args:
        directory: the image folder.
        images: paths relative to it.
        style: how tag files are named and written.
        fixed: tags for every image.
        from_folders: tag each image with the names of the folders it lies in.
        existing: what becomes of tag files that are there: `skip` leaves them, `append` adds the
            tags that they lack, `overwrite` replaces them.

    Raises:
        DataError: a tag file to append to cannot be read.
    """
    scan = scan_sidecars(directory, images, style)
    shared = {image for owners in scan.shared.values() for image in owners}
    changes: dict[str, list[str]] = {}
    kept, untagged = [], []
    for image in images:
        folders = PurePosixPath(image).parts[:-1] if from_folders else ()
        tags = clean_tags([*fixed, *folders])
        file = sidecar_of(image, style)
        there = image in scan.files or image in shared
        if not tags:
            untagged.append(image)
        elif there and (existing == "skip" or image in shared):
            kept.append(file)
        elif there and existing == "append":
            changes[file] = clean_tags([*read_tags(directory / file, style), *tags])
        elif file in changes:  # image1.jpg and image1.png would share image1.txt
            kept.append(file)
        else:
            changes[file] = tags
    return TagPlan(changes, kept, untagged)


def count_tags(tag_lists: Sequence[Sequence[str]]) -> list[tuple[str, int]]:
    """Tags with the number of images that have them, most frequent first, then by name."""
    counts = Counter(tag for tags in tag_lists for tag in set(tags))
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


class ImageCheck(NamedTuple):
    """What is wrong with a folder's images.

    Attributes:
        unreadable: image -> why it cannot be opened.
        duplicates: groups of images with the same content, each sorted, in order.
    """

    unreadable: dict[str, str]
    duplicates: list[list[str]]


def check_images(directory: Path, images: Sequence[str]) -> ImageCheck:
    """Open every image, and find those with the same bytes."""
    unreadable: dict[str, str] = {}
    same: dict[bytes, list[str]] = {}
    with progress_bar(len(images), "checking images") as bar:
        for image in read_ahead(
            images,
            lambda path: read_file(directory / path),
            lambda image: None,
            min_side=HASHED_SIDE,
            ahead=_AHEAD,
        ):
            bar.update()
            if image.sha256 is None:
                unreadable[image.path] = image.problem or ""
            else:
                same.setdefault(image.sha256, []).append(image.path)
    return ImageCheck(unreadable, [sorted(group) for group in same.values() if len(group) > 1])
