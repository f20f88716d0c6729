"""Images whose classes or tags are known."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from src.errors import ModelError
from src.images import ImageFile


@dataclass(frozen=True)
class FolderImages:
    """Images of a folder, sorted by path; what a subclass knows of them is in this order."""

    directory: Path
    files: tuple[ImageFile, ...]

    def __len__(self) -> int:
        return len(self.files)

    @property
    def paths(self) -> list[str]:
        return [file.path for file in self.files]

    def only(self, paths: Collection[str]) -> Self:
        """The same without the images that are not named."""
        wanted = set(paths)
        return self._at([index for index, path in enumerate(self.paths) if path in wanted])

    def _at(self, places: list[int]) -> Self:
        return replace(self, files=tuple(self.files[index] for index in places))


@dataclass(frozen=True)
class LabelledImages(FolderImages):
    """The labelled images of a folder."""

    # Classes, (n,) int64, or a sparse matrix (n, k) of uint8 that is 1 where an image has a tag.
    labels: Any
    names: tuple[str, ...]  # of the classes or tags, in the order of a model's outputs
    notes: tuple[str, ...] = ()  # sentences for the user on what was found

    @property
    def counts(self) -> np.ndarray:
        """Images with each class or tag, (k,) int64."""
        return label_counts(self.labels, len(self.names))

    def _at(self, places: list[int]) -> Self:
        return replace(super()._at(places), labels=self.labels[places])


def label_counts(labels: Any, count: int) -> np.ndarray:
    """How many of these labels are of each class, or hold each tag, (count,) int64."""
    if labels.ndim == 1:
        return np.bincount(labels, minlength=count)
    return np.asarray(labels.sum(axis=0, dtype=np.int64)).ravel()


def order_of(wanted: Sequence[str], there: Sequence[str]) -> np.ndarray:
    """Where each wanted class or tag stands among a model's outputs, (k,) int."""
    different = sorted(set(wanted) ^ set(there))
    if different:
        raise ModelError(
            f"the model and its list, or several models, know different tags, such as "
            f"{different[0]!r}: export again, or train all with the same tag_list"
        )
    place = {name: index for index, name in enumerate(there)}
    return np.array([place[name] for name in wanted], np.intp)


def some(names: Collection[str], most: int = 5) -> str:
    """The first names, and how many more there are, for a message."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(list(names)[:most]) + more
