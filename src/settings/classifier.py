"""The settings of custom_classifier_training.py."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from src.settings.keys import (
    Computing,
    EvaluationArgs,
    Group,
    ImageFolder,
    Models,
    ScriptSettings,
    Split,
    parse_modes,
)
from src.settings.tags import TagTraining
from src.settings.training_arguments import TrainerArgs

MODES = ("train", "evaluate", "spotlight")


_CHANGES = ("flip", "crop", "rotation", "colour", "cutout", "mixup", "cutmix")
_PRESETS = {  # the values of augment_flip and so on that `augment` stands for
    "off": (False, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "light": (True, 0.6, 10.0, 0.2, 0.0, 0.0, 0.0),
    "strong": (True, 0.35, 20.0, 0.4, 0.25, 0.2, 1.0),
}


class Augmenting(Group):
    """How training images are varied while the whole model is trained."""

    augment: Literal["off", "light", "strong"] = Field(
        "light",
        description="How much training images are varied while the whole model is trained; the "
        "keys augment_... replace single parts of it.",
    )
    augment_flip: bool = Field(True, description="Mirror half of the images, left to right.")
    augment_crop: float = Field(
        0.6, gt=0, le=1, description="Smallest share of an image's area that is cut out; 1: all."
    )
    augment_rotation: float = Field(
        10.0, ge=0, le=180, description="Largest turn to either side, in degrees."
    )
    augment_colour: float = Field(
        0.2, ge=0, lt=1, description="Largest change of brightness, contrast and saturation."
    )
    augment_cutout: float = Field(
        0.0, ge=0, lt=1, description="Side of the square that is blanked out, as a share."
    )
    augment_mixup: float = Field(
        0.0, ge=0, description="Alpha of MixUp, which blends pairs of images; 0.2 is usual; 0: off."
    )
    augment_cutmix: float = Field(
        0.0, ge=0, description="Alpha of CutMix, which pastes a part of another image; 0: off."
    )

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        """The values that go with `augment`, where none is given."""
        values = dict(zip(_CHANGES, _PRESETS.get(given.get("augment"), ()), strict=False))
        return {f"augment_{name}": value for name, value in values.items()} | given

    @property
    def blends(self) -> bool:
        """Whether images are blended, so that labels become proportions."""
        return self.augment_mixup > 0 or self.augment_cutmix > 0

    @property
    def augments(self) -> bool:
        """Whether training images are changed in any way."""
        moved = self.augment_flip or self.augment_crop < 1 or self.augment_rotation > 0
        recoloured = self.augment_colour > 0 or self.augment_cutout > 0
        return moved or recoloured or self.blends


class ClassifierTraining(
    ScriptSettings, ImageFolder, Split, Models, Computing, Augmenting, TagTraining
):
    """Train, measure and save a classifier of images from folders, one for each category."""

    script: ClassVar[str] = "custom_classifier_training"
    essentials: ClassVar[tuple[str, ...]] = (
        *("mode", "label_source", "base_model", "save_model", "load_model", "train_backbone"),
        *("augment", "weight_category_loss", "fraction_for_test"),
    )

    mode: Annotated[tuple[str, ...], BeforeValidator(lambda value: parse_modes(value, MODES))] = (
        Field(
            ("train", "evaluate"),
            description="What to do, joined by commas: train, evaluate (without train: measure "
            "load_model), spotlight (look at the results in the Spotlight browser). '' means "
            "train.",
        )
    )
    label_source: Literal["folders", "tags"] = Field(
        "folders",
        description="'folders': one category for each image, the name of its folder. 'tags': any "
        "number of tags for each image.",
    )
    base_model: str = Field(
        "auto",
        min_length=1,
        description="The model that training starts from: any image model of transformers, by "
        "its name on the hub or as a folder. 'auto' is google/vit-base-patch16-224-in21k.",
    )
    train_backbone: bool = Field(
        False,
        description="True: train the whole model, with varied images (hours on a processor, "
        "minutes on a GPU). False: only its last layer, on features that are computed once "
        "(seconds).",
    )
    fraction_for_validation: float = Field(
        0.15,
        ge=0,
        lt=1,
        description="Share of the training images on which the best epoch is chosen, so that the "
        "test images stay unseen; 0: the last epoch is kept.",
    )
    eval_every_n_epochs: int = Field(
        10, ge=0, description="Measure on the validation images every so many epochs; 0: never."
    )
    early_stopping_patience: int = Field(
        0, ge=0, description="Stop after so many measurements without a better one; 0: never."
    )
    weight_category_loss: bool = Field(
        False, description="Count rare categories more, so that all weigh the same in training."
    )
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Keep a running average of the weights, and use that; 0.999 is usual; 0: off.",
    )
    freeze_batch_norm: bool = Field(
        True,
        description="Batch normalisation keeps the statistics of the base model, as is right for "
        "pretrained models and small batches; False for a model with random weights.",
    )
    resume: bool = Field(True, description="Go on where a run with the same settings was stopped.")

    training_args: TrainerArgs = Field(default_factory=TrainerArgs)
    evaluation_args: EvaluationArgs = Field(default_factory=EvaluationArgs)

    @property
    def start(self) -> str:
        """The model that training starts from."""
        automatic = self.base_model == "auto"
        return self.load_model or (
            "google/vit-base-patch16-224-in21k" if automatic else self.base_model
        )

    @property
    def trains(self) -> bool:
        """Whether a model is trained, not only evaluated."""
        return "train" in self.mode or not self.mode

    @model_validator(mode="after")
    def _consistent(self) -> "ClassifierTraining":
        problems = []
        if self.mode and "train" not in self.mode and not self.load_model:
            problems.append(f"mode {','.join(self.mode)!r} without 'train' needs load_model")
        if self.early_stopping_patience and not (
            self.eval_every_n_epochs and self.fraction_for_validation
        ):
            problems.append(
                "early_stopping_patience needs eval_every_n_epochs and fraction_for_validation"
            )
        if "spotlight" in self.mode and self.label_source == "tags":
            problems.append("mode 'spotlight' shows classifiers: label_source must be 'folders'")
        if problems:
            raise ValueError("; ".join(problems))
        return self
