"""The settings of review_labels.py."""

from typing import ClassVar

from pydantic import Field

from src.settings.keys import ImageFolder, KeepDelete, ScriptSettings
from src.settings.tags import TagFiles


class ReviewLabels(ScriptSettings, ImageFolder, KeepDelete, TagFiles):
    """Correct labels that you found wrong on the page suspects.html of a model."""

    script: ClassVar[str] = "review_labels"

    review_decisions: str = Field(
        "", description="suspected_labels.csv with your decisions, as the page saved it."
    )
    review_at_least: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Also change labels that you did not decide on, from this surprise on; "
        "0: none.",
    )
    review_table: str = Field(
        "",
        description="The table of labels inside the image folder, where labels come from one; "
        "'': images are moved from one folder to the other.",
    )
    review_dry_run: bool = Field(True, description="True: only say what would be done.")
    review_undo: str = Field(
        "", description="An undo file: undo what it holds, and do nothing else."
    )
