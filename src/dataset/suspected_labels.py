"""Labels that are probably wrong, whatever the kind of model, as one list that people decide on."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from src.errors import DataError
from src.files import write_csv

FILE_NAME, PAGE = "suspected_labels.csv", "suspects.html"
ADD, REMOVE = "add", "remove"
Kind = Literal["class", "keep_delete", "tag"]
_KINDS: dict[str, Kind] = {"class": "class", "keep_delete": "keep_delete", "tag": "tag"}


class SuspectedLabel(NamedTuple):
    """One label of one image that a person should look at.

    Attributes:
        path: the image, relative to the image folder.
        kind: "class": the name of the folder; "keep_delete"; "tag": one of several.
        label: as given; for tags the tag.
        suggested: a better label; for tags "add" or "remove".
        probability: that the label, or the tag, fits, by a model that did not learn it.
        surprise: how far that is from what was to be expected, 0 … 1.
        decision: "wrong", "right", or "" where nobody has decided.
    """

    path: str
    kind: Kind
    label: str
    suggested: str
    probability: float
    surprise: float
    decision: str = ""


def write_suspected(file: Path, suspects: Iterable[SuspectedLabel]) -> None:
    """Write the list, the greatest surprise first.

    Raises:
        DataError: it cannot be written.
    """
    rows = [
        suspect._replace(
            probability=round(suspect.probability, 6), surprise=round(suspect.surprise, 6)
        )
        for suspect in suspects
    ]
    write_csv(file, [SuspectedLabel._fields, *rows])


def read_suspected(file: Path) -> list[SuspectedLabel]:
    """Read a list, as it was written or as the page saved it with decisions.

    Raises:
        DataError: no such file, or no such list.
    """
    if file.suffix == ".json":
        raise DataError(
            f"{file} is a list of an earlier version: evaluate the model again, which writes "
            f"{FILE_NAME} and {PAGE}"
        )
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            return [_suspect(row) for row in csv.DictReader(stream)]
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from None
    except (KeyError, AttributeError, TypeError, ValueError, csv.Error):
        raise DataError(
            f"{file} is no list of suspected labels, or damaged: save it from {PAGE}"
        ) from None


def _suspect(row: dict[str, str]) -> SuspectedLabel:
    path = row["path"] if "path" in row else row["relative_path"]  # the page of version bc9c4d7
    kind = _KINDS[row.get("kind", "keep_delete")]
    if kind == "tag" and row["suggested"] not in (ADD, REMOVE):
        raise ValueError
    return SuspectedLabel(
        path.replace("\\", "/"),
        kind,
        row["label"].strip(),
        row.get("suggested", "").strip(),
        float(row.get("probability", "nan")),
        float(row.get("surprise", "nan")),
        row["decision"].strip(),
    )
