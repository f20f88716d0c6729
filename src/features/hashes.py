"""Contents and perceptual hashes of images, for training that needs no features."""

from collections.abc import Sequence
from pathlib import Path

from src.features import FeatureStore, FeatureTable, compute_features
from src.images import ImageFile


def fingerprint(directory: Path, files: Sequence[ImageFile], store: FeatureStore) -> FeatureTable:
    """As `compute_features` without extractors."""
    return compute_features(directory, files, [], store)
