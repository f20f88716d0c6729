"""What can be done with scores, as changes that can be looked at first and taken back later."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from src.file_changes.arrange import arrange
from src.file_changes.changes import Change
from src.file_changes.undo import make, new_journal
from src.file_changes.xmp import Naming, rate
from src.rating.storage import choice_log
from src.scoring.cuts import CutBy, steps
from src.scoring.score_file import fill_score_file
from src.scoring.scored import Scored
from src.scoring.touch import remember_times, touch_in_order

Action = Literal["touch", "xmp", "score_file", "copy", "move", "link"]


@dataclass(frozen=True)
class Plan:
    """What an action would do.

    Attributes:
        changes: in the order in which they are made.
        lines: the same for people, one line for each kind of thing that happens or does not.
    """

    changes: Sequence[Change]
    lines: list[str] = field(default_factory=list)


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
        folders, into: for "copy", "move" and "link"; see `arrange.arrange`.
        naming: of sidecars.

    Raises:
        DataError, SettingsError: as the parts say.
        OSError: an image is gone.
    """
    if action == "touch":
        touched = touch_in_order(scored.directory, scored.paths, newest_ns=time.time_ns())
        return Plan(touched, [f"{len(touched):,} modification times: newest {scored.paths[0]}"])
    if action == "score_file":
        change, count = fill_score_file(
            scored.directory, dict(zip(scored.paths, scored.scores.tolist(), strict=True))
        )
        lines = [f"score.json: scores for {count:,} images that you have not rated"]
        if (scored.directory / choice_log.NAME).exists():
            lines.append(
                "The rating window begins with its own scores of them: to have it begin with the "
                "model's, use aesthetic_score_from_model instead"
            )
        return Plan([] if change is None else [change], lines)
    step = steps(scored, cuts, cut_by)
    if action == "xmp":
        return _stars(scored, step, naming)
    plan = arrange(scored.directory, scored.paths, step, folders, into, action)
    lines = [
        f"{action} {count:,} images into {into / name}"
        for name, count in zip(folders, np.bincount(step, minlength=len(folders)), strict=True)
        if name and count
    ]
    if plan.taken:
        lines.append(f"{len(plan.taken):,} are left out: a file of that name is there already")
    return Plan(plan.changes, lines)


def carry_out(
    action: Action, plan: Plan, scored: Scored, output: Path, store_folder: Path | None
) -> str:
    """Do what was planned, and say what came of it and how it is taken back.

    Args:
        action, plan, scored: as for `plan_action`.
        output: the folder of the undo file.
        store_folder: where features are kept; None: beside the images.

    Raises:
        DataError: the undo file or the feature store cannot be written.
    """
    journal = new_journal(output, action)
    made = make(scored.directory, plan.changes, journal)
    if action == "touch":
        remember_times(scored, store_folder)
    undo = f"To take it back: python run.py score_images --score_undo={journal}"
    return f"{made.text()}\n{undo}"


def _stars(scored: Scored, step: np.ndarray, naming: Naming) -> Plan:
    plan = rate(scored.directory, dict(zip(scored.paths, (step + 1).tolist(), strict=True)), naming)
    counts = np.bincount(step, minlength=5)
    lines = [
        f"{len(plan.changes):,} sidecars to write: "
        + ", ".join(f"{count:,} × {stars}★" for stars, count in enumerate(counts, 1))
    ]
    same = len(scored) - len(plan.changes) - len(plan.rated_by_person) - len(plan.problems)
    if plan.rated_by_person:
        lines.append(f"{len(plan.rated_by_person):,} keep the stars that you or a program gave")
    if same > 0 and not plan.problems:
        lines.append(f"{same:,} have these stars already")
    lines += [f"{sidecar} is left alone: {why}" for sidecar, why in plan.problems.items()]
    return Plan(plan.changes, lines)
