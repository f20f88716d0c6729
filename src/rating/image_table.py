"""The images of a rating session: their numbers, and which of them may be shown."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from src.errors import DataError
from src.rating.models.graph import Ints


class ImageTable:
    """Images found in a folder, and those that only the choice log still knows, (n,) together.

    `excluded` ones are never shown again; `unavailable` ones, gone or unreadable, not in this
    session. Both are changed by `set_` alone.
    """

    def __init__(self, directory: Path, found: Iterable[str], logged: Iterable[str]) -> None:
        self._directory = directory
        present = set(found)
        self.names = sorted(present.union(logged))
        self.index = {name: number for number, name in enumerate(self.names)}
        self._found = np.array([name in present for name in self.names], dtype=bool)
        self.excluded, self.unavailable = np.zeros((2, len(self.names)), dtype=bool)
        self._allowed: Ints | None = None

    def number(self, path: str) -> int:
        if path not in self.index:
            raise DataError(f"{path!r} is not among the images in {self._directory}")
        return self.index[path]

    def numbers(self, paths: Iterable[str]) -> tuple[int, ...]:
        return tuple(map(self.number, paths))

    def set_excluded(self, number: int, excluded: bool) -> None:
        self.excluded[number], self._allowed = excluded, None

    def set_unavailable(self, number: int) -> None:
        self.unavailable[number], self._allowed = True, None

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
        """That there are two images to compare."""
        if len(self.allowed) >= 2:
            return
        one = [self.names[number] for number in self.allowed]
        what = f"is only one image to show, {one[0]}" if one else "are no images to show"
        hidden = int(self._found.sum()) - len(one)
        but = f" ({hidden} excluded, gone or unreadable)" if hidden else ""
        raise DataError(
            f"there {what} in {self._directory}{but}: "
            "comparing takes at least two, add images to the folder"
        )
