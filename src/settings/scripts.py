"""The settings of all scripts, so that a key of one is not called unknown by another."""

from src.settings.ab_scorer import ABScorer
from src.settings.aesthetic_training import AestheticTraining
from src.settings.classifier import ClassifierTraining
from src.settings.classify_images import ClassifyImages
from src.settings.find_duplicates import FindDuplicates
from src.settings.keys import ScriptSettings
from src.settings.prepare_tags import PrepareTags
from src.settings.prune_features import PruneFeatures
from src.settings.review_labels import ReviewLabels
from src.settings.score_from_model import ScoreFromModel
from src.settings.score_images import ScoreImages
from src.settings.tag_images import TagImages

SCRIPTS: tuple[type[ScriptSettings], ...] = (
    ABScorer,
    AestheticTraining,
    ScoreFromModel,
    ScoreImages,
    FindDuplicates,
    ReviewLabels,
    ClassifierTraining,
    ClassifyImages,
    PrepareTags,
    TagImages,
    PruneFeatures,
)
