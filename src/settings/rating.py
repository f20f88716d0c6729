"""The settings of the scripts around the rating window."""

from typing import Literal

from src.settings import keys
from src.settings.keys import Group, Natural, Place, Positive, key


class RatingMethod(Group):
    """How a person's choices become scores."""

    ab_scorer_method: Literal["posterior", "elo"] = key(
        "posterior",
        "How choices become scores: 'posterior' (Bayesian, helped by image features: a third of "
        "the clicks) or 'elo' (the classic rule, K = 0.8).",
    )


class ABScorer(keys.ScriptSettings, keys.Computing, RatingMethod):
    """Rate your images by choosing between two at a time, or four."""

    script = "aesthetic_ab_scorer"
    essentials = ("ab_scorer_size", "ab_scorer_images", "ab_scorer_goal", "load_model")

    ab_scorer_size: int = key(600, "Height of the window, in pixels.", ge=400, le=10_000)
    ab_scorer_images: Literal[2, 4] = key(
        2, "Images on the screen. With 4, name the best and the worst: a third of the screens."
    )
    ab_scorer_goal: Positive = key(100, "Choices in a session; you can go on afterwards.")
    ab_scorer_selection: Literal["active", "least_shown", "random"] = key(
        "active", "Which pairs are shown; 'active': those that teach most."
    )
    ab_scorer_top: Natural = key(
        0, "Find this many of your best images, with fewer choices than all in order take; 0: all."
    )
    ab_scorer_skip_near_duplicates: bool = key(
        True, "Rate one image of each group of near duplicates: the others follow with its score."
    )
    feature_extractor: Place = key(
        "ViT-L/14", "Whose stored features help the scores; others if there are none.", min_length=1
    )
    load_model: Place = key(
        "",
        "A model: scores start from what it says of images that it was not trained on, and the "
        "statistics say where it and you disagree; '' for none.",
    )


class ScoreFromModel(keys.ScriptSettings, keys.Computing, RatingMethod, keys.UsedModel):
    """Give images that you have not rated yet a first score from a model."""

    script = "aesthetic_score_from_model"
    essentials = ("load_model", "dry_run")

    dry_run: bool = key(
        False, "True: only say what would be added to score.json; your own scores never change."
    )
