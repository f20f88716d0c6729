"""Modification times in the order of the scores, so that any image viewer can sort by taste."""

from collections.abc import Sequence
from pathlib import Path

from src.features import open_store
from src.file_changes.changes import Touch
from src.images import scan_images
from src.scoring.scored import Scored

STEP_NS = 2_000_000_000
"""Between two images: no file system in use, FAT included, keeps times more coarsely."""


def touch_in_order(directory: Path, paths: Sequence[str], *, newest_ns: int) -> list[Touch]:
    """Give the first image the newest time and each of the others one two seconds older.

    Args:
        directory: the image folder.
        paths: in the wanted order, relative to the folder.
        newest_ns: time of the first image, nanoseconds since 1970; whole seconds are taken.

    Raises:
        OSError: an image is gone.
    """
    newest = newest_ns // STEP_NS * STEP_NS
    return [
        Touch(
            path=path,
            before_ns=(directory / path).stat().st_mtime_ns,
            after_ns=newest - place * STEP_NS,
        )
        for place, path in enumerate(paths)
    ]


def remember_times(scored: Scored, store_folder: Path | None) -> None:
    """Tell the feature store the new times, so that no image is read again because of them.

    Args:
        scored: the images, just touched.
        store_folder: where features are kept; None: beside the images.

    Raises:
        DataError: the store cannot be written.
    """
    content = dict(zip(scored.paths, scored.sha256s, strict=True))
    files = [file for file in scan_images(scored.directory) if file.path in content]
    with open_store(scored.directory, store_folder) as store:
        store.put(files=[(file, content[file.path]) for file in files])
