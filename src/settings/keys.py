"""Every key of arguments.py, grouped by concern, with its meaning, type, range and default.

A script's settings (`src.settings.scripts`) are made of these groups.
"""

import ntpath
import os
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _expanded(value: Any) -> Any:
    """A path with `~` and %USERPROFILE% filled in; refused where Python read a \\t as a tab."""
    if not isinstance(value, str):
        return value
    if any(ord(character) < 32 for character in value):
        meant = repr(value)[1:-1].replace("\\", "/")
        raise ValueError(f'a backslash needs a second one, or write "{meant}"')
    return os.path.expanduser(ntpath.expandvars(value) if "%" in value else value)


Place = Annotated[str, BeforeValidator(_expanded)]  # of a file or folder
Floats = Annotated[tuple[float, ...], BeforeValidator(_as_tuple)]
Integers = Annotated[tuple[int, ...], BeforeValidator(_as_tuple)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


_AS_SHIPPED = ("models/my_model", "models/my_classifier")


class Group(BaseModel):
    """Settings that cannot be changed once read; `1` does for a float, `True` not for an int."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", protected_namespaces=(), defer_build=True
    )


class ScriptSettings(Group):
    """What every script's settings have."""

    script: ClassVar[str]  # its name, without .py
    essentials: ClassVar[tuple[str, ...]] = ()  # what --help shows, after the image folder

    @property
    def needs_images(self) -> bool:
        """Whether the image folder is read; undoing does not."""
        return not getattr(self, "undo", "")


class FileChanges(Group):
    """Of every script that moves images, or writes files beside them."""

    dry_run: bool = Field(
        True, description="True: only say what would be changed; False: change it."
    )
    undo: Place = Field("", description="An undo file: undo what it holds, and do nothing else.")


class ImageFolder(Group):
    """Where the images are."""

    top_level_image_directory: Place = Field(
        "demo/images", min_length=1, description="The folder that holds your images."
    )


class Models(Group):
    """Which models are read and written."""

    load_model: Place = Field(
        "",
        description="The folder of a model you trained, to go on from or to use; '' for none.",
    )
    save_model: Place = Field(
        "models/my_model",
        min_length=1,
        description="The folder that the trained model, its figures and the report go to.",
    )

    @property
    def chosen_folder(self) -> Path | None:
        """save_model, unless it is as arguments.py is shipped: then nobody chose it."""
        return None if self.save_model in _AS_SHIPPED else Path(self.save_model)


class Split(Group):
    """Which images are kept back to test the model on."""

    fraction_for_test: float = Field(
        0.25, ge=0, lt=1, description="Share of the images kept back for testing."
    )
    test_pick_seed: int = Field(
        42, ge=0, description="Which images those are; another number picks others."
    )


class FeatureStore(Group):
    """Where what is computed of images is kept."""

    feature_store: Place = Field(
        "",
        description="Folder to keep computed features in; '' keeps them beside the images.",
    )


class Device(Group):
    """What is computed on."""

    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="What to compute on: auto, cpu, cuda, cuda:1, mps.",
    )


class Computing(FeatureStore, Device):
    """What is computed on, and where features are kept."""


class Features(Computing):
    """How images become numbers."""

    feature_extractor: Place = Field(
        "ViT-L/14",
        min_length=1,
        description="What describes an image in numbers: 'ViT-L/14' and other CLIP names, any "
        "vision model on the hub or in a folder, 'builtin' (hand-made, no download, fast), "
        "'clip:NAME' (the clip package), or several joined with '+'.",
    )
    hidden_states: Integers = Field(
        (),
        description="Hidden layers of the extractor whose mean joins its output: [-2] is the "
        "last but one.",
    )


class Ratings(Group):
    """Where an image's score comes from."""

    use_score_file: bool | str = Field(
        True,
        description="True: score.json or scores.csv where there is one, otherwise the names of "
        "the folders; False: always the names of the folders, which must be whole numbers; or "
        "the name of a score file inside the image folder.",
    )


class KeepDelete(Group):
    """Which images a person kept and deleted."""

    keep_folders: Texts = Field(
        ("keep", "accepted"),
        min_length=1,
        description="With loss_model 'bce': folders right below the image folder whose images "
        "you kept.",
    )
    delete_folders: Texts = Field(
        ("delete", "rejected"), min_length=1, description="The same of images you deleted."
    )


class InferenceArgs(Group):
    """How models are run."""

    per_device_eval_batch_size: int = Field(
        32, ge=1, description="Images in one pass through the feature extractor."
    )


class UsedModel(Group):
    """A model that is there already."""

    load_model: Place = Field(
        "", description="The folder of a model you trained, or the file of a published head."
    )
    evaluation_args: InferenceArgs = Field(default_factory=InferenceArgs)


class EvaluationArgs(InferenceArgs):
    """How results are computed and shown."""

    bootstrap_samples: int = Field(
        1000, ge=0, description="Resamples behind the 95 % intervals; 0: no intervals."
    )
    report_images: int = Field(
        12, ge=0, le=200, description="Thumbnails in each row of report.html."
    )


def parse_modes(value: Any, allowed: tuple[str, ...]) -> Any:
    """'train,evaluate' as ('train', 'evaluate'); unknown words raise ValueError."""
    if not isinstance(value, str):
        return value
    words = tuple(word.strip() for word in value.split(",") if word.strip())
    unknown = [word for word in words if word not in allowed]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not one of {', '.join(allowed)}")
    return words
