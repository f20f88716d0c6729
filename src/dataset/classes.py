"""Images in folders, one folder for each category."""

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from src.dataset.labelled import LabelledImages, some
from src.errors import DataError
from src.images import EXTENSIONS, ImageFile, scan_images

logger = logging.getLogger(__name__)

_FEW = 5  # images of a category below which it is pointed out


def read_categories(
    directory: Path, known: Sequence[str] = (), *, only_known: bool = False
) -> LabelledImages:
    """The images of a folder, labelled by the name of the folder inside it that they lie in.

    Folders inside a category's folder belong to it. Names that begin with a dot, folders without
    images, and images outside all category folders are passed over; the log names them.

    Args:
        directory: the image folder.
        known: categories of a model to go on with or to measure; they come first, in this order.
        only_known: keep the model's categories as they are and leave other folders out, as is
            right for measuring; otherwise categories without images are dropped, new ones added.

    Raises:
        DataError: no folder, no images, or fewer than two categories.
    """
    files = scan_images(directory)
    folders = Counter(file.path.partition("/")[0] for file in files if "/" in file.path)
    _report_loose(directory, files, folders)
    if only_known:
        classes = tuple(known)
        _require(directory, set(folders) & set(known), known)
    else:
        kept = [name for name in known if name in folders]
        classes = (*kept, *sorted(set(folders) - set(known)))
        _require_two(directory, classes)
    _report_changes(set(folders), known, only_known)
    index = {name: position for position, name in enumerate(classes)}
    used = [file for file in files if "/" in file.path and file.path.partition("/")[0] in index]
    return LabelledImages(
        directory=directory,
        files=tuple(used),
        labels=np.array([index[file.path.partition("/")[0]] for file in used], np.int64),
        names=classes,
    )


def check_counts(data: LabelledImages) -> None:
    """Point out small categories, and refuse those that cannot be learnt.

    Raises:
        DataError: a category has a single image, or none.
    """
    counts = dict(zip(data.names, data.counts.tolist(), strict=True))
    lacking = [f"{name!r} ({count})" for name, count in counts.items() if count < 2]
    if lacking:
        raise DataError(
            f"{data.directory}: a category needs two usable images, one to train on and one to "
            f"test on, and better twenty. Too few in: {some(lacking)}. Add images, or take the "
            "folder away (a name that begins with a dot is passed over)."
        )
    few = [f"{name!r} ({count})" for name, count in counts.items() if count < _FEW]
    if few:
        logger.warning("Very few images, so the results will be poor, in: %s", some(few))


def _require_two(directory: Path, classes: Sequence[str]) -> None:
    if len(classes) >= 2:
        return
    found = f"only {classes[0]!r} does" if classes else "none does"
    raise DataError(
        f"{directory}: at least two folders must hold images, one for each category, and {found}. "
        f"Images are files that end in {', '.join(sorted(EXTENSIONS))}."
    )


def _require(directory: Path, found: set[str], known: Sequence[str]) -> None:
    if not found:
        raise DataError(
            f"no folder in {directory} is named after one of the model's categories: {some(known)}"
        )


def _report_loose(directory: Path, files: Sequence[ImageFile], folders: Collection[str]) -> None:
    loose = [file.path for file in files if "/" not in file.path]
    if loose:
        logger.warning(
            "%d images lie outside the category folders and are not used: %s",
            len(loose),
            some(loose),
        )
    try:
        empty = sorted(
            entry.name
            for entry in directory.iterdir()
            if entry.is_dir() and not entry.name.startswith(".") and entry.name not in folders
        )
    except OSError:
        return
    if empty:
        logger.warning("Folders without images are passed over: %s", some(empty))


def _report_changes(folders: set[str], known: Sequence[str], only_known: bool) -> None:
    gone = [name for name in known if name not in folders]
    new = sorted(folders - set(known))
    if gone and only_known:
        logger.warning("There are no images of these categories of the model: %s", some(gone))
    elif gone:
        logger.warning(
            "load_model knows categories that have no images any more; the new model will not "
            "know them: %s",
            some(gone),
        )
    if known and new and only_known:
        logger.warning(
            "The model does not know these categories; their images are left out: %s", some(new)
        )
    elif known and new:
        logger.info("Categories that load_model did not know: %s", some(new))
