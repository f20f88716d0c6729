"""Find images that are there more than once, or look alike: a table and a page; nothing changes."""

import sys
from pathlib import Path

from src.script import run
from src.settings.housekeeping import FindDuplicates, PruneFeatures
from src.text import counted


def main(settings: FindDuplicates) -> None:
    """Look, write the table and the page, and say what was found."""
    from src.dataset.duplicates import are_identical, labels_conflict
    from src.files import output_folder, write_csv
    from src.reports.duplicates_report import write_duplicates
    from src.scoring.find_duplicates import find_duplicates, rows

    directory = Path(settings.top_level_image_directory)
    output = output_folder(settings.output, "duplicates", settings.top_level_image_directory)
    found = find_duplicates(
        directory,
        keep=settings.keep_folders,
        delete=settings.delete_folders,
        store_folder=settings.feature_store,
        similarity=settings.similarity,
    )
    write_csv(output / "duplicates.csv", rows(found.groups))
    write_duplicates(output / "duplicates.html", directory, found.groups, images=found.images)
    exact = sum(map(are_identical, found.groups))
    conflicts = [group for group in found.groups if labels_conflict(group)]
    print(
        f"{counted(found.images, 'image')}: {counted(exact, 'group')} of identical ones, "
        f"{len(found.groups) - exact:,} of similar images, {len(found.unreadable):,} "
        "unreadable"
    )
    if conflicts:
        print(f"Both kept and deleted images are in {counted(len(conflicts), 'group')}:")
        for group in conflicts[:10]:
            print("  " + " = ".join(image.path for image in group[:4]))
    print(f"Table: {output / 'duplicates.csv'}\nPage: {output / 'duplicates.html'}")
    if found.groups:
        print("Look at the page and delete the copies that you do not need: this program never")
        print("does. After that, to free the space of their features:")
        print(f"Next: {settings.command(PruneFeatures)}")


if __name__ == "__main__":
    run(main, FindDuplicates, __file__, sys.argv[1:])
