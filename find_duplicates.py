"""Find images that are there more than once, or look alike: a table and a page; nothing changes."""

import csv
import sys
from pathlib import Path

from src.script import run
from src.settings import FindDuplicates


def main(settings: FindDuplicates) -> None:
    """Look, write the table and the page, and say what was found."""
    from src.files import replacing
    from src.reports.duplicates_report import Member, write_duplicates
    from src.scoring.find_duplicates import find_duplicates, rows

    directory, output = Path(settings.top_level_image_directory), Path(settings.duplicates_output)
    found = find_duplicates(
        directory,
        keep=settings.keep_folders,
        delete=settings.delete_folders,
        store_folder=Path(settings.feature_store) if settings.feature_store else None,
        similarity=settings.duplicates_similarity,
    )
    with (
        replacing(output / "duplicates.csv") as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        csv.writer(file).writerows(rows(found))
    groups = [
        [
            Member(file.path, sha256, file.size, label, bits)
            for file, sha256, bits, label in zip(
                group.files, group.sha256s, group.bits, group.labels, strict=True
            )
        ]
        for group in found.groups
    ]
    write_duplicates(output / "duplicates.html", directory, groups, images=found.images)
    exact = sum(group.exact for group in found.groups)
    torn = sum(group.torn for group in found.groups)
    print(
        f"{found.images:,} images: {exact:,} groups of identical ones, "
        f"{len(found.groups) - exact:,} of images that look alike, {len(found.unreadable):,} "
        "unreadable"
    )
    if torn:
        print(f"{torn:,} groups hold both kept and deleted images:")
        for group in [group for group in found.groups if group.torn][:10]:
            print("  " + " = ".join(file.path for file in group.files[:4]))
    print(f"Table: {output / 'duplicates.csv'}\nPage: {output / 'duplicates.html'}")
    print("Next: open the page, and delete what you do not need yourself")


if __name__ == "__main__":
    run(main, FindDuplicates, __file__, sys.argv[1:])
