"""Images that a person kept or deleted: labels 1 and 0, from folders or a table."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from src.dataset.scores import DataHolder
from src.errors import DataError
from src.images import scan_images

logger = logging.getLogger(__name__)

_NAMED = 5


def labelled_images(
    directory: Path,
    keep: Sequence[str],
    delete: Sequence[str],
    use_score_file: bool | str = True,
) -> DataHolder:
    """The images of the folders of either kind with scores 1 and 0; or those of a score file.

    Args:
        directory: the image folder.
        keep: names of folders right below it whose images were kept; any letter case.
        delete: the same of those deleted.
        use_score_file: the name of a table (`relative_path,score` with scores 1 and 0) goes
            before the folders; True takes scores.csv or score.json where there are none of them.

    Raises:
        DataError: no images of one of the kinds, or a score file with other values.
    """
    labels = {name.casefold(): 1.0 for name in keep} | {name.casefold(): 0.0 for name in delete}
    files = scan_images(directory)
    label = [labels.get(file.path.partition("/")[0].casefold()) for file in files]
    if isinstance(use_score_file, str) or all(value is None for value in label):
        holder = _from_table(directory, use_score_file, keep, delete)
    else:
        chosen = [index for index, value in enumerate(label) if value is not None]
        holder = DataHolder(
            directory=directory,
            files=tuple(files[index] for index in chosen),
            scores=np.array([label[index] for index in chosen], dtype=np.float64),
            weights=np.ones(len(chosen)),
            parts=("",) * len(chosen),
            source="the folder names",
            missing=(),
            unscored=tuple(
                file.path for file, value in zip(files, label, strict=True) if value is None
            ),
        )
    counts = {value: int((holder.scores == value).sum()) for value in (1.0, 0.0)}
    if min(counts.values()) < 2:
        raise DataError(
            f"{counts[1.0]} images of {directory} were kept and {counts[0.0]} deleted: at least "
            f"two of each are needed, in folders named {_names(keep)} and {_names(delete)}"
        )
    return holder


def read_ratings(
    directory: Path,
    use_score_file: bool | str,
    *,
    binary: bool,
    keep: Sequence[str] = (),
    delete: Sequence[str] = (),
) -> DataHolder:
    """The rated images of a folder, with their scores or, if `binary`, as kept and deleted.

    Raises:
        DataError: as `labelled_images` and `DataHolder.from_folder`.
    """
    if binary:
        holder = labelled_images(directory, keep, delete, use_score_file)
    else:
        holder = DataHolder.from_folder(directory, use_score_file)
    holder.report()
    return holder


def _from_table(
    directory: Path, use_score_file: bool | str, keep: Sequence[str], delete: Sequence[str]
) -> DataHolder:
    wanted = f"folders named {_names(keep)} and {_names(delete)}"
    if use_score_file is False:
        raise DataError(f"{directory} has no {wanted}: make them, or set keep_folders")
    try:
        holder = DataHolder.from_folder(directory, use_score_file)
    except DataError as error:
        raise DataError(f"{directory} has no {wanted}, and: {error}") from None
    if not np.isin(holder.scores, (0.0, 1.0)).all():
        raise DataError(
            f"{holder.source} holds scores other than 1 (keep) and 0 (delete): use {wanted}, a "
            "table with ones and zeros, or another loss_model"
        )
    return holder


def _names(names: Sequence[str]) -> str:
    return " or ".join(repr(name) for name in names)


class Distinct(NamedTuple):
    """Images without copies.

    Attributes:
        kept: indexes of the images that are learnt from, rising.
        conflicts: groups of indexes of identical images with different labels; none is kept.
        copies: how many further copies of kept images were left out.
    """

    kept: np.ndarray
    conflicts: list[list[int]]
    copies: int


def distinct(sha256s: Sequence[bytes], labels: np.ndarray) -> Distinct:
    """Of identical images keep the first, or none if their labels differ.

    Args:
        sha256s: contents, (n).
        labels: (n,).
    """
    by_content: dict[bytes, list[int]] = {}
    for index, sha256 in enumerate(sha256s):
        by_content.setdefault(sha256, []).append(index)
    groups = by_content.values()
    conflicts = [group for group in groups if len(set(labels[group].tolist())) > 1]
    torn = {index for group in conflicts for index in group}
    kept = np.array([group[0] for group in groups if group[0] not in torn], dtype=np.intp)
    return Distinct(kept, conflicts, len(sha256s) - len(kept) - len(torn))


def report_conflicts(paths: Sequence[str], found: Distinct) -> None:
    """Tell the user about copies and about images under both labels."""
    if found.copies:
        logger.info("%d exact copies of other images are left out.", found.copies)
    if found.conflicts:
        logger.warning(
            "%d images are there both as kept and as deleted, and are left out:",
            len(found.conflicts),
        )
        for group in found.conflicts[:_NAMED]:
            logger.warning("  %s", " = ".join(paths[index] for index in group))
        logger.warning("python run.py find_duplicates shows them all.")
