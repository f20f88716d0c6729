"""Tags that are probably missing or probably wrong, by confident learning."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from src.errors import DataError
from src.file_changes.changes import Change, Folders
from src.file_changes.plan import Plan
from src.files import write_text
from src.tagging.tag_files import SidecarStyle, read_tags, sidecar_of, tag_changes

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FILE_NAME = "tag_errors.json"
_SLACK = 1e-6
_KIND = "tag errors"

Problem = Literal["missing", "wrong"]


@dataclass(frozen=True)
class TagError:
    """One tag of one image that the person should look at.

    Attributes:
        image: its path in the image folder.
        tag: the tag's name.
        problem: "missing" if the tag file lacks it, "wrong" if it should not be there.
        probability: of the tag, by a model that did not learn this image.
        sureness: how far that lies from the tag's usual probability in images with the same
            label, 0 … 1. A tag that the model cannot see is improbable in all its images, which
            makes none of them suspicious.
    """

    image: str
    tag: str
    problem: Problem
    probability: float
    sureness: float


def find_tag_errors(
    paths: Sequence[str], names: Sequence[str], labels: "csr_array", probabilities: np.ndarray
) -> list[TagError]:
    """Suspicious tags, the surest first.

    For each tag, its probability must reach the mean probability of the images that have it for
    the tag to be confidently present, and 1 - probability the mean of the images that lack it for
    it to be confidently absent; the likelier must be the opposite of what is given. This is
    confident learning (Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty
    in dataset labels", 2021, section 3.1) for each tag on its own, as the package cleanlab
    applies it to several labels an image; done for all tags at once.

    Args:
        paths: of the images, (n).
        names: of the tags, (k).
        labels: as given, (n, k).
        probabilities: (n, k) of models that did not learn the image's tags; rows with NaN are
            passed over.
    """
    judged = np.flatnonzero(np.isfinite(probabilities).all(axis=1))
    if not len(judged):
        return []
    given = labels[judged].toarray().astype(bool)
    p = probabilities[judged].astype(np.float64)
    count = given.sum(axis=0)
    usual_with = np.where(given, p, 0).sum(axis=0) / np.maximum(count, 1)
    usual_without = np.where(given, 0, p).sum(axis=0) / np.maximum(len(p) - count, 1)
    both = (count > 0) & (count < len(p))  # without an image of each kind nothing is usual
    missing = ~given & (p > 0.5) & (p >= usual_with - _SLACK) & both
    wrong = given & (p < 0.5) & (p <= usual_without + _SLACK) & both
    kinds: list[tuple[Problem, np.ndarray, np.ndarray]] = [
        ("missing", missing, p - usual_without),
        ("wrong", wrong, usual_with - p),
    ]
    errors = [
        TagError(paths[judged[row]], names[tag], problem, float(p[row, tag]), float(sureness))
        for problem, found, distance in kinds
        for (row, tag), sureness in zip(np.argwhere(found), distance[found], strict=True)
    ]
    return sorted(errors, key=lambda error: (-error.sureness, error.image, error.tag))


def write_errors(
    file: Path, directory: Path, style: SidecarStyle, errors: Sequence[TagError]
) -> None:
    """Write the list that `apply_errors` reads; entries may be taken out of it by hand.

    Raises:
        DataError: it cannot be written.
    """
    content = {
        "kind": _KIND,
        "directory": str(directory.resolve()),
        "style": asdict(style),
        "errors": [asdict(error) for error in errors],
    }
    write_text(file, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def read_errors(file: Path) -> tuple[Path, SidecarStyle, list[TagError]]:
    """The image folder, how its tag files are named, and the list.

    Raises:
        DataError: no such file, or something else than such a list.
    """
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8-sig"))
        if content["kind"] != _KIND:
            raise ValueError
        errors = [
            TagError(
                str(entry["image"]),
                str(entry["tag"]),
                entry["problem"],
                float(entry["probability"]),
                float(entry["sureness"]),
            )
            for entry in content["errors"]
        ]
        if any(error.problem not in ("missing", "wrong") for error in errors):
            raise ValueError
        return Path(content["directory"]), SidecarStyle(**content["style"]), errors
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{file} is no list of suspicious tags, or damaged") from None


def plan_corrections(file: Path, *, at_least: float = 0.0) -> Plan:
    """Changes that add the missing tags and take out the wrong ones that a list names.

    Args:
        file: as `write_errors` wrote it, or as the page's button saved it.
        at_least: leave out entries that are less sure than this.

    Raises:
        DataError: the list or a tag file cannot be read, or an image is gone.
    """
    directory, style, errors = read_errors(file)
    by_image: dict[str, list[TagError]] = {}
    for error in errors:
        if error.sureness >= at_least:
            by_image.setdefault(error.image, []).append(error)
    tags_of = {}
    for image, found in by_image.items():
        if ".." in Path(image).parts or not (directory / image).is_file():
            raise DataError(f"{file}: there is no image {image!r} in {directory}")
        sidecar = sidecar_of(image, style)
        tags = read_tags(directory / sidecar, style) if (directory / sidecar).exists() else []
        wrong = {error.tag for error in found if error.problem == "wrong"}
        missing = [e.tag for e in found if e.problem == "missing" and e.tag not in tags]
        tags_of[sidecar] = [tag for tag in tags if tag not in wrong] + missing
    changes: list[Change] = tag_changes(directory, tags_of, style)
    plan = Plan(Folders(directory, directory), changes)
    if errors and not by_image:
        surest = max(error.sureness for error in errors)
        plan.lines.append(
            f"None of the {len(errors)} listed tags is as sure as {at_least:g}; "
            f"the surest is {surest:.3f}."
        )
    plan.lines.append(f"{len(changes):,} tag files to change")
    return plan
