"""Images with the scores a person gave them, and the split into training and test images."""

import logging
import math
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Self

import numpy as np

from src.dataset.labelled import FolderImages, some
from src.dataset.split import TEST, TRAIN, split_parts
from src.errors import DataError
from src.files import read_csv
from src.images import ImageFile, scan_images
from src.rating.storage.score_file import read_score_file
from src.text import counted, first_of

logger = logging.getLogger(__name__)

SCORE_FILES = ("score.json", "scores.csv")
_NAMED = 5  # how many problems a message names
_PARTS = {"train": TRAIN, "test": TEST, "eval": TEST, "": -1}  # "eval" in files of the old tool


class Rating(NamedTuple):
    score: float
    weight: float = 1.0
    part: str = ""  # a key of _PARTS: where the person wants it


@dataclass(frozen=True)
class DataHolder(FolderImages):
    """The images of a folder that have a score."""

    scores: np.ndarray  # as given, (n,) float64
    weights: np.ndarray  # how much each counts in training, (n,) float64
    parts: tuple[str, ...]  # "train" or "test" where the score file says so, otherwise ""
    source: str  # where the scores come from, for messages
    missing: tuple[str, ...]  # entries of the score file that have no image
    unscored: tuple[str, ...]  # images without a score

    @classmethod
    def from_folder(cls, directory: Path, use_score_file: bool | str = True) -> Self:
        """Read the scores of a folder of images.

        `use_score_file`: True takes score.json, else scores.csv, else the names of the folders;
        False always the names of the folders, which must be whole numbers; a text names a score
        file inside the folder.
        """
        files = scan_images(directory)
        if not files:
            raise DataError(f"there are no images in {directory}")
        file = _score_file(directory, use_score_file)
        if file is None:
            ratings = _folder_scores(directory, files)
        elif file.suffix.lower() == ".csv":
            ratings = _read_csv(file, {image.path for image in files})
        else:
            known = read_score_file(file).rated()
            ratings = {path: Rating(score) for path, score in known.items()}
        holder = cls.of(directory, files, ratings, file.name if file else "the folder names")
        if not len(holder):
            raise DataError(
                f"none of the images in {directory} ({len(files):,}) has a score in "
                f"{holder.source}: rate some with aesthetic_ab_scorer, and check that the paths "
                "are relative to the folder"
            )
        return holder

    @classmethod
    def of(
        cls, directory: Path, files: Sequence[ImageFile], ratings: Mapping[str, Rating], source: str
    ) -> Self:
        """The images of a folder with what is known of some of them, by path."""
        scored = [file for file in files if file.path in ratings]
        found = [ratings[file.path] for file in scored]
        return cls(
            directory=directory,
            files=tuple(scored),
            scores=np.array([rating.score for rating in found]),
            weights=np.array([rating.weight for rating in found]),
            parts=tuple(rating.part for rating in found),
            source=source,
            missing=tuple(sorted(ratings.keys() - {file.path for file in files})),
            unscored=tuple(file.path for file in files if file.path not in ratings),
        )

    def _at(self, places: list[int]) -> Self:
        return replace(
            super()._at(places),
            scores=self.scores[places],
            weights=self.weights[places],
            parts=tuple(self.parts[index] for index in places),
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
        """Which images are kept back for testing, (n,) bool; for the arguments see `split`.

        What the score file says goes before the draw, and what a model has seen before both.
        """
        given = np.array([_PARTS[part] for part in self.parts])
        parts = split_parts(
            sha256s,
            groups,
            fraction_for_test=fraction,
            fraction_for_validation=0,
            seed=seed,
            strata=strata,
            given=given,
            seen=seen,
        )
        test = np.asarray(parts == TEST)
        text = f"Put into %s by {self.source}, but used for %s, because %s: %s."
        if torn := int((test & (given == TRAIN)).sum()):
            why = "they are copies of test images"
            logger.warning(text, "training", "testing", why, counted(torn, "image"))
        known = np.isin(groups, groups[given == TEST]) & ~test  # only `seen` overrides the file
        if known.any():
            why = "a model that this one builds on has seen them"
            logger.warning(text, "the test", "training", why, counted(int(known.sum()), "image"))
        return test

    def report(self) -> None:
        """Log what was found, and what does not fit together."""
        logger.info(
            "%s with a score in %s (from %s).",
            counted(len(self), "image"),
            self.directory,
            self.source,
        )
        if self.unscored:
            logger.info(
                "Without a score, and so not used: %s.", counted(len(self.unscored), "image")
            )
        if self.missing:
            entries = counted(len(self.missing), "entry")
            text = "%s in %s without an image: %s"
            logger.warning(text, entries, self.source, some(self.missing))


def _score_file(directory: Path, use_score_file: bool | str) -> Path | None:
    if use_score_file is False:
        return None
    if isinstance(use_score_file, str) and use_score_file:
        file = directory / use_score_file
        if not file.is_file():
            raise DataError(f"there is no score file {file}: correct use_score_file")
        return file
    return next((directory / name for name in SCORE_FILES if (directory / name).is_file()), None)


def _read_csv(file: Path, images: Set[str]) -> dict[str, Rating]:
    """`relative_path,score[,split][,weight]`, further columns are passed over."""
    entries, problems = {}, []
    for line, row in read_csv(file, "relative_path", "score"):
        path = row["relative_path"]
        if path not in images:  # written on Windows, where no name holds a backslash
            path = PurePosixPath(path.replace("\\", "/")).as_posix()
        try:
            entries[path] = _entry(row)
        except ValueError as error:
            problems.append(f"{file.name}, line {line}: {error}")
    if problems:
        raise DataError("\n".join(first_of(problems, _NAMED)))
    return entries


def _entry(row: Mapping[str, str]) -> Rating:
    score = _number("score", row["score"])
    weight = _number("weight", row.get("weight") or "1")
    if weight <= 0:
        raise ValueError("the weight must be above 0")
    part = row.get("split", "").strip().lower()
    if part not in _PARTS:
        raise ValueError(f"split is {part!r}, not train, test or empty")
    return Rating(score, weight, part)


def _number(column: str, text: str) -> float:
    with suppress(ValueError):
        if math.isfinite(value := float(text)):
            return value
    raise ValueError(f"{column} is {text.strip()!r}, not a number")


def _folder_scores(directory: Path, files: Sequence[ImageFile]) -> dict[str, Rating]:
    entries, wrong = {}, set()
    for file in files:
        folder, slash, _ = file.path.partition("/")
        if not slash:
            continue
        try:
            entries[file.path] = Rating(float(int(folder)))
        except ValueError:
            wrong.add(folder)
    if wrong:
        raise DataError(
            f"{directory} has neither score.json nor scores.csv, and these folders are not named "
            f"by a whole number: {some(sorted(wrong))}. Rate the images with aesthetic_ab_scorer, "
            "or sort them into folders 1, 2, 3 ..."
        )
    return entries
