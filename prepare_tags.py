"""Make and check the tag files of a folder of images: image1.jpg.txt, one tag on a line."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.errors import DataError
from src.script import run
from src.settings.classifier import ClassifierTraining
from src.settings.housekeeping import PrepareTags
from src.text import command, counted, first_of

if TYPE_CHECKING:
    from src.images import ImageFile

SHOWN = 20


def main(settings: PrepareTags) -> None:
    """Convert, undo, or write tag files and report on what is there."""
    if settings.convert_env:
        convert(Path(settings.convert_env))
    elif settings.undo:
        from src.file_changes.apply import undo

        print(undo(Path(settings.undo)).report())
    else:
        prepare(settings)


def prepare(settings: PrepareTags) -> None:
    """Write the tags that were asked for, then report."""
    from src.file_changes.apply import carry_out
    from src.file_changes.changes import Folders
    from src.file_changes.plan import Plan
    from src.images import scan_images
    from src.tagging.prepare import plan_tags
    from src.tagging.tag_files import tag_changes

    directory = Path(settings.top_level_image_directory)
    images = scan_images(directory)
    if not images:
        raise DataError(f"there are no images in {directory}")
    if settings.tags_to_write or settings.tags_from_folders:
        plan = plan_tags([image.path for image in images], settings)
        print(
            f"{counted(len(images), 'image')}: {counted(len(plan.changes), 'tag file')} to write, "
            f"{len(plan.kept):,} there and kept, {len(plan.untagged):,} without a tag to write"
        )
        if settings.dry_run:
            show("would write", [f"{file}: {', '.join(t)}" for file, t in plan.changes.items()])
        changes = tag_changes(directory, plan.changes, settings)
        to_write = Plan(Folders(directory, directory), changes)
        carry_out(to_write, settings, "tags", directory)
    report(settings, directory, images)


def report(settings: PrepareTags, directory: Path, images: "Sequence[ImageFile]") -> None:
    """Counts, files without their counterpart, images that are damaged or there twice."""
    from src.features.extract import report_unreadable
    from src.tagging.prepare import check_images
    from src.tagging.selected_tags import select_tags, write_selected_tags
    from src.tagging.sources import read_sidecars

    source = read_sidecars(directory, [image.path for image in images], settings)
    unreadable, copies = check_images(directory, images)
    tags = select_tags(source.tags.values())
    with_tags = f"{len(source.tags):,} with a tag file, {counted(len(tags), 'tag')}"
    print(f"{counted(len(images), 'image')}, {with_tags}")
    show("tag", [f"{tag.count:>7}  {tag.name}" for tag in tags])
    for note in source.notes:
        print(note)
    report_unreadable(unreadable, directory)
    show("the same image more than once", [" = ".join(group) for group in copies])
    if settings.write_tag_list:
        file = Path(settings.write_tag_list)
        write_selected_tags(file, tags)
        print(f"The tags are listed in {file}")
    if tags:
        print(f"Next: {settings.command(ClassifierTraining, label_source='tags')}")


def convert(file: Path) -> None:
    """A .env of multitag-trainer becomes an arguments file here."""
    from src.tagging.dotenv import write_arguments

    out = write_arguments(file, Path("arguments_from_env.py"))
    print(f"Wrote {out}.\nNext: {command('custom_classifier_training', arguments=out)}")


def show(what: str, lines: Sequence[str]) -> None:
    """The first lines of a list, and how many more there are."""
    for line in first_of([f"  {what}: {line}" for line in lines], SHOWN):
        print(line)


if __name__ == "__main__":
    run(main, PrepareTags, __file__, sys.argv[1:])
