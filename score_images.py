"""Score any folder of images with a model you trained: table, gallery, and what you do with it."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from src.script import run
from src.settings import ScoreImages

if TYPE_CHECKING:
    from src.using.scoring import Scored


def main(settings: ScoreImages) -> None:
    """Scores, table, gallery, then the action; or taking an action back."""
    if settings.score_undo:
        from src.using.undo import take_back

        print(take_back(Path(settings.score_undo)).text())
        return
    if settings.score_export:
        export(settings)
        return
    scored = score(settings)
    output = Path(settings.score_output)
    write(settings, scored, output)
    if settings.score_action == "table":
        print("Next: open the gallery, or act on the scores: --help says how, at --score_action")
    else:
        act(settings, scored, output)


def score(settings: ScoreImages) -> "Scored":
    """The scored images in the wanted order, with a summary on the screen."""
    from src.using.scoring import open_model, score_folder
    from src.using.tables import summary

    scored = score_folder(
        Path(settings.top_level_image_directory),
        *open_model(settings.load_model, settings.device),
        store_folder=store_folder(settings),
        batch_size=settings.evaluation_args.per_device_eval_batch_size,
    ).sorted(best_first=settings.score_first == "best")
    print(summary(scored))
    return scored


def write(settings: ScoreImages, scored: "Scored", output: Path) -> None:
    """The table and the gallery."""
    from src.using.tables import write_table

    columns = scored.columns()
    write_table(output / settings.score_table, columns)
    print(f"Table: {output / settings.score_table}")
    if settings.score_gallery == "off":
        return
    from src.reports.gallery import THUMBNAILS, write_gallery, write_thumbnails

    small = settings.score_gallery == "thumbnails"
    files = [scored.directory / path for path in scored.paths]
    write_gallery(
        output / "gallery.html",
        scored.directory,
        scored.paths,
        scored.numbers(),
        write_thumbnails(output / THUMBNAILS, files, scored.sha256s) if small else None,
        title=f"{scored.directory.resolve().name}, by {Path(settings.load_model).name}",
        best_first=settings.score_first == "best",
    )
    print(f"Gallery: {output / 'gallery.html'}")


def act(settings: ScoreImages, scored: "Scored", output: Path) -> None:
    """Show what the action does, and unless this is a dry run, do it."""
    from src.using.actions import plan_action
    from src.using.touch import remember_times
    from src.using.undo import make, new_journal

    assert settings.score_action != "table"
    plan = plan_action(
        settings.score_action,
        scored,
        now_ns=time.time_ns(),
        cuts=settings.score_cuts,
        cut_by=settings.score_cut_by,
        folders=settings.score_folders,
        into=Path(settings.score_into),
        naming=settings.score_xmp_naming,
    )
    print("\n".join(plan.lines))
    if settings.score_dry_run:
        print("Nothing was changed: this was a dry run. Next: the same with --score_dry_run=False")
    elif plan.changes:
        journal = new_journal(output, settings.score_action)
        print(make(scored.directory, plan.changes, journal).text())
        if settings.score_action == "touch":
            remember_times(scored, store_folder(settings))
        print(f"To take it back: python run.py score_images --score_undo={journal}")


def export(settings: ScoreImages) -> None:
    """Write a light copy of the model."""
    from src.using.light import export_light
    from src.using.scoring import open_model

    folder = Path(settings.score_export)
    difference = export_light(*open_model(settings.load_model, settings.device), folder)
    print(f"Light copy: {folder} (features differ by {difference:.1g} of their spread)")
    print(f"Next: without torch, python score_images.py --load_model={folder}")


def store_folder(settings: ScoreImages) -> Path | None:
    """Where features are kept; None: beside the images."""
    return Path(settings.feature_store) if settings.feature_store else None


if __name__ == "__main__":
    run(main, ScoreImages, __file__, sys.argv[1:])
