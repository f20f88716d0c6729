"""From images to feature vectors, computed once and kept."""

from src.features.extract import FeatureTable, compute_features
from src.features.registry import Extractor, open_extractors
from src.features.store import FeatureStore, open_store

__all__ = [
    "Extractor",
    "FeatureStore",
    "FeatureTable",
    "compute_features",
    "open_extractors",
    "open_store",
]
