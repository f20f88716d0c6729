"""The settings of score_images.py."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from src.settings.keys import (
    Computing,
    Floats,
    ImageFolder,
    InferenceArgs,
    ScriptSettings,
    Texts,
)


def _not_score_file(value: Any) -> Any:
    if value == "score_file":
        raise ValueError(
            "this action is gone: python run.py aesthetic_score_from_model gives images that you "
            "have not rated the model's scores in score.json"
        )
    return value


class ScoreImages(ScriptSettings, ImageFolder, Computing):
    """Let a trained model score any folder of images, and act on the scores."""

    script: ClassVar[str] = "score_images"

    load_model: str = Field(
        "",
        description="The folder of a model you trained, or the file of a published head.",
    )
    score_output: str = Field(
        "scored",
        min_length=1,
        description="The folder that gets the table, the gallery and the undo files.",
    )
    score_table: str = Field(
        "scores.csv",
        pattern=r"^[^/\\]+\.(csv|json|parquet)$",
        description="Name of the table in it; ends in .csv, .json or .parquet.",
    )
    score_first: Literal["best", "worst"] = Field(
        "best",
        description="Which images the table begins with; 'touch' makes them the newest. 'worst' "
        "puts those that you would rather delete first.",
    )
    score_gallery: Literal["thumbnails", "images", "off"] = Field(
        "thumbnails",
        description="gallery.html with small copies of the images, with the images themselves "
        "(no extra files, slower to look through), or no gallery (off).",
    )
    score_action: Annotated[
        Literal["table", "touch", "xmp", "copy", "move", "link"], BeforeValidator(_not_score_file)
    ] = Field(
        "table",
        description="'table': nothing more. 'touch': modification times in the order of the "
        "scores. 'xmp': stars in sidecar files. 'copy', 'move', 'link': images into folders by "
        "their scores.",
    )
    score_dry_run: bool = Field(
        True, description="True: only say what the action would do; False: do it."
    )
    score_undo: str = Field(
        "", description="An undo file: undo what it holds, and do nothing else."
    )
    score_export: str = Field(
        "",
        description="A folder: write a light copy of the model there, which runs on processors "
        "without torch, and do nothing else.",
    )
    score_cuts: Floats = Field(
        (0.1, 0.35, 0.65, 0.9),
        description="Where the scores are cut into steps, rising: four cuts make five stars or "
        "folders.",
    )
    score_cut_by: Literal["quantile", "score", "percentile", "probability"] = Field(
        "quantile",
        description="What the cuts are in: the share of this folder's images below (0 to 1), the "
        "score, the percentile among the training images (0 to 100), or the probability of "
        "keeping (0 to 1).",
    )
    score_folders: Texts = Field(
        ("1", "2", "3", "4", "5"),
        description="Folders for the steps, from the lowest; one more than cuts. '' leaves the "
        "images of a step where they are.",
    )
    score_into: str = Field(
        "", description="Where these folders are made; not inside the image folder."
    )
    score_xmp_naming: Literal["image.xmp", "image.jpg.xmp"] = Field(
        "image.xmp",
        description="How sidecars are named: 'image.xmp' (Adobe programs, Capture One) or "
        "'image.jpg.xmp' (digiKam, darktable).",
    )
    engine: Literal["local", "ray"] = Field(
        "local",
        description="Who computes: this process, or the workers of a Ray cluster (ray).",
    )
    ray_address: str = Field(
        "",
        description="A Ray cluster: 'auto' or 'HOST:6379'; '' starts one on this computer for "
        "the time of the run.",
    )
    ray_workers: int = Field(
        0, ge=0, description="How many; 0: one for each GPU, without GPUs one for each processor."
    )
    evaluation_args: InferenceArgs = Field(default_factory=InferenceArgs)

    @model_validator(mode="after")
    def _consistent(self) -> "ScoreImages":
        problems = []
        if list(self.score_cuts) != sorted(set(self.score_cuts)):
            problems.append("score_cuts must rise")
        arranging = self.score_action in {"copy", "move", "link"}
        if arranging and len(self.score_folders) != len(self.score_cuts) + 1:
            problems.append(
                f"{len(self.score_cuts)} score_cuts make {len(self.score_cuts) + 1} steps, but "
                f"there are {len(self.score_folders)} score_folders"
            )
        if arranging and not self.score_into:
            problems.append(f"score_action {self.score_action!r} needs score_into")
        if self.score_action == "xmp" and len(self.score_cuts) != 4:
            problems.append("five stars need four score_cuts")
        unsafe = [name for name in self.score_folders if {"/", "\\"} & set(name) or name == ".."]
        if unsafe:
            problems.append(f"score_folders holds {unsafe[0]!r}, which is no name of a folder")
        if "://" in self.top_level_image_directory and self.score_action != "table":
            problems.append(
                f"score_action {self.score_action!r} needs a folder, and "
                f"{self.top_level_image_directory} is none"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self
