"""The settings of review_labels.py."""

from typing import ClassVar

from pydantic import Field

from src.settings.keys import ImageFolder, KeepDelete, ScriptSettings


class ReviewLabels(ScriptSettings, ImageFolder, KeepDelete):
    """Correct labels that you found wrong on the page suspects.html of a model."""

    script: ClassVar[str] = "review_labels"

    review_decisions: str = Field(
        "", description="The file that the page saved: label_decisions.csv."
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
