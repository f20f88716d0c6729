"""Keys of the scripts that read or write tag files."""

from typing import Literal

from pydantic import Field

from src.settings.keys import Group


class TagFiles(Group):
    """How tag files are named and written."""

    tag_files: Literal["image1.jpg.txt", "image1.txt"] = Field(
        "image1.jpg.txt", description="What the tag file of an image called image1.jpg is called."
    )
    tag_commas: bool = Field(
        False,
        description="True: tags are separated by commas, as in 'cat, sofa'; False: one on a line.",
    )


class ExistingTags(Group):
    """What becomes of tag files that are there already."""

    existing_tags: Literal["skip", "append", "overwrite"] = Field(
        "skip",
        description="Images that have a tag file: 'skip' leaves it as it is, 'append' adds the "
        "tags that it lacks, 'overwrite' replaces it.",
    )
    dry_run: bool = Field(False, description="True: say what would be written, and write nothing.")
