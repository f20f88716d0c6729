"""Images with the scores a person gave them, and the split into training and test images."""

import csv
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Self

import numpy as np

from src.dataset.split import split
from src.errors import DataError
from src.images import ImageFile, scan_images
from src.rating.storage.score_file import read_score_file

logger = logging.getLogger(__name__)

SCORE_FILES = ("score.json", "scores.csv")
_NAMED = 5  # how many paths a message names


@dataclass(frozen=True)
class _Entry:
    score: float
    weight: float = 1.0
    part: str = ""  # "train", "test" or "": where the person wants it


@dataclass(frozen=True)
class DataHolder:
    """The images of a folder that have a score.

    Attributes:
        directory: the image folder.
        files: the images, sorted by path; everything below is in this order.
        scores: as given, (n,) float64.
        weights: how much each counts in training, (n,) float64.
        parts: "train" or "test" where the score file says so, otherwise "".
        source: where the scores come from, for messages.
        missing: entries of the score file that have no image.
        unscored: images without a score.
    """

    directory: Path
    files: tuple[ImageFile, ...]
    scores: np.ndarray
    weights: np.ndarray
    parts: tuple[str, ...]
    source: str
    missing: tuple[str, ...]
    unscored: tuple[str, ...]

    @classmethod
    def from_folder(cls, directory: Path, use_score_file: bool | str = True) -> Self:
        """Read the scores of a folder of images.

        Args:
            directory: the image folder.
            use_score_file: True takes score.json, else scores.csv, else the names of the
                folders; False always the names of the folders, which must be whole numbers; a
                text names a score file inside the folder.

        Raises:
            DataError: no folder, no scores, a damaged score file, or one with wrong values.
        """
        files = scan_images(directory)
        if not files:
            raise DataError(f"there are no images in {directory}")
        source = _score_file(directory, use_score_file)
        entries = _folder_scores(directory, files) if source is None else _read(source)
        scored = [file for file in files if file.path in entries]
        present = {file.path for file in files}
        name = source.name if source else "the folder names"
        if not scored:
            raise DataError(
                f"none of the {len(files)} images in {directory} has a score in {name}: rate some "
                "with aesthetic_ab_scorer, and check that the paths are relative to the folder"
            )
        return cls(
            directory=directory,
            files=tuple(scored),
            scores=np.array([entries[file.path].score for file in scored]),
            weights=np.array([entries[file.path].weight for file in scored]),
            parts=tuple(entries[file.path].part for file in scored),
            source=name,
            missing=tuple(sorted(entries.keys() - present)),
            unscored=tuple(file.path for file in files if file.path not in entries),
        )

    def __len__(self) -> int:
        return len(self.files)

    @property
    def paths(self) -> list[str]:
        """Relative paths with forward slashes."""
        return [file.path for file in self.files]

    def only(self, paths: Sequence[str]) -> Self:
        """The same without the images that are not named."""
        wanted = set(paths)
        keep = [index for index, file in enumerate(self.files) if file.path in wanted]
        return replace(
            self,
            files=tuple(self.files[index] for index in keep),
            scores=self.scores[keep],
            weights=self.weights[keep],
            parts=tuple(self.parts[index] for index in keep),
        )

    def test_mask(
        self,
        sha256s: Sequence[bytes],
        groups: np.ndarray,
        *,
        fraction: float,
        seed: int,
        strata: np.ndarray | None = None,
        seen: np.ndarray | None = None,
    ) -> np.ndarray:
        """Which images are kept back for testing, (n,) bool.

        What the score file says goes before the draw, and what a model has seen before both;
        groups of duplicates stay together.

        Args:
            sha256s: content of each image.
            groups: group of duplicates that each image belongs to, (n,) int.
            fraction: share for testing.
            seed: another seed, another choice.
            strata: class of each image; each gives its share to the test images.
            seen: images that a model to go on from has seen, (n,) bool, whole groups.
        """
        mask = split(sha256s, groups, fraction=fraction, seed=seed, strata=strata, seen=seen)
        given = np.array(self.parts)
        if not (given != "").any():
            return mask
        for part, value in (("train", False), ("test", True)):  # in doubt a group is tested on
            mask[np.isin(groups, groups[given == part])] = value
        torn = int((mask & (given == "train")).sum())
        if torn:
            logger.warning(
                "%d images that %s puts into training are copies of test images: they are tested "
                "on instead.",
                torn,
                self.source,
            )
        if seen is not None and (mask & seen).any():
            logger.warning(
                "%d images that %s puts into the test were seen in training by a model that this "
                "one builds on: they are trained on.",
                int((mask & seen).sum()),
                self.source,
            )
            mask &= ~seen
        return mask

    def report(self) -> None:
        """Log what was found, and what does not fit together."""
        logger.info(
            "%d images in %s have a score (from %s).", len(self), self.directory, self.source
        )
        if self.unscored:
            logger.info("%d images have none and are not used.", len(self.unscored))
        if self.missing:
            named = ", ".join(self.missing[:_NAMED])
            more = f" and {len(self.missing) - _NAMED} more" if len(self.missing) > _NAMED else ""
            logger.warning(
                "%d entries of %s have no image: %s%s",
                len(self.missing),
                self.source,
                named,
                more,
            )


