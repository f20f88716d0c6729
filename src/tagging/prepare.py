"""Making and checking the tag files of a folder tree."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from src.features.extract import local_engine
from src.images import ImageFile, open_file
from src.progress import progress_bar
from src.settings.housekeeping import PrepareTags
from src.tagging.tag_files import clean_tags, read_tags, scan_sidecars, sidecar_of

_BATCH = 32


class TagPlan(NamedTuple):
    """What tag files would hold."""

    changes: dict[str, list[str]]  # tag file -> its tags from now on
    kept: list[str]  # tag files that are there and stay as they are
    untagged: list[str]  # images for which there is no tag to write


def plan_tags(images: Sequence[str], settings: PrepareTags) -> TagPlan:
    """What to write so that every image has the tags that the settings ask for in its tag file."""
    directory, existing = Path(settings.top_level_image_directory), settings.existing
    scan = scan_sidecars(directory, images, settings)
    changes: dict[str, list[str]] = {}
    kept, untagged = [], []
    for image in images:
        folders = PurePosixPath(image).parts[:-1] if settings.tags_from_folders else ()
        tags = clean_tags([*settings.tags_to_write.split(","), *folders])
        file = sidecar_of(image, settings)
        if not tags:
            untagged.append(image)
        elif image in scan.shared or file in changes:  # image1.jpg and image1.png share image1.txt
            kept.append(file)
        elif image not in scan.files or existing == "overwrite":
            changes[file] = tags
        elif existing == "append":
            changes[file] = clean_tags([*read_tags(directory / file, settings), *tags])
        else:
            kept.append(file)
    return TagPlan(changes, kept, untagged)


def check_images(
    directory: Path, files: Sequence[ImageFile]
) -> tuple[dict[str, str], list[list[str]]]:
    """Why images cannot be opened, and groups of those with the same bytes."""
    unreadable: dict[str, str] = {}
    same: dict[bytes, list[str]] = {}
    read = local_engine(lambda path: open_file(directory / path))
    with progress_bar(len(files), "checking images") as bar:
        for batch in read(files, [], set(), _BATCH):
            bar.update(len(batch))
            for image in batch:
                if image.sha256 is None:
                    unreadable[image.file.path] = image.problem or ""
                else:
                    same.setdefault(image.sha256, []).append(image.file.path)
    return unreadable, [sorted(group) for group in same.values() if len(group) > 1]
