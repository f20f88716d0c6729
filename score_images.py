"""Score any folder of images with a model you trained: table, gallery, and what you do with it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from src.files import output_folder
from src.script import run
from src.settings.use_models import ScoreImages

if TYPE_CHECKING:
    from src.scoring.scored import Scored


def main(settings: ScoreImages) -> None:
    """Scores, table, gallery, then the action; or undoing an action."""
    if settings.undo:
        from src.file_changes.apply import undo

        print(undo(Path(settings.undo)).report())
        return
    if settings.export:
        export(settings)
        return
    scored = score(settings)
    output = output_of(settings)
    write(settings, scored, output)
    if settings.action != "table":
        act(settings, scored, output)
    elif "://" not in settings.top_level_image_directory:
        print("To put stars beside the images, for photo programs (or touch, copy, move, link):")
        print(f"Next: {settings.command(action='xmp')}")


def score(settings: ScoreImages) -> "Scored":
    """The scored images in the wanted order, with a summary on the screen."""
    from src.features.extract import local_engine
    from src.scoring.object_store import reader, scan
    from src.scoring.ray_engine import RayEngine
    from src.scoring.scored import open_model, score_folder
    from src.scoring.table import summary

    place, model, device = settings.top_level_image_directory, settings.load_model, settings.device
    cluster = settings.ray_address, settings.ray_workers
    ray = RayEngine(place, model, device, *cluster, settings.precision)
    scored = score_folder(
        Path(place),
        *open_model(model, device, settings.precision),
        files=scan(place),
        store_folder=store_folder(settings),
        batch_size=settings.evaluation_args.per_device_eval_batch_size,
        engine=ray if settings.engine == "ray" else local_engine(reader(place)),
    ).sorted(best_first=settings.first == "best")
    print(summary(scored, place))
    return scored


def write(settings: ScoreImages, scored: "Scored", output: Path) -> None:
    """The table and the gallery."""
    from src.scoring.table import write_table

    write_table(output / settings.table, {"path": scored.paths, **scored.numbers})
    print(f"Table: {output / settings.table}")
    if settings.gallery == "off" or "://" in settings.top_level_image_directory:
        return
    from src.reports.gallery import write_gallery
    from src.reports.thumbnails import THUMBNAILS, write_thumbnails

    small = settings.gallery == "thumbnails"
    files = [scored.directory / path for path in scored.paths]
    write_gallery(
        output / "gallery.html",
        scored.directory,
        scored.paths,
        scored.numbers,
        write_thumbnails(output / THUMBNAILS, files, scored.sha256s) if small else None,
        title=f"{scored.directory.resolve().name}, by {Path(settings.load_model).name}",
        best_first=settings.first == "best",
    )
    print(f"Gallery: {output / 'gallery.html'}")


def act(settings: ScoreImages, scored: "Scored", output: Path) -> None:
    """Show what the action does, and unless this is a dry run, do it."""
    from src.file_changes.apply import carry_out
    from src.scoring.actions import plan_action, remember_times

    action = settings.action
    assert action != "table"
    plan = plan_action(
        action,
        scored,
        cuts=settings.cuts,
        cut_by=settings.cut_by,
        folders=settings.folders,
        into=Path(settings.into),
        naming=settings.xmp_naming,
    )
    if carry_out(plan, settings, action, output) and action == "touch":
        remember_times(scored, store_folder(settings))


def export(settings: ScoreImages) -> None:
    """Write a light copy of the model."""
    from src.scoring.light import export_light
    from src.scoring.scored import open_model

    folder = Path(settings.export)
    difference = export_light(*open_model(settings.load_model, settings.device), folder)
    print(f"Light copy: {folder} (features differ by {difference:.1g} of their spread)")
    print("It runs without torch, where only requirements-inference.txt is installed.")
    print(f"Next: {settings.command(ScoreImages, load_model=folder)}")


def store_folder(settings: ScoreImages) -> str:
    """Where features are kept; "": beside the images, which an object store has no place for."""
    elsewhere = str(output_of(settings)) if "://" in settings.top_level_image_directory else ""
    return settings.feature_store or elsewhere


def output_of(settings: ScoreImages) -> Path:
    """The folder that results go to."""
    return output_folder(settings.output, "scored", settings.top_level_image_directory)


if __name__ == "__main__":
    run(main, ScoreImages, __file__, sys.argv[1:])
