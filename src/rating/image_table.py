"""The images of a rating session: their numbers, and which of them may be shown."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from src.errors import DataError
from src.rating.models.comparison_graph import Ints


class ImageTable:
    """Images found in a folder, and those that only the choice log still knows.

    Args:
        directory: the folder.
        found: relative paths of the images that are there.
        logged: relative paths in the log; those that were not found keep their scores.

    Attributes:
        excluded: (n,) bool, never shown again.
        unavailable: (n,) bool, gone or unreadable, not shown again in this session.
    """

    def __init__(self, directory: Path, found: Iterable[str], logged: Iterable[str]) -> None:
        self._directory = directory
        present = set(found)
        self.names = sorted(present.union(logged))
        self.index = {name: number for number, name in enumerate(self.names)}
        self._found = np.array([name in present for name in self.names], dtype=bool)
        self.excluded = np.zeros(len(self.names), dtype=bool)
        self.unavailable = np.zeros(len(self.names), dtype=bool)
        self._allowed: Ints | None = None

    def __len__(self) -> int:
        return len(self.names)

    def number(self, path: str) -> int:
        """The number of an image."""
        try:
            return self.index[path]
        except KeyError:
            raise DataError(f"{path!r} is not among the images in {self._directory}") from None

    def set_excluded(self, number: int, excluded: bool) -> None:
        self.excluded[number] = excluded
        self._allowed = None

    def set_unavailable(self, number: int) -> None:
        self.unavailable[number] = True
        self._allowed = None

    @property
    def rateable(self) -> np.ndarray:
        """(n,) bool: found when the session began and not excluded."""
        return self._found & ~self.excluded

    @property
    def allowed(self) -> Ints:
        """The numbers of the images that may be shown, sorted; the same array until they change."""
        if self._allowed is None:
            self._allowed = np.flatnonzero(self.rateable & ~self.unavailable)
        return self._allowed

    def is_file(self, number: int) -> bool:
        return (self._directory / self.names[number]).is_file()

    def check_enough(self) -> None:
        """Raises a DataError where there are not two images to compare."""
        count = len(self.allowed)
        if count >= 2:
            return
        what = f"only one image to show, {self.names[self.allowed[0]]}" if count else "no images"
        verb = "is" if count else "are"
        excluded = int((self._found & self.excluded).sum())
        gone = int((self.rateable & self.unavailable).sum())
        reasons = [
            f"{number} {text}"
            for number, text in ((excluded, "excluded"), (gone, "gone or unreadable"))
            if number
        ]
        why = f" ({', '.join(reasons)})" if reasons else ""
        raise DataError(
            f"there {verb} {what} in {self._directory}{why}: comparing takes at least two, "
            "add images to the folder"
        )
