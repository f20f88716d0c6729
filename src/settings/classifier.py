"""The settings of custom_classifier_training.py."""

from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from src.settings import keys
from src.settings.keys import Group, Natural, Place, key
from src.settings.tags import TagTraining


class TrainerArgs(Group):
    """Every name that transformers' TrainingArguments has; the values are passed on unchanged."""

    model_config = ConfigDict(extra="allow")

    @property
    def given(self) -> dict[str, Any]:
        """What the user wrote, by name."""
        return dict(self.model_extra or {})


_CHANGES = ("flip", "crop", "rotation", "colour", "cutout", "mixup", "cutmix")
_PRESETS = {  # the values of augment_flip and so on that `augment` stands for
    "off": (False, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "light": (True, 0.6, 10.0, 0.2, 0.0, 0.0, 0.0),
    "strong": (True, 0.35, 20.0, 0.4, 0.25, 0.2, 1.0),
}


class Augmenting(Group):
    """How training images are varied while the whole model is trained."""

    augment: Literal["off", "light", "strong"] = key(
        "light",
        "How strongly images are augmented with train_backbone; augment_... change its parts.",
    )
    augment_flip: bool = key(True, "Mirror half of the images, left to right.")
    augment_crop: float = key(0.6, "Smallest share of the area cut out; 1: all.", gt=0, le=1)
    augment_rotation: float = key(10.0, "Largest turn to either side, in degrees.", ge=0, le=180)
    augment_colour: float = key(0.2, "Change of brightness, contrast, saturation.", ge=0, lt=1)
    augment_cutout: float = key(0.0, "Side of a square blanked out, as a share.", ge=0, lt=1)
    augment_mixup: float = key(0.0, "Alpha of MixUp, which blends pairs; 0.2; 0: off.", ge=0)
    augment_cutmix: float = key(0.0, "Alpha of CutMix, which pastes parts; 1; 0: off.", ge=0)

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        """The values that go with `augment`, where none is given."""
        values = dict(zip(_CHANGES, _PRESETS.get(str(given.get("augment")), ()), strict=False))
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
    keys.ScriptSettings, keys.Split, keys.Training, keys.Computing, Augmenting, TagTraining
):
    """Train, measure and save a classifier of images from folders, one for each category."""

    script = "custom_classifier_training"
    modes = ("train", "evaluate", "spotlight")
    essentials = (
        *("mode", "label_source", "base_model", "save_model", "load_model", "train_backbone"),
        *("augment", "weight_category_loss", "fraction_for_test"),
    )

    label_source: Literal["folders", "tags"] = key(
        "folders",
        "'folders': one category for each image, the name of its folder. 'tags': any number of "
        "tags for each image.",
    )
    base_model: Place = key(
        "auto",
        "The model that training starts from: any image model of transformers, by its name on the "
        "hub or as a folder. 'auto' is google/vit-base-patch16-224-in21k.",
        min_length=1,
    )
    train_backbone: bool = key(
        False,
        "True: train the whole model, with augmented images (hours on a processor, minutes on a "
        "GPU). False: only its last layer, on features that are computed once (seconds).",
    )
    fraction_for_validation: float = key(
        0.15,
        "Share of the training images that the best epoch is chosen on; 0: keep the last.",
        ge=0,
        lt=1,
    )
    eval_every_n_epochs: Natural = key(
        10, "Epochs between measurements on the validation images; 0: never measure."
    )
    early_stopping_patience: Natural = key(
        0, "Stop after this many measurements without improvement; 0: never."
    )
    weight_category_loss: bool = key(False, "Rare categories weigh as much as common ones.")
    ema_decay: float = key(
        0.0, "Use a running average of the weights; 0.999 is usual; 0: off.", ge=0, lt=1
    )
    freeze_batch_norm: bool = key(
        True, "Keep the base model's batch statistics; False for random weights."
    )
    resume: bool = key(True, "Continue a run with the same settings that was stopped.")

    training_args: TrainerArgs = Field(default_factory=TrainerArgs)
    evaluation_args: keys.EvaluationArgs = Field(default_factory=keys.EvaluationArgs)

    @property
    def start(self) -> str:
        """The model that training starts from."""
        usual = "google/vit-base-patch16-224-in21k"
        return self.load_model or (usual if self.base_model == "auto" else self.base_model)

    def contradictions(self) -> list[str]:
        problems = super().contradictions()
        measured = self.eval_every_n_epochs and self.fraction_for_validation
        if self.early_stopping_patience and not measured:
            problems.append(
                "early_stopping_patience needs eval_every_n_epochs and fraction_for_validation"
            )
        if "spotlight" in self.mode and self.label_source == "tags":
            problems.append("mode 'spotlight' shows classifiers: label_source must be 'folders'")
        return problems
