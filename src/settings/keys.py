"""What the settings of scripts are made of: types of values, and groups of keys."""

import ntpath
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    model_validator,
)
from pydantic.fields import FieldInfo

from src.text import command


def key(default: Any, meaning: str, **limits: Any) -> Any:
    """A setting."""
    return Field(default, description=meaning, **limits)


def fields(kind: type[BaseModel]) -> dict[str, FieldInfo]:
    """Every key with its field; those of training_args and evaluation_args last, with a dot."""
    plain, nested = dict[str, FieldInfo](), dict[str, FieldInfo]()
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            nested |= {f"{name}.{key}": value for key, value in inner.model_fields.items()}
        else:
            plain[name] = field
    return plain | nested


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _as_words(value: Any) -> Any:
    if not isinstance(value, str):
        return _as_tuple(value)
    return tuple(word.strip() for word in value.split(",") if word.strip())


def _expanded(value: Any) -> Any:
    """A path with `~` and %USERPROFILE% filled in; refused where Python read a \\t as a tab."""
    if not isinstance(value, str):
        return value
    if any(ord(character) < 32 for character in value):
        meant = repr(value)[1:-1].replace("\\", "/")
        raise ValueError(f'a backslash needs a second one, or write "{meant}"')
    return os.path.expanduser(ntpath.expandvars(value) if "%" in value else value)


Place = Annotated[str, BeforeValidator(_expanded)]  # of a file or folder
Share = Annotated[float, Field(ge=0, le=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Floats = Annotated[tuple[float, ...], BeforeValidator(_as_tuple)]
Integers = Annotated[tuple[int, ...], BeforeValidator(_as_tuple)]
Words = Annotated[tuple[str, ...], BeforeValidator(_as_words)]  # "a,b" or a list


def _as_pairs(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple(f"{name}={text}" for name, text in value.items())
    return _as_words(value)


Pairs = Annotated[tuple[str, ...], BeforeValidator(_as_pairs)]  # {"a": "b"}, or "a=b,c=d"

_AS_SHIPPED = ("models/my_model", "models/my_classifier")
_REPEATED = (  # from one command line in the one of another script, which comes next
    *("arguments", "device", "feature_store", "feature_extractor", "keep_folders"),
    *("delete_folders", "tag_files", "tag_commas"),
)


class Group(BaseModel):
    """Settings that cannot be changed once read; `1` does for a float, `True` not for an int."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, defer_build=True
    )

    def contradictions(self) -> list[str]:
        """What cannot be, a sentence each."""
        return []

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if problems := self.contradictions():
            raise ValueError("; ".join(problems))
        return self


class ScriptSettings(Group):
    """What every script's settings have."""

    script: ClassVar[str]  # its name, without .py
    essentials: ClassVar[tuple[str, ...]] = ()  # what --help shows, after the image folder

    top_level_image_directory: Place = key(
        "demo/images", "The folder of your images.", min_length=1
    )
    _words: dict[str, str] = PrivateAttr(default_factory=dict)  # as given on the command line

    def command(self, kind: "type[ScriptSettings] | None" = None, **changes: object) -> str:
        """The command line that was given, with changes; or one of another script on this folder.

        What was given and means the same in the other script is repeated there.
        """
        if kind is None:
            words = {key: text for key, text in self._words.items() if key != "meta_storage"}
            return command(self.script, **{**words, **changes})  # no password is repeated
        known = {"arguments", *fields(kind)}
        given = {key: self._words[key] for key in _REPEATED if key in self._words and key in known}
        given["top_level_image_directory"] = self.top_level_image_directory
        return command(kind.script, **{**given, **changes})

    @property
    def needs_images(self) -> bool:
        """Whether the image folder is read; undoing does not."""
        return not getattr(self, "undo", "")

    def notes(self) -> list[str]:
        """What has no effect, a sentence each."""
        return []


class FileChanges(Group):
    """Of every script that moves images, or writes files beside them."""

    dry_run: bool = key(True, "True: only say what would be changed; False: change it.")
    undo: Place = key("", "An undo file: undo what it holds, and do nothing else.")


class Training(Group):
    """What a training script does, and the models that it reads and writes."""

    modes: ClassVar[tuple[str, ...]]

    mode: Words = key(
        ("train", "evaluate"),
        "Joined by commas: train, evaluate (without train: measure load_model), spotlight (look at "
        "the results in Spotlight); for models of your taste also meta (search training settings).",
    )
    load_model: Place = key(
        "", "The folder of a model you trained, to start from or to use; '': none."
    )
    save_model: Place = key(
        "models/my_model", "The folder for the model, its figures and the report.", min_length=1
    )

    @property
    def chosen_folder(self) -> Path | None:
        """save_model, unless it is as arguments.py is shipped: then nobody chose it."""
        return None if self.save_model in _AS_SHIPPED else Path(self.save_model)

    @property
    def trains(self) -> bool:
        """Whether a model is trained; otherwise the one of load_model is measured."""
        return bool({"train", "meta"} & set(self.mode)) or not self.mode

    def contradictions(self) -> list[str]:
        unknown = [word for word in self.mode if word not in self.modes]
        problems = super().contradictions()
        problems += [f"mode {word!r} is not one of {', '.join(self.modes)}" for word in unknown]
        if not self.trains and not self.load_model:
            problems.append(f"mode {','.join(self.mode)!r} without 'train' needs load_model")
        return problems


class Split(Group):
    """Which images are kept back to test the model on."""

    fraction_for_test: float = key(0.25, "Share of the images kept back for testing.", ge=0, lt=1)
    test_pick_seed: Natural = key(42, "Another number picks other test images.")


class FeatureStore(Group):
    """Where what is computed of images is kept."""

    feature_store: Place = key(
        "", "Folder to keep computed features in; '' keeps them beside the images."
    )


class Device(Group):
    """What is computed on."""

    device: str = key(
        "auto",
        "What to compute on: auto, cpu, cuda, cuda:1, mps.",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = key(
        "auto",
        "How networks are computed: auto (the fastest way that agrees with float32), float32, "
        "bfloat16, float16.",
    )


class Computing(FeatureStore, Device):
    """What is computed on, and where features are kept."""


class KeepDelete(Group):
    """Which images a person kept and deleted."""

    keep_folders: Words = key(
        ("keep", "accepted"),
        "With loss_model 'bce': folders right below the image folder whose images you kept.",
        min_length=1,
    )
    delete_folders: Words = key(
        ("delete", "rejected"), "The same for images that you deleted.", min_length=1
    )


class InferenceArgs(Group):
    """How models are run."""

    per_device_eval_batch_size: Positive = key(
        32, "Images in one pass through the feature extractor."
    )


class UsedModel(Group):
    """A model that is there already."""

    load_model: Place = key(
        "", "The folder of a model you trained, or the file of a published head."
    )
    evaluation_args: InferenceArgs = Field(default_factory=InferenceArgs)


class EvaluationArgs(InferenceArgs):
    """How results are computed and shown."""

    bootstrap_samples: Natural = key(1000, "Resamples behind the 95% intervals; 0: no intervals.")
    report_images: int = key(12, "Thumbnails in each row of report.html.", ge=0, le=200)
