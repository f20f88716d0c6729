"""Settings: arguments.py and the command line, checked once before anything heavy is imported."""

from src.settings.aesthetic_training import AestheticTraining
from src.settings.classifier import ClassifierTraining
from src.settings.housekeeping import FindDuplicates, PrepareTags, PruneFeatures, ReviewLabels
from src.settings.load import load_settings
from src.settings.rating import ABScorer, ScoreFromModel
from src.settings.use_models import ClassifyImages, ScoreImages, TagImages

__all__ = [
    "ABScorer",
    "AestheticTraining",
    "ClassifierTraining",
    "ClassifyImages",
    "FindDuplicates",
    "PrepareTags",
    "PruneFeatures",
    "ReviewLabels",
    "ScoreFromModel",
    "ScoreImages",
    "TagImages",
    "load_settings",
]
