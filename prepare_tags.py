"""Make and check the tag files of a folder of images: image1.jpg.txt, one tag on a line."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from src.errors import DataError
from src.file_changes import journal as tag_journal
from src.images import find_images
from src.script import run
from src.settings.prepare_tags import PrepareTags
from src.tagging.dotenv import write_arguments
from src.tagging.errors import apply_errors
from src.tagging.prepare import check_images, count_tags, plan_tags
from src.tagging.selected_tags import select_tags, write_selected_tags
from src.tagging.sources import read_sidecars
from src.tagging.tag_files import SidecarStyle

SHOWN = 20


def main(settings: PrepareTags) -> None:
    """Convert, correct, undo, or write tag files and report on what is there."""
    if settings.convert_env:
        convert(Path(settings.convert_env))
    elif settings.apply_tag_errors:
        correct(Path(settings.apply_tag_errors), settings.apply_sureness)
    elif settings.undo:
        take_back(Path(settings.undo))
    else:
        prepare(settings)


def prepare(settings: PrepareTags) -> None:
    """Write the tags that were asked for, then report."""
    directory = Path(settings.top_level_image_directory)
    style = SidecarStyle(settings.tag_files == "image1.txt", settings.tag_commas)
    images = find_images(directory)
    if not images:
        raise DataError(f"there are no images in {directory}")
    fixed = settings.tags_to_write.split(",")
    if settings.tags_to_write or settings.tags_from_folders:
        names, existing = settings.tags_from_folders, settings.existing_tags
        plan = plan_tags(
            directory, images, style, fixed=fixed, from_folders=names, existing=existing
        )
        print(
            f"{len(images)} images: {len(plan.changes)} tag files to write, {len(plan.kept)} are "
            f"there and kept, {len(plan.untagged)} images have no tag to write"
        )
        show("would write", [f"{file}: {', '.join(t)}" for file, t in plan.changes.items()])
        if settings.dry_run:
            print("Nothing was written: dry_run is True.")
        elif plan.changes:
            journal = directory / f".tags-{time.strftime('%Y%m%d-%H%M%S')}.json"
            written = tag_journal.write_changes(directory, plan.changes, style, journal)
            if written:
                print(f"Wrote {written} tag files.")
                print(f"To take that back: python run.py prepare_tags --undo={journal}")
    report(settings, directory, images, style)


def report(
    settings: PrepareTags, directory: Path, images: Sequence[str], style: SidecarStyle
) -> None:
    """Counts, files without their counterpart, images that are damaged or there twice."""
    source = read_sidecars(directory, images, style)
    check = check_images(directory, images)
    counts = count_tags(list(source.tags.values()))
    print(f"{len(images)} images, {len(source.tags)} with a tag file, {len(counts)} tags")
    show("tag", [f"{count:>7}  {tag}" for tag, count in counts])
    for note in source.notes:
        print(note)
    show("unreadable image", [f"{path}: {why}" for path, why in check.unreadable.items()])
    show("the same image more than once", [" = ".join(group) for group in check.duplicates])
    if settings.write_tag_list and not settings.dry_run:
        file = Path(settings.write_tag_list)
        write_selected_tags(file, select_tags(source.tags.values()))
        print(f"The tags are listed in {file}")
    if counts:
        print(
            "Next: python run.py custom_classifier_training --label_source=tags "
            f"--top_level_image_directory={directory}"
        )


def correct(file: Path, at_least: float) -> None:
    """Write the corrections of a list into the tag files."""
    journal = file.with_name(f"{file.stem}-undo-{time.strftime('%Y%m%d-%H%M%S')}.json")
    changed = apply_errors(file, journal, at_least=at_least)
    print(f"{changed} tag files changed.")
    if changed:
        print(f"To take that back: python run.py prepare_tags --undo={journal}")


def take_back(journal: Path) -> None:
    """Undo what a journal holds."""
    undone = tag_journal.undo(journal)
    print(f"{undone.restored} tag files restored, {undone.removed} removed that were new")
    show("edited since, and left as it is", undone.edited_since)


def convert(file: Path) -> None:
    """A .env of multitag-trainer becomes an arguments file here."""
    out = write_arguments(file, Path("arguments_from_env.py"))
    print(f"Wrote {out}. Next: python run.py custom_classifier_training --arguments={out}")


def show(what: str, lines: Sequence[str]) -> None:
    """The first lines of a list, and how many more there are."""
    for line in lines[:SHOWN]:
        print(f"  {what}: {line}")
    if len(lines) > SHOWN:
        print(f"  ... and {len(lines) - SHOWN} more")


if __name__ == "__main__":
    run(main, PrepareTags, __file__, sys.argv[1:])
