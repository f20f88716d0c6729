"""The settings of prune_features.py."""

from typing import ClassVar

from pydantic import Field

from src.settings.keys import ImageFolder, ScriptSettings


class PruneFeatures(ScriptSettings, ImageFolder):
    """Forget the kept features of images that are no longer there."""

    script: ClassVar[str] = "prune_features"

    feature_store: str = Field(
        "",
        description="Folder that computed features are kept in; '' means beside the images.",
    )
