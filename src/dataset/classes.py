"""Images in folders, one folder for each category."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from src.dataset.labelled import LabelledImages, some
from src.errors import DataError
from src.images import EXTENSIONS, scan_images
from src.text import counted

logger = logging.getLogger(__name__)

_FEW = 5  # images of a category below which it is pointed out


def read_categories(
    directory: Path, known: Sequence[str] = (), *, only_known: bool = False
) -> LabelledImages:
    """The images of a folder, labelled by the name of the folder inside it that they lie in.

    Folders inside a category's folder belong to it. Names that begin with a dot, folders without
    images, and images outside all category folders are passed over; the log names them.

    `known` are categories of a model to go on with or to measure; they come first, in this order.
    With `only_known` they stay as they are and other folders are left out, as is right for
    measuring; otherwise categories without images are dropped and new ones added.
    """
    placed = [(*file.path.partition("/")[:2], file) for file in scan_images(directory)]
    loose = [file.path for _, slash, file in placed if not slash]
    _warn(f"Outside the category folders and not used: {counted(len(loose), 'image')}", loose)
    folders = {folder for folder, slash, _ in placed if slash}
    below = {entry.name for entry in directory.iterdir() if entry.is_dir()}
    empty = sorted(name for name in below - folders if not name.startswith("."))
    _warn("Folders without images are skipped", empty)
    gone = [name for name in known if name not in folders]
    new = sorted(folders - set(known))
    if only_known:
        classes = tuple(known)
        if len(gone) == len(known):
            raise DataError(
                f"no folder in {directory} is named after one of the model's categories: "
                f"{some(known)}"
            )
        _warn("There are no images of these categories of the model", gone)
        _warn("The model does not know these categories; their images are left out", new)
    else:
        classes = (*(name for name in known if name in folders), *new)
        if len(classes) < 2:
            found = f"only {classes[0]!r} does" if classes else "none does"
            raise DataError(
                f"{directory}: at least two folders must hold images, one for each category, and "
                f"{found}. Images are files that end in {', '.join(sorted(EXTENSIONS))}."
            )
        lost = "load_model knows categories that no longer have images"
        _warn(f"{lost}; the new model will not know them", gone)
        _warn("load_model did not know these categories, which are added", new if known else [])
    index = {name: position for position, name in enumerate(classes)}
    used = [(file, index[folder]) for folder, slash, file in placed if slash and folder in index]
    labels = np.array([label for _, label in used], np.int64)
    return LabelledImages(directory, tuple(file for file, _ in used), labels, classes)


def check_counts(data: LabelledImages) -> None:
    """Point out small categories, and refuse those that cannot be learnt."""
    counts = dict(zip(data.names, data.counts.tolist(), strict=True))
    lacking = [f"{name!r} ({count})" for name, count in counts.items() if count < 2]
    if lacking:
        raise DataError(
            f"{data.directory}: a category needs at least two usable images, one to train on "
            f"and one to test on; twenty are better. Too few in: {some(lacking)}. Add images, or "
            "remove the folder (folders whose names begin with a dot are skipped)."
        )
    few = [f"{name!r} ({count})" for name, count in counts.items() if count < _FEW]
    _warn("Very few images, so the results will be poor, in", few)


def _warn(what: str, names: Sequence[str]) -> None:
    if names:
        logger.warning("%s: %s", what, some(names))
