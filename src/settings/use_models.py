"""The settings of the scripts that let a model look at any folder of images."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from src.settings.keys import (
    Computing,
    Device,
    FileChanges,
    Floats,
    ImageFolder,
    Place,
    ScriptSettings,
    Texts,
    UsedModel,
)
from src.settings.tags import ExistingTags, TagFiles


def _not_score_file(value: Any) -> Any:
    if value == "score_file":
        raise ValueError(
            "this action is gone: python run.py aesthetic_score_from_model gives images that you "
            "have not rated the model's scores in score.json"
        )
    return value


class ScoreImages(ScriptSettings, ImageFolder, UsedModel, Computing, FileChanges):
    """Let a trained model score any folder of images, and act on the scores."""

    script: ClassVar[str] = "score_images"
    essentials: ClassVar[tuple[str, ...]] = (
        *("load_model", "output", "first", "action", "cuts", "cut_by", "folders", "into"),
        *("dry_run", "undo"),
    )

    output: Place = Field(
        "scored",
        min_length=1,
        description="The folder that gets the table, the gallery and the undo files.",
    )
    table: str = Field(
        "scores.csv",
        pattern=r"^[^/\\]+\.(csv|json|parquet)$",
        description="Name of the table in it; ends in .csv, .json or .parquet.",
    )
    first: Literal["best", "worst"] = Field(
        "best",
        description="Which images the table begins with; 'touch' makes them the newest. 'worst' "
        "puts those that you would rather delete first.",
    )
    gallery: Literal["thumbnails", "images", "off"] = Field(
        "thumbnails",
        description="gallery.html with small copies of the images, with the images themselves "
        "(no extra files, slower to look through), or no gallery (off).",
    )
    action: Annotated[
        Literal["table", "touch", "xmp", "copy", "move", "link"], BeforeValidator(_not_score_file)
    ] = Field(
        "table",
        description="'table': nothing more. 'touch': modification times in the order of the "
        "scores. 'xmp': stars in sidecar files. 'copy', 'move', 'link': images into folders by "
        "their scores.",
    )
    cuts: Floats = Field(
        (0.1, 0.35, 0.65, 0.9),
        description="Where the scores are cut into steps, from low to high: four cuts make five "
        "stars or folders.",
    )
    cut_by: Literal["quantile", "score", "percentile", "probability"] = Field(
        "quantile",
        description="What the cuts are: shares of this folder's images (0 to 1), scores, "
        "percentiles of the training images (0 to 100), or probabilities of keeping (0 to 1).",
    )
    folders: Texts = Field(
        ("1", "2", "3", "4", "5"),
        description="Folders for the steps, from the lowest; one more than cuts. '' leaves the "
        "images of a step where they are.",
    )
    into: Place = Field("", description="Where these folders are made, outside the image folder.")
    xmp_naming: Literal["image.xmp", "image.jpg.xmp"] = Field(
        "image.xmp",
        description="How sidecars are named: 'image.xmp' (Adobe programs, Capture One) or "
        "'image.jpg.xmp' (digiKam, darktable).",
    )
    export: Place = Field(
        "",
        description="A folder: write a light copy of the model there, which runs on processors "
        "without torch, and do nothing else.",
    )
    engine: Literal["local", "ray"] = Field(
        "local", description="Who computes: this process, or the workers of a Ray cluster (ray)."
    )
    ray_address: str = Field(
        "",
        description="A Ray cluster: 'auto' or 'HOST:6379'; '' starts one on this computer for "
        "the time of the run.",
    )
    ray_workers: int = Field(
        0, ge=0, description="How many; 0: one for each GPU, without GPUs one for each processor."
    )

    @property
    def needs_images(self) -> bool:
        return not (self.undo or self.export)

    @model_validator(mode="after")
    def _consistent(self) -> "ScoreImages":
        problems = []
        if list(self.cuts) != sorted(set(self.cuts)):
            problems.append("cuts must rise")
        arranging = self.action in {"copy", "move", "link"}
        if arranging and len(self.folders) != len(self.cuts) + 1:
            problems.append(
                f"{len(self.cuts)} cuts make {len(self.cuts) + 1} steps, but there are "
                f"{len(self.folders)} folders"
            )
        if arranging and not self.into:
            problems.append(f"action {self.action!r} needs into, a folder to put the images in")
        if self.action == "xmp" and len(self.cuts) != 4:
            problems.append("five stars need four cuts")
        unsafe = [name for name in self.folders if {"/", "\\"} & set(name) or name == ".."]
        if unsafe:
            problems.append(f"folders: {unsafe[0]!r} is not the name of a folder")
        if "://" in self.top_level_image_directory and self.action != "table":
            problems.append(
                f"action {self.action!r} needs a folder, and {self.top_level_image_directory} is "
                "none"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _was_a_switch(value: Any) -> Any:
    """True, in version bc9c4d7, stood for the notes in `into`."""
    return {"False": "", "True": "True"}.get(str(value), value)


class ClassifyImages(ScriptSettings, ImageFolder, UsedModel, Computing, FileChanges):
    """Let a trained classifier sort any folder of images."""

    script: ClassVar[str] = "classify_images"
    essentials: ClassVar[tuple[str, ...]] = (
        *("load_model", "action", "table", "rank_by", "into", "minimum", "dry_run", "undo"),
    )

    action: Literal["table", "copy", "move", "link"] = Field(
        "table",
        description="'table': write a CSV table. 'copy', 'move', 'link': put the images into one "
        "folder for each category as well.",
    )
    table: Place = Field(
        "classified.csv", min_length=1, description="The CSV table that is written."
    )
    rank_by: str = Field(
        "",
        description="A category: the table begins with its most probable images. '': sorted by "
        "path.",
    )
    into: Place = Field("", description="Where the folders of the categories are made.")
    minimum: float = Field(
        0.0, ge=0, le=1, description="Images with a less probable category stay where they are."
    )
    undo: Annotated[Place, BeforeValidator(_was_a_switch)] = Field(
        "", description="An undo file: undo what it holds, and do nothing else."
    )


class TagImages(ScriptSettings, ImageFolder, UsedModel, Device, TagFiles, ExistingTags):
    """Let a trained model write the tag files of any folder of images."""

    script: ClassVar[str] = "tag_images"
    essentials: ClassVar[tuple[str, ...]] = (
        *("load_model", "action", "existing", "tag_files", "tag_commas", "threshold", "top_k"),
        *("whitelist", "blacklist", "dry_run", "undo"),
    )

    action: Literal["tag", "list", "serve", "export"] = Field(
        "tag",
        description="'tag': write tag files. 'list': show the tags that the model knows. 'serve': "
        "a page in the browser that tags what is dropped on it. 'export': write model.onnx.",
    )
    backend: Literal["auto", "onnx", "torch"] = Field(
        "auto", description="'auto': model.onnx if there is one, otherwise the weights on torch."
    )
    whitelist: Place = Field(
        "whitelist.txt",
        description="A file of the only tags that may be given, one on a line, if there is such a "
        "file.",
    )
    blacklist: Place = Field("", description="A file of tags that are never given; '' for none.")
    threshold_scope: Literal["global", "category", "tag"] = Field(
        "global", description="Which of the model's thresholds count."
    )
    threshold: float = Field(
        0.0, ge=0, le=1, description="One threshold instead of the model's own; 0 for those."
    )
    top_k: int = Field(
        0, ge=0, description="Give each image this many tags, the likeliest; 0: by threshold."
    )
    probabilities: Place = Field(
        "", description="Write every tag's probability to this CSV table; '' for none."
    )
    port: int = Field(
        8765, ge=0, le=65535, description="Port on 127.0.0.1 for 'serve'; 0 takes a free one."
    )

    @property
    def needs_images(self) -> bool:
        return self.action == "tag" and not self.undo
