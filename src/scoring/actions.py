"""What can be done with scores, as changes that can be looked at first and undone later."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from src.errors import SettingsError
from src.file_changes.changes import Folders
from src.file_changes.plan import Plan, place
from src.file_changes.xmp import Naming, rate
from src.scoring.cuts import CutBy, steps
from src.scoring.scored import Scored
from src.scoring.touch import touch_in_order

Action = Literal["touch", "xmp", "copy", "move", "link"]


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
    """Work out the changes of an action; nothing is changed yet.

    Args:
        action: what to do.
        scored: the images, in the wanted order.
        cuts, cut_by: steps for stars and folders; see `cuts.steps`.
        folders: for "copy", "move" and "link": one for each step; "" for images that stay.
        into: where these are made; not inside the image folder.
        naming: of sidecars.

    Raises:
        DataError: an image is gone, or the model gives no values to cut by.
        SettingsError: `into` lies inside the image folder.
        OSError: an image is gone.
    """
    directory = scored.directory
    if action == "touch":
        changes = touch_in_order(directory, scored.paths, newest_ns=time.time_ns())
        line = f"{len(changes):,} modification times: newest {scored.paths[0]}"
        return Plan(Folders(directory, directory), [*changes], [line])
    step = steps(scored, cuts, cut_by)
    if action == "xmp":
        return _stars(scored, step, naming)
    if into.resolve().is_relative_to(directory.resolve()):
        raise SettingsError(
            f"into is {str(into)!r}, inside the image folder, where its images would be "
            "found again: choose a folder outside"
        )
    named = zip(scored.paths, (folders[index] for index in step), strict=True)
    return place(directory, {p: f"{name}/{p}" for p, name in named if name}, into, action)


def _stars(scored: Scored, step: np.ndarray, naming: Naming) -> Plan:
    stars = rate(
        scored.directory, dict(zip(scored.paths, (step + 1).tolist(), strict=True)), naming
    )
    counts = np.bincount(step, minlength=5)
    lines = [
        f"{len(stars.changes):,} sidecars to write: "
        + ", ".join(f"{count:,} × {stars}★" for stars, count in enumerate(counts, 1))
    ]
    same = len(scored) - len(stars.changes) - len(stars.rated_by_person) - len(stars.problems)
    if stars.rated_by_person:
        lines.append(f"{len(stars.rated_by_person):,} keep the stars that you or a program gave")
    if same > 0 and not stars.problems:
        lines.append(f"{same:,} have these stars already")
    lines += [f"{sidecar} is left alone: {why}" for sidecar, why in stars.problems.items()]
    return Plan(Folders(scored.directory, scored.directory), [*stars.changes], lines)
