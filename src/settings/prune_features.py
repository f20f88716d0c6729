"""The settings of prune_features.py."""

from typing import ClassVar

from src.settings.keys import FeatureStore, ImageFolder, ScriptSettings


class PruneFeatures(ScriptSettings, ImageFolder, FeatureStore):
    """Forget the kept features of images that are no longer there."""

    script: ClassVar[str] = "prune_features"
