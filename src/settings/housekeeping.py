"""The settings of the scripts that look after a folder of images, its labels and features."""

from typing import ClassVar

from pydantic import Field

from src.settings.keys import (
    FeatureStore,
    FileChanges,
    ImageFolder,
    KeepDelete,
    Place,
    ScriptSettings,
)
from src.settings.tags import ExistingTags, TagFiles


class PrepareTags(ScriptSettings, ImageFolder, TagFiles, ExistingTags):
    """Make and check the tag files of a folder of images."""

    script: ClassVar[str] = "prepare_tags"
    essentials: ClassVar[tuple[str, ...]] = (
        *("tags_to_write", "tags_from_folders", "existing", "tag_files", "tag_commas"),
        *("dry_run", "undo", "write_tag_list", "convert_env"),
    )

    tags_to_write: str = Field(
        "", description="Tags for every image, separated by commas: 'cat, indoors'."
    )
    tags_from_folders: bool = Field(
        False, description="True: tag each image with the names of the folders it lies in."
    )
    write_tag_list: Place = Field(
        "",
        description="Write the tags that are there, with their counts, to this file "
        "(selected_tags.csv); '' for none.",
    )
    convert_env: Place = Field(
        "",
        description="A multitag-trainer .env file: turn it into an arguments file, and do nothing "
        "else.",
    )

    @property
    def needs_images(self) -> bool:
        return not (self.undo or self.convert_env)


class ReviewLabels(ScriptSettings, ImageFolder, KeepDelete, TagFiles, FileChanges):
    """Correct labels that you found wrong on the page suspects.html of a model."""

    script: ClassVar[str] = "review_labels"
    essentials: ClassVar[tuple[str, ...]] = (
        *("decisions", "at_least", "table", "dry_run", "undo"),
    )

    decisions: Place = Field(
        "", description="suspected_labels.csv with your decisions, as the page saved it."
    )
    at_least: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Also change labels that you did not decide on, if their surprise is at least "
        "this; 0: none.",
    )
    table: str = Field(
        "",
        description="The table of labels inside the image folder, where labels come from one; "
        "'': images are moved from one folder to the other.",
    )

    @property
    def needs_images(self) -> bool:
        return bool(self.decisions) and not self.undo


class FindDuplicates(ScriptSettings, ImageFolder, FeatureStore, KeepDelete):
    """Find images that are there more than once, or look alike; nothing is changed."""

    script: ClassVar[str] = "find_duplicates"
    essentials: ClassVar[tuple[str, ...]] = ("output", "similarity")

    output: Place = Field(
        "duplicates",
        min_length=1,
        description="The folder that gets duplicates.csv and duplicates.html.",
    )
    similarity: float = Field(
        0.9,
        gt=0,
        le=1,
        description="Images whose features have this cosine or more look alike, too, where a "
        "vision model's features of them have been computed; 1: compare the pixels alone.",
    )


class PruneFeatures(ScriptSettings, ImageFolder, FeatureStore):
    """Delete computed features of images that are no longer there."""

    script: ClassVar[str] = "prune_features"
    essentials: ClassVar[tuple[str, ...]] = ("feature_store",)
