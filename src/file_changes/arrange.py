"""Images into folders by their scores: copied, moved or linked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from src.errors import SettingsError
from src.file_changes.changes import Change, Copy, Link, Move

How = Literal["copy", "move", "link"]


class Plan(NamedTuple):
    """What would be done, and which images are left out because their place is taken."""

    changes: list[Change]
    taken: list[str]


def arrange(
    directory: Path,
    paths: Sequence[str],
    step: np.ndarray,
    folders: Sequence[str],
    into: Path,
    how: How,
) -> Plan:
    """Put each image into the folder of its step, under its own relative path.

    Args:
        directory: the image folder.
        paths: the images, relative to it, (n).
        step: index into `folders` of each image, (n,) int.
        folders: names; "" for images that stay where they are.
        into: where the folders are made; not inside the image folder.
        how: what is done with the images.

    Raises:
        SettingsError: `into` lies inside the image folder.
        OSError: an image is gone.
    """
    root = into.resolve()
    if root.is_relative_to(directory.resolve()):
        raise SettingsError(
            f"score_into is {str(into)!r}, inside the image folder, where its images would be "
            "found again: choose a folder outside"
        )
    changes: list[Change] = []
    taken = []
    for path, index in zip(paths, step.tolist(), strict=True):
        if not folders[index]:
            continue
        target = root / folders[index] / path
        if target.exists():
            taken.append(path)
        elif how == "move":
            status = (directory / path).stat()
            changes.append(Move(path, str(target), status.st_size, status.st_mtime_ns))
        else:
            changes.append((Copy if how == "copy" else Link)(path, str(target)))
    return Plan(changes, taken)
