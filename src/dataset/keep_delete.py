"""Images that a person kept or deleted: labels 1 and 0, from folders or a table."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from src.dataset.scores import DataHolder, Rating
from src.errors import DataError
from src.images import scan_images
from src.text import counted


def labelled_images(
    directory: Path, keep: Sequence[str], delete: Sequence[str], use_score_file: bool | str = True
) -> DataHolder:
    """The images of the folders of either kind with scores 1 and 0; or those of a score file.

    `keep` and `delete` are names of folders right below the directory, in any letter case. A table
    (`relative_path,score` with scores 1 and 0) that `use_score_file` names goes before them; True
    takes scores.csv or score.json where there are none of these folders.
    """
    labels = {name.casefold(): 1.0 for name in keep} | {name.casefold(): 0.0 for name in delete}
    files = scan_images(directory)
    ratings = {
        file.path: Rating(labels[folder])
        for file in files
        if (folder := file.path.partition("/")[0].casefold()) in labels
    }
    either = (" or ".join(map(repr, names)) for names in (keep, delete))
    wanted = f"folders named {' and '.join(either)}"
    if isinstance(use_score_file, str) or not ratings:
        holder = _from_table(directory, use_score_file, wanted)
    else:
        holder = DataHolder.of(directory, files, ratings, "the folder names")
    kept, deleted = (int((holder.scores == value).sum()) for value in (1, 0))
    if min(kept, deleted) < 2:
        raise DataError(
            f"{directory} holds {counted(kept, 'image')} that you kept and {deleted:,} that you "
            f"deleted: at least two of each are needed, in {wanted}"
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
    """The rated images of a folder, with their scores or, if `binary`, as kept and deleted."""
    if binary:
        holder = labelled_images(directory, keep, delete, use_score_file)
    else:
        holder = DataHolder.from_folder(directory, use_score_file)
    holder.report()
    return holder


def _from_table(directory: Path, use_score_file: bool | str, wanted: str) -> DataHolder:
    if use_score_file is False:
        raise DataError(f"{directory} has no {wanted}: make them, or set keep_folders")
    try:
        holder = DataHolder.from_folder(directory, use_score_file)
    except DataError as error:
        raise DataError(f"{directory} has no {wanted}, and: {error}") from None
    if not np.isin(holder.scores, (0, 1)).all():
        raise DataError(
            f"{holder.source} holds scores other than 1 (keep) and 0 (delete): use {wanted}, a "
            "table with ones and zeros, or another loss_model"
        )
    return holder
