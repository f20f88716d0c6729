"""The images of a rating session: their numbers, and which of them may be shown."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from src.errors import DataError
from src.rating.models.graph import Ints


class ImageTable:
    """Images found in a folder, and those that only the choice log still knows, (n,) together.

    `excluded` ones are never shown again; `unavailable` ones, gone or unreadable, not in this
    session. Near duplicates have one score between them, under the number of the first of the
    group: `scored_as`, (n,); `followers`, (n,) bool, are those of which another is shown. All are
    changed by `set_` alone.
    """

    def __init__(self, directory: Path, found: Iterable[str], logged: Iterable[str]) -> None:
        self._directory = directory
        present = set(found)
        self.names = sorted(present.union(logged))
        self.index = {name: number for number, name in enumerate(self.names)}
        self._found = np.array([name in present for name in self.names], dtype=bool)
        self.excluded, self.unavailable = np.zeros((2, len(self.names)), dtype=bool)
        self.set_near_duplicates([])

    def number(self, path: str) -> int:
        if path not in self.index:
            raise DataError(f"{path!r} is not among the images in {self._directory}")
        return self.index[path]

    def scores_of(self, paths: Iterable[str]) -> tuple[int, ...]:
        return tuple(int(self.scored_as[self.number(path)]) for path in paths)

    def set_excluded(self, number: int, excluded: bool) -> None:
        self.excluded[number] = excluded
        self._changed(number)

    def set_unavailable(self, number: int) -> None:
        self.unavailable[number] = True
        self._changed(number)

    def set_near_duplicates(self, groups: Iterable[Sequence[str]]) -> None:
        """Each from the one to show first; names that are not here are passed over."""
        self.scored_as, self._groups = np.arange(len(self.names)), dict[int, list[int]]()
        self.followers = np.zeros(len(self.names), dtype=bool)
        self._allowed: Ints | None = None
        for group in groups:
            numbers = [self.index[name] for name in group if name in self.index]
            if len(numbers) > 1:
                self._groups[numbers[0]] = numbers
                self.scored_as[numbers] = numbers[0]
                self._changed(numbers[0])

    def _changed(self, number: int) -> None:
        """Choose anew which image is shown of those that share this one's score."""
        first, self._allowed = int(self.scored_as[number]), None
        self.followers[self._groups.get(first, first)] = True
        self.followers[self.shown_as(first)] = False

    @property
    def rateable(self) -> np.ndarray:
        """(n,) bool: found when the session began and not excluded."""
        return self._found & ~self.excluded

    @property
    def allowed(self) -> Ints:
        """What may be shown, as numbers of scores, sorted; the same array until it changes."""
        if self._allowed is None:
            self._allowed = np.unique(self.scored_as[self.rateable & ~self.unavailable])
        return self._allowed

    def shown_as(self, number: int) -> int:
        """Of near duplicates, which are scored under this number, the first that may be shown."""
        for one in self._groups.get(number, ()):
            if self._found[one] and not self.excluded[one] and not self.unavailable[one]:
                return one
        return number

    def is_file(self, number: int) -> bool:
        return (self._directory / self.names[number]).is_file()

    def check_enough(self) -> None:
        """That there are two images to compare."""
        if len(self.allowed) >= 2:
            return
        one = [self.names[self.shown_as(number)] for number in self.allowed]
        what = f"is only one image to show, {one[0]}" if one else "are no images to show"
        hidden = int((self._found & ~self.followers).sum()) - len(one)
        but = f" ({hidden} excluded, gone or unreadable)" if hidden else ""
        raise DataError(
            f"there {what} in {self._directory}{but}: "
            "comparing takes at least two, add images to the folder"
        )
