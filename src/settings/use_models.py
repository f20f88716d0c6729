"""The settings of the scripts that let a model look at any folder of images."""

from typing import Literal

from src.settings import keys
from src.settings.keys import Floats, Natural, Place, Share, Words, key
from src.settings.tags import TagFiles, TagWriting
from src.text import counted

_TABLE_NAME = r"^[^/\\]+\.(csv|json|parquet)$"


class ScoreImages(keys.ScriptSettings, keys.UsedModel, keys.Computing, keys.FileChanges):
    """Let a trained model score any folder of images, and act on the scores."""

    script = "score_images"
    essentials = (
        *("load_model", "output", "first", "action", "cuts", "cut_by", "folders", "into"),
        *("dry_run", "undo"),
    )

    output: Place = key(
        "scored",
        "The folder for table, gallery and undo files; 'scored': one in it for each image folder.",
        min_length=1,
    )
    table: str = key("scores.csv", "The table; .csv, .json or .parquet.", pattern=_TABLE_NAME)
    first: Literal["best", "worst"] = key(
        "best", "Which images come first in the table, and are the newest after 'touch'."
    )
    gallery: Literal["thumbnails", "images", "off"] = key(
        "thumbnails", "gallery.html with small copies of the images, or with the images themselves."
    )
    action: Literal["table", "touch", "xmp", "copy", "move", "link"] = key(
        "table",
        "'table': nothing more. 'touch': modification times in the order of the scores. 'xmp': "
        "stars in sidecar files. 'copy', 'move', 'link': images into folders by their scores.",
    )
    cuts: Floats = key(
        (0.1, 0.35, 0.65, 0.9),
        "Where scores are cut, in rising order: four cuts make five stars or folders.",
    )
    cut_by: Literal["quantile", "score", "percentile", "probability"] = key(
        "quantile",
        "What the cuts are: shares of this folder's images (0 to 1), scores, percentiles of the "
        "training images (0 to 100), or probabilities of keeping (0 to 1).",
    )
    folders: Words = key(
        ("1", "2", "3", "4", "5"), "Folders from the lowest scores up; '': these images stay."
    )
    into: Place = key("", "Where these folders are made, outside the image folder.")
    xmp_naming: Literal["image.xmp", "image.jpg.xmp"] = key(
        "image.xmp", "The first: Adobe programs, Capture One. The second: digiKam, darktable."
    )
    export: Place = key(
        "", "A folder: only write a light copy of the model there, which runs without torch."
    )
    engine: Literal["local", "ray"] = key(
        "local", "What computes: this process, or the workers of a Ray cluster (ray)."
    )
    ray_address: str = key(
        "", "A Ray cluster: 'auto' or 'HOST:6379'; '': one on this computer, for this run."
    )
    ray_workers: Natural = key(
        0, "Ray workers; 0: one for each GPU, without GPUs one for each processor."
    )

    @property
    def needs_images(self) -> bool:
        return not (self.undo or self.export)

    def contradictions(self) -> list[str]:
        problems = []
        if list(self.cuts) != sorted(set(self.cuts)):
            problems.append("cuts must rise")
        arranging = self.action in {"copy", "move", "link"}
        if arranging and len(self.folders) != len(self.cuts) + 1:
            problems.append(
                f"{counted(len(self.cuts), 'cut')} need one more folder: give "
                f"{counted(len(self.cuts) + 1, 'name')} in folders, not {len(self.folders)}"
            )
        if arranging and not self.into:
            problems.append(f"action {self.action!r} needs 'into', a folder to put the images in")
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
        return problems


class ClassifyImages(keys.ScriptSettings, keys.UsedModel, keys.Computing, keys.FileChanges):
    """Let a trained classifier sort any folder of images."""

    script = "classify_images"
    essentials = ("load_model", "action", "table", "rank_by", "into", "minimum", "dry_run", "undo")

    action: Literal["table", "copy", "move", "link"] = key(
        "table",
        "'table': a CSV table. Or 'copy', 'move', 'link' images into a folder each as well.",
    )
    table: Place = key(
        "classified.csv",
        "The CSV table; 'classified.csv': in classified, a folder for each image folder.",
        min_length=1,
    )
    rank_by: str = key("", "A category whose most probable images come first in the table.")
    into: Place = key("", "Where the folders of the categories are made.")
    minimum: Share = key(0.0, "Images with a less probable category stay where they are.")


class TagImages(keys.ScriptSettings, keys.UsedModel, keys.Device, TagFiles, TagWriting):
    """Let a trained model write the tag files of any folder of images."""

    script = "tag_images"
    essentials = (
        *("load_model", "action", "existing", "tag_files", "tag_commas", "threshold", "top_k"),
        *("category_thresholds", "tag_format", "whitelist", "blacklist", "dry_run", "undo"),
    )

    action: Literal["tag", "list", "serve", "export"] = key(
        "tag",
        "'tag': write tag files. 'list': show the tags that the model knows. 'serve': a page in "
        "the browser that tags what is dropped on it. 'export': write model.onnx.",
    )
    backend: Literal["auto", "onnx", "torch"] = key(
        "auto", "'auto': model.onnx if there is one, otherwise the weights on torch."
    )
    whitelist: Place = key(
        "whitelist.txt", "A file of the only tags that may be given, if there is such a file."
    )
    blacklist: Place = key("", "A file of tags that are never given; '': none.")
    threshold_scope: Literal["global", "category", "tag"] = key(
        "global", "Which of the model's thresholds count."
    )
    threshold: Share = key(0.0, "One threshold for all tags; 0: the model's own.")
    top_k: Natural = key(0, "Give each image this many tags, the most probable; 0: by threshold.")
    probabilities: Place = key("", "Write every tag's probability to this CSV table; '': none.")
    port: int = key(8765, "Port on 127.0.0.1 for 'serve'; 0 takes a free one.", ge=0, le=65535)

    @property
    def needs_images(self) -> bool:
        return self.action == "tag" and not self.undo
