"""Correct labels that you found wrong on the page suspects.html of a model."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.errors import SettingsError
from src.script import run
from src.settings.aesthetic_training import AestheticTraining
from src.settings.classifier import ClassifierTraining
from src.settings.housekeeping import ReviewLabels

if TYPE_CHECKING:
    from src.dataset.suspected_labels import SuspectedLabel
    from src.file_changes.plan import Plan


def main(settings: ReviewLabels) -> None:
    """Read the decisions, then move images, change the table or the tag files; or undo that."""
    from src.dataset.suspected_labels import read_suspected
    from src.file_changes.apply import carry_out, undo

    if settings.undo:
        print(undo(Path(settings.undo)).report())
        return
    if not settings.decisions:
        raise SettingsError(
            "decisions is empty: open suspects.html in the model folder, decide with the "
            "keys R, W and S, save, and name the saved file here"
        )
    decisions = Path(settings.decisions)
    suspects, at_least = read_suspected(decisions), settings.at_least
    wrong = [
        suspect
        for suspect in suspects
        if suspect.decision == "wrong"
        or (at_least and not suspect.decision and suspect.surprise >= at_least)
    ]
    if not wrong:
        print(f"No label in {decisions} has to change ({len(suspects):,} were looked at)")
        return
    if carry_out(corrections(settings, wrong), settings, "labels", decisions.resolve().parent):
        print(f"Next: {train_again(settings, wrong[0].kind, decisions.parent)}")


def corrections(settings: ReviewLabels, wrong: "Sequence[SuspectedLabel]") -> "Plan":
    """What is to be changed; a list is of one kind of label."""
    from src.file_changes.plan import move_to_folders, other_folders, relabel_wrong

    directory, paths = Path(settings.top_level_image_directory), [item.path for item in wrong]
    if not directory.is_dir():
        raise SettingsError(f"there is no folder {str(directory)!r}: set top_level_image_directory")
    if wrong[0].kind == "tag":
        from src.tagging.suspected_tags import plan_corrections

        return plan_corrections(directory, wrong, settings)
    if wrong[0].kind == "class":
        return move_to_folders(directory, {item.path: item.suggested for item in wrong})
    if settings.table:
        return relabel_wrong(directory, paths, settings.table)
    folders = other_folders(directory, paths, settings.keep_folders, settings.delete_folders)
    return move_to_folders(directory, folders)


def train_again(settings: ReviewLabels, kind: str, folder: Path) -> str:
    """The command that trains on the corrected labels; the list may lie in the model's folder."""
    model = {"save_model": folder} if (folder / "metrics.json").is_file() else {}
    if kind == "keep_delete":
        table = {"use_score_file": settings.table} if settings.table else {}
        return settings.command(AestheticTraining, loss_model="bce", **table, **model)
    source = "tags" if kind == "tag" else "folders"
    return settings.command(ClassifierTraining, label_source=source, **model)


if __name__ == "__main__":
    run(main, ReviewLabels, __file__, sys.argv[1:])
