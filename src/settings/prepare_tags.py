"""The settings of prepare_tags.py."""

from typing import ClassVar

from pydantic import Field

from src.settings.keys import ImageFolder, ScriptSettings
from src.settings.tags import ExistingTags, TagFiles


class PrepareTags(ScriptSettings, ImageFolder, TagFiles, ExistingTags):
    """Make and check the tag files of a folder of images."""

    script: ClassVar[str] = "prepare_tags"

    tags_to_write: str = Field(
        "", description="Tags for every image, separated by commas: 'cat, indoors'."
    )
    tags_from_folders: bool = Field(
        False, description="True: tag each image with the names of the folders it lies in."
    )
    write_tag_list: str = Field(
        "",
        description="Write the tags that are there, with their counts, to this file "
        "(selected_tags.csv); '' for none.",
    )
    convert_env: str = Field(
        "",
        description="A multitag-trainer .env file to turn into an arguments file; nothing else "
        "is done.",
    )
