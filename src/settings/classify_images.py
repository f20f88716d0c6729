"""The settings of classify_images.py."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from src.settings.keys import Computing, ImageFolder, InferenceArgs, ScriptSettings


def _was_a_switch(value: Any) -> Any:
    """True, in version bc9c4d7, stood for the notes in classify_into."""
    return {"False": "", "True": "True"}.get(str(value), value)


class ClassifyImages(ScriptSettings, ImageFolder, Computing):
    """Let a trained classifier sort any folder of images."""

    script: ClassVar[str] = "classify_images"

    load_model: str = Field(
        "", description="The folder of the classifier that custom_classifier_training saved."
    )
    classify_action: Literal["table", "copy", "move", "link"] = Field(
        "table",
        description="'table': write a CSV table. 'copy', 'move', 'link': put the images into one "
        "folder for each category as well.",
    )
    classify_table: str = Field(
        "classified.csv", min_length=1, description="The CSV table that is written."
    )
    classify_rank_by: str = Field(
        "",
        description="A category: the table begins with the images that most probably belong to "
        "it. '': sorted by path.",
    )
    classify_into: str = Field(
        "", description="The folder that gets the folders of the categories."
    )
    classify_minimum: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Images whose category is less probable than this stay where they are.",
    )
    classify_dry_run: bool = Field(
        True, description="True: only say what would be copied, moved or linked."
    )
    classify_undo: Annotated[str, BeforeValidator(_was_a_switch)] = Field(
        "", description="An undo file: undo what it holds, and do nothing else."
    )
    evaluation_args: InferenceArgs = Field(default_factory=InferenceArgs)
