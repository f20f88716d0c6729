"""Settings: arguments.py and the command line, checked once before anything heavy is imported."""

from src.settings.ab_scorer import ABScorer
from src.settings.aesthetic_training import AestheticTraining
from src.settings.classifier import ClassifierTraining
from src.settings.classify_images import ClassifyImages
from src.settings.find_duplicates import FindDuplicates
from src.settings.load import load_settings
from src.settings.prune_features import PruneFeatures
from src.settings.review_labels import ReviewLabels
from src.settings.score_from_model import ScoreFromModel
from src.settings.score_images import ScoreImages

__all__ = [
    "ABScorer",
    "AestheticTraining",
    "ClassifierTraining",
    "ClassifyImages",
    "FindDuplicates",
    "PruneFeatures",
    "ReviewLabels",
    "ScoreFromModel",
    "ScoreImages",
    "load_settings",
]
