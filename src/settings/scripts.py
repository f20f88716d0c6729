"""The settings of all scripts, so that a key of one is not called unknown by another."""

from src.settings.aesthetic_training import AestheticTraining
from src.settings.classifier import ClassifierTraining
from src.settings.housekeeping import FindDuplicates, PrepareTags, PruneFeatures, ReviewLabels
from src.settings.keys import ScriptSettings
from src.settings.rating import ABScorer, ScoreFromModel
from src.settings.use_models import ClassifyImages, ScoreImages, TagImages

SCRIPTS: tuple[type[ScriptSettings], ...] = (
    *(ABScorer, AestheticTraining, ScoreFromModel, ScoreImages, FindDuplicates, ReviewLabels),
    *(ClassifierTraining, ClassifyImages, PrepareTags, TagImages, PruneFeatures),
)
