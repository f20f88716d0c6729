"""Labels that are probably wrong, whatever the kind of model, as one list that people decide on."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from src.errors import DataError
from src.files import read_csv, write_csv

FILE_NAME, PAGE = "suspected_labels.csv", "suspects.html"
ADD, REMOVE = "add", "remove"
Kind = Literal["class", "keep_delete", "tag"]
_KINDS: dict[str, Kind] = {"class": "class", "keep_delete": "keep_delete", "tag": "tag"}


class SuspectedLabel(NamedTuple):
    """One label of one image that a person should look at."""

    path: str  # of the image, relative to the image folder
    kind: Kind  # "class": the name of the folder; "keep_delete"; "tag": one of several
    label: str  # as given; for tags the tag
    suggested: str  # a better label; for tags "add" or "remove"
    probability: float  # that the label, or the tag, fits, by a model that did not learn it
    surprise: float  # how far that is from what was to be expected, 0 … 1
    decision: str = ""  # "wrong", "right", or "" where nobody has decided


def write_suspected(file: Path, suspects: Iterable[SuspectedLabel]) -> None:
    rows = [
        suspect._replace(
            probability=round(suspect.probability, 6), surprise=round(suspect.surprise, 6)
        )
        for suspect in suspects
    ]
    write_csv(file, [SuspectedLabel._fields, *rows])


def read_suspected(file: Path) -> list[SuspectedLabel]:
    """A list as it was written, or as the page saved it with decisions."""
    if file.suffix == ".json":
        raise DataError(
            f"{file} is a list of an earlier version: evaluate the model again, which writes "
            f"{FILE_NAME} and {PAGE}"
        )
    try:
        return [_suspect(row) for _, row in read_csv(file, "label", "decision")]
    except (KeyError, ValueError):
        raise DataError(
            f"{file} is not a list of suspected labels, or damaged: save it from {PAGE}"
        ) from None


def _suspect(row: dict[str, str]) -> SuspectedLabel:
    path = row["path"] if "path" in row else row["relative_path"]  # the page of version bc9c4d7
    kind = _KINDS[row.get("kind", "keep_delete")]
    if kind == "tag" and row["suggested"] not in (ADD, REMOVE):
        raise ValueError
    return SuspectedLabel(
        path,
        kind,
        row["label"].strip(),
        row.get("suggested", "").strip(),
        float(row.get("probability", "nan")),
        float(row.get("surprise", "nan")),
        row["decision"].strip(),
    )
