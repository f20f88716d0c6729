"""The settings of the scripts around the rating window."""

from typing import ClassVar, Literal

from pydantic import Field

from src.settings.keys import Computing, Group, ImageFolder, Place, ScriptSettings, UsedModel


class RatingMethod(Group):
    """How a person's choices become scores."""

    ab_scorer_method: Literal["posterior", "elo"] = Field(
        "posterior",
        description="How choices become scores: 'posterior' (Bayesian, helped by image features: "
        "a third of the clicks) or 'elo' (the classic rule, K = 0.8).",
    )


class ABScorer(ScriptSettings, ImageFolder, Computing, RatingMethod):
    """Rate your images by choosing between two at a time."""

    script: ClassVar[str] = "aesthetic_ab_scorer"
    essentials: ClassVar[tuple[str, ...]] = ("ab_scorer_size", "ab_scorer_goal", "load_model")

    ab_scorer_size: int = Field(
        600, ge=400, le=10_000, description="Height of the window, in pixels."
    )
    ab_scorer_goal: int = Field(
        100, ge=1, description="Comparisons that one session aims at; go on as long as you like."
    )
    ab_scorer_selection: Literal["active", "least_shown", "random"] = Field(
        "active",
        description="Which pairs are shown: 'active' (those that tell most), 'least_shown' or "
        "'random'.",
    )
    feature_extractor: Place = Field(
        "ViT-L/14",
        min_length=1,
        description="Whose features help the scores, if they have been computed already; "
        "otherwise those that most images have, or the built-in ones.",
    )
    load_model: Place = Field(
        "",
        description="A model you trained: the statistics then say on which images you, your "
        "scores and the model disagree; '' for none.",
    )


class ScoreFromModel(ScriptSettings, ImageFolder, Computing, RatingMethod, UsedModel):
    """Give images that you have not rated yet the score of a model, as a start."""

    script: ClassVar[str] = "aesthetic_score_from_model"
    essentials: ClassVar[tuple[str, ...]] = ("load_model", "dry_run")

    dry_run: bool = Field(
        False,
        description="True: only say what would be written to score.json. (Scores of images that "
        "you have rated are never changed.)",
    )
