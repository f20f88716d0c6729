"""The settings of aesthetic_score_from_model.py."""

from typing import ClassVar

from pydantic import Field

from src.settings.ab_scorer import RatingMethod
from src.settings.keys import Computing, ImageFolder, InferenceArgs, ScriptSettings


class ScoreFromModel(ScriptSettings, ImageFolder, Computing, RatingMethod):
    """Give images that you have not rated yet the score of a model, as a start."""

    script: ClassVar[str] = "aesthetic_score_from_model"

    load_model: str = Field(
        "",
        description="The folder of a model you trained, or the file of a published head "
        "(models/sac+logos+ava1-l14-linearMSE.safetensors).",
    )
    dry_run: bool = Field(False, description="True: say what would be written, and write nothing.")
    evaluation_args: InferenceArgs = Field(default_factory=InferenceArgs)
