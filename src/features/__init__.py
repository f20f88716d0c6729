"""From images to feature vectors, computed once and kept."""

from src.features.extract import Engine, FeatureTable, compute_features
from src.features.extractor import Extractor, ImageExtractor
from src.features.registry import open_extractors
from src.features.store import FeatureStore, open_store

__all__ = [
    "Engine",
    "Extractor",
    "FeatureStore",
    "FeatureTable",
    "ImageExtractor",
    "compute_features",
    "open_extractors",
    "open_store",
]
