"""Images whose classes or tags are known."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from src.errors import ModelError
from src.images import ImageFile


@dataclass(frozen=True)
class LabelledImages:
    """The labelled images of a folder.

    Attributes:
        directory: the image folder.
        files: the images, sorted by path; everything below is in this order.
        labels: the class of each image, (n,) int64, or a sparse matrix (n, k) of uint8 that is 1
            where the image has the tag.
        names: of the classes or tags, in the order of a model's outputs.
        notes: sentences for the user on what was found.
    """

    directory: Path
    files: tuple[ImageFile, ...]
    labels: Any
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.files)

    @property
    def paths(self) -> list[str]:
        """Relative paths with forward slashes."""
        return [file.path for file in self.files]

    @property
    def counts(self) -> np.ndarray:
        """Images with each class or tag, (k,) int64."""
        return label_counts(self.labels, len(self.names))

    def only(self, paths: Collection[str]) -> Self:
        """The same without the images that are not named; the classes or tags stay."""
        wanted = set(paths)
        keep = [index for index, file in enumerate(self.files) if file.path in wanted]
        files = tuple(self.files[index] for index in keep)
        return replace(self, files=files, labels=self.labels[keep])


def label_counts(labels: Any, count: int) -> np.ndarray:
    """How many of these labels are of each class, or hold each tag, (count,) int64."""
    if labels.ndim == 1:
        return np.bincount(labels, minlength=count)
    return np.asarray(labels.sum(axis=0, dtype=np.int64)).ravel()


def order_of(wanted: Sequence[str], there: Sequence[str]) -> np.ndarray:
    """Where each wanted class or tag stands among a model's outputs, (k,) int.

    Raises:
        ModelError: they are not the same.
    """
    different = sorted(set(wanted) ^ set(there))
    if different:
        raise ModelError(
            f"the models know different tags, such as {different[0]!r}: train them with the same "
            "tag_list"
        )
    place = {name: index for index, name in enumerate(there)}
    return np.array([place[name] for name in wanted], np.intp)


def some(names: Collection[str], most: int = 5) -> str:
    """The first names, and how many more there are, for a message."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
