"""Correct labels of kept and deleted images that you found wrong on the page suspects.html."""

import sys
from pathlib import Path

from src.script import run
from src.settings import ReviewLabels


def main(settings: ReviewLabels) -> None:
    """Read the decisions, then move the images or change the table; or undo that."""
    from src.errors import SettingsError
    from src.file_changes.apply import undo
    from src.file_changes.carry_out import carry_out
    from src.file_changes.relabel import move_wrong, read_decisions, relabel_wrong

    if settings.review_undo:
        print(undo(Path(settings.review_undo)).report())
        return
    if not settings.review_decisions:
        raise SettingsError(
            "review_decisions is empty: open suspects.html in the model folder, decide with the "
            "keys R, W and S, save, and name the saved file here"
        )
    decisions = Path(settings.review_decisions)
    directory = Path(settings.top_level_image_directory)
    wrong = [path for path, word in read_decisions(decisions).items() if word == "wrong"]
    if settings.review_table:
        plan = relabel_wrong(directory, wrong, settings.review_table)
    else:
        plan = move_wrong(directory, wrong, settings.keep_folders, settings.delete_folders)
    output, dry_run = decisions.resolve().parent, settings.review_dry_run
    if carry_out(plan, settings.script, "review_", "labels", output, dry_run=dry_run):
        print("Next: python run.py aesthetic_predictor_training --loss_model=bce")


if __name__ == "__main__":
    run(main, ReviewLabels, __file__, sys.argv[1:])
