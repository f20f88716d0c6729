"""What can be done with scores, as changes that can be looked at first and undone later."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from src.errors import DataError, SettingsError
from src.features import open_store
from src.file_changes.changes import Folders, Touch
from src.file_changes.plan import Plan, place
from src.file_changes.xmp import Naming, rate
from src.images import scan_images
from src.scoring.scored import Scored
from src.text import counted

Action = Literal["touch", "xmp", "copy", "move", "link"]
CutBy = Literal["quantile", "score", "percentile", "probability"]

STEP_NS = 2_000_000_000  # no file system in use, FAT included, keeps times more coarsely


def plan_action(
    action: Action,
    scored: Scored,
    *,
    cuts: Sequence[float],
    cut_by: CutBy,
    folders: Sequence[str],
    into: Path,
    naming: Naming,
) -> Plan:
    """Work out the changes of an action on images in the wanted order; nothing is changed yet.

    `folders` that are made in `into`: one for each of the `steps`; "" for images that stay.
    """
    directory = scored.directory
    if action == "touch":
        changes = touch_in_order(directory, scored.paths, newest_ns=time.time_ns())
        line = f"{counted(len(changes), 'modification time')}: newest {scored.paths[0]}"
        return Plan(Folders(directory, directory), [*changes], [line])
    step = steps(scored, cuts, cut_by)
    if action == "xmp":
        wanted = dict(zip(scored.paths, (step + 1).tolist(), strict=True))
        return rate(directory, wanted, naming)
    if into.resolve().is_relative_to(directory.resolve()):
        raise SettingsError(
            f"into is {str(into)!r}, inside the image folder, where its images would be "
            "counted again: choose a folder outside"
        )
    named = zip(scored.paths, (folders[index] for index in step), strict=True)
    return place(directory, {p: f"{name}/{p}" for p, name in named if name}, into, action)


def steps(scored: Scored, cuts: Sequence[float], by: CutBy) -> np.ndarray:
    """The step of each image, 0 for the lowest to len(cuts) for the highest, (n,) int.

    An image at a cut or above belongs to the step above it. Cuts rise, and are by "score", by
    "probability" to be kept, by "percentile" of the training images (0 to 100), or by "quantile":
    the share of these images that score lower (0 to 1).
    """
    values = quantiles(scored.scores) if by == "quantile" else scored.numbers.get(by)
    if values is None:
        reason = (
            "only models trained with loss_model 'bce' give probabilities"
            if by == "probability"
            else "it does not know the scores of its training images"
        )
        raise DataError(f"the model gives no {by} ({reason}): set cut_by to 'quantile'")
    return np.searchsorted(np.asarray(cuts, dtype=np.float64), values, side="right")


def quantiles(scores: np.ndarray) -> np.ndarray:
    """The share of the images that score lower, (n,); images of the same score share it."""
    return np.searchsorted(np.sort(scores), scores, side="left") / max(len(scores), 1)


def touch_in_order(directory: Path, paths: Sequence[str], *, newest_ns: int) -> list[Touch]:
    """Modification times by which any viewer shows these images in this order, the newest first."""
    before = [(directory / path).stat().st_mtime_ns for path in paths]
    newest = newest_ns // STEP_NS * STEP_NS
    return [
        Touch(path=path, before_ns=old, after_ns=newest - position * STEP_NS)
        for position, (path, old) in enumerate(zip(paths, before, strict=True))
    ]


def remember_times(scored: Scored, store_folder: Path | str) -> None:
    """Tell the feature store the new times, so that no image is read again because of them."""
    content = dict(zip(scored.paths, scored.sha256s, strict=True))
    files = [file for file in scan_images(scored.directory) if file.path in content]
    with open_store(scored.directory, store_folder) as store:
        store.put(files=[(file, content[file.path]) for file in files])
