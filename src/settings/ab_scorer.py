"""The settings of aesthetic_ab_scorer.py."""

from typing import ClassVar, Literal

from pydantic import Field

from src.settings.keys import Computing, Group, ImageFolder, ScriptSettings


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
    feature_extractor: str = Field(
        "ViT-L/14",
        min_length=1,
        description="Whose features help the scores, where the folder's are kept already; "
        "otherwise those that most images have, or the built-in ones.",
    )
    load_model: str = Field(
        "",
        description="A model you trained, for the statistics: who stands alone where you, your "
        "scores and the model do not agree; '' for none.",
    )
