"""The settings of find_duplicates.py."""

from typing import ClassVar

from pydantic import Field

from src.settings.keys import FeatureStore, ImageFolder, KeepDelete, ScriptSettings


class FindDuplicates(ScriptSettings, ImageFolder, FeatureStore, KeepDelete):
    """Find images that are there more than once, or look alike; nothing is changed."""

    script: ClassVar[str] = "find_duplicates"

    duplicates_output: str = Field(
        "duplicates",
        min_length=1,
        description="The folder that gets duplicates.csv and duplicates.html.",
    )
    duplicates_similarity: float = Field(
        0.9,
        gt=0,
        le=1,
        description="Images look alike, too, if their features have this cosine or more; only "
        "features of a vision model that are kept already are asked. 1: none.",
    )