def _score_file(directory: Path, use_score_file: bool | str) -> Path | None:
    if use_score_file is False:
        return None
    if isinstance(use_score_file, str) and use_score_file:
        file = directory / use_score_file
        if not file.is_file():
            raise DataError(f"there is no score file {file}: correct use_score_file")
        return file
    for name in SCORE_FILES:
        if (directory / name).is_file():
            return directory / name
    return None


def _read(file: Path) -> Mapping[str, _Entry]:
    if file.suffix.lower() == ".csv":
        return _read_csv(file)
    return {path: _Entry(score) for path, score in read_score_file(file).rated().items()}


def _read_csv(file: Path) -> dict[str, _Entry]:
    """`relative_path,score[,split][,weight]`, further columns are passed over."""
    entries: dict[str, _Entry] = {}
    problems: list[str] = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            lacking = {"relative_path", "score"} - set(rows.fieldnames or ())
            if lacking:
                raise DataError(f"{file.name}: the first line lacks {', '.join(sorted(lacking))}")
            for row in rows:
                path = PurePosixPath((row["relative_path"] or "").replace("\\", "/")).as_posix()
                try:
                    entries[path] = _entry(row)
                except ValueError as error:
                    problems.append(f"{file.name}, line {rows.line_num}: {error}")
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} is no CSV file in UTF-8: {error}") from None
    if problems:
        more = f"\n... and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
        raise DataError("\n".join(problems[:_NAMED]) + more)
    return entries


def _entry(row: Mapping[str, str | None]) -> _Entry:
    score = _number(row, "score", "")
    weight = _number(row, "weight", "1")
    if weight <= 0:
        raise ValueError("the weight must be above 0")
    part = (row.get("split") or "").strip().lower()
    if part not in {"", "train", "test"}:
        raise ValueError(f"split is {part!r}, not train, test or empty")
    return _Entry(score, weight, part)


def _number(row: Mapping[str, str | None], column: str, default: str) -> float:
    text = (row.get(column) or default).strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{column} is {text!r}, not a number")
    return value


def _folder_scores(directory: Path, files: Sequence[ImageFile]) -> dict[str, _Entry]:
    """Images in folders named by whole numbers; images outside folders have no score."""
    entries: dict[str, _Entry] = {}
    wrong: set[str] = set()
    for file in files:
        folder, slash, _ = file.path.partition("/")
        if not slash:
            continue
        try:
            entries[file.path] = _Entry(float(int(folder)))
        except ValueError:
            wrong.add(folder)
    if wrong:
        some = ", ".join(sorted(wrong)[:_NAMED])
        raise DataError(
            f"{directory} has neither score.json nor scores.csv, and these folders are not named "
            f"by a whole number: {some}. Rate the images with aesthetic_ab_scorer, or sort them "
            "into folders 1, 2, 3 ..."
        )
    return entries
