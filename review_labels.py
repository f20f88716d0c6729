"""Put labels of kept and deleted images right that you found wrong on the page suspects.html."""

import sys
from pathlib import Path

from src.script import run
from src.settings import ReviewLabels


def main(settings: ReviewLabels) -> None:
    """Read the decisions, then move the images or change the table; or take that back."""
    from src.errors import SettingsError
    from src.file_changes.relabel import move_wrong, read_decisions, relabel_wrong
    from src.file_changes.undo import make, new_journal, take_back

    if settings.review_undo:
        print(take_back(Path(settings.review_undo)).text())
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
        print(f"{len(wrong) - len(plan.problems)} labels to change in {settings.review_table}")
    else:
        plan = move_wrong(directory, wrong, settings.keep_folders, settings.delete_folders)
        print(f"{len(plan.changes)} images to move to the other folder")
    for path, why in plan.problems.items():
        print(f"{path} stays as it is: {why}")
    if settings.review_dry_run:
        print("Nothing was changed: this was a dry run. Next: the same with --review_dry_run=False")
    elif plan.changes:
        journal = new_journal(decisions.resolve().parent, "labels")
        print(make(directory, plan.changes, journal).text())
        print(f"To take it back: python run.py review_labels --review_undo={journal}")
        print("Next: python run.py aesthetic_predictor_training --loss_model=bce")


if __name__ == "__main__":
    run(main, ReviewLabels, __file__, sys.argv[1:])
