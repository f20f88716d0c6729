"""The settings of aesthetic_predictor_training.py."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from src.settings.keys import (
    EvaluationArgs,
    Features,
    Floats,
    ImageFolder,
    Integers,
    KeepDelete,
    Models,
    PredictorTrainingArgs,
    Ratings,
    ScriptSettings,
    Split,
    parse_modes,
)

MODES = ("train", "evaluate", "meta", "spotlight")


class AestheticTraining(ScriptSettings, ImageFolder, Ratings, KeepDelete, Split, Features, Models):
    """Train, measure and save a model of your taste."""

    script: ClassVar[str] = "aesthetic_predictor_training"

    mode: Annotated[tuple[str, ...], BeforeValidator(lambda value: parse_modes(value, MODES))] = (
        Field(
            ("train", "evaluate"),
            description="What to do, joined by commas: train, evaluate (with load_model: measure "
            "that model without training), meta (search the best training settings), spotlight "
            "(look at the results in the Spotlight browser). '' means train.",
        )
    )
    head: Literal["auto", "ridge", "kernel", "gp", "logistic", "pairwise", "mlp"] = Field(
        "auto",
        description="What turns features into a score: 'ridge' (linear), 'kernel' and 'gp' "
        "(curved), 'pairwise' (learns from your choices themselves), 'mlp' (the network of the "
        "published heads, trained with training_args), or 'auto' (whichever of the first three "
        "does best in cross-validation on the training images). 'logistic' is for loss_model "
        "'bce', where 'auto' tries it as well.",
    )
    text_features: bool = Field(
        False,
        description="True: file names are features too: by the text side of CLIP or SigLIP, or "
        "hashed. The results are told with and without.",
    )
    base_model: str = Field(
        "auto",
        description="Where training starts: a model file or folder, whose scores are corrected "
        "('mlp': whose weights are trained further); '' for from scratch; 'auto': the published "
        "aesthetic head where the features are CLIP ViT-L/14 and nothing else.",
    )
    loss_model: Literal["ranking", "mse", "bce"] = Field(
        "ranking",
        description="What the mlp head learns: 'ranking' (which of two images is better) or "
        "'mse' (the scores themselves). With any head, 'bce' learns from images that you kept "
        "and deleted (keep_folders, delete_folders, or a table of ones and zeros) and gives the "
        "probability of keeping an image.",
    )
    aesthetic_model_dropouts: Floats = Field(
        (0.2, 0.2, 0.1), description="Dropout after each of the first hidden layers of the mlp."
    )
    aesthetic_model_relu: bool = Field(
        False, description="Put a ReLU after each hidden layer of the mlp."
    )
    eval_every_n_epochs: int = Field(
        10, ge=0, description="Measure the mlp on the test images every so many epochs; 0: never."
    )
    meta_epochs: Integers = Field((50, 100, 200), description="Epochs to try in mode meta.")
    meta_lr: Floats = Field((5e-5, 1e-4, 2e-4), description="Learning rates to try in mode meta.")
    meta_batch: Integers = Field((4, 8, 16), description="Batch sizes to try in mode meta.")

    training_args: PredictorTrainingArgs = Field(default_factory=PredictorTrainingArgs)
    evaluation_args: EvaluationArgs = Field(default_factory=EvaluationArgs)

    @property
    def extractor_names(self) -> str:
        """`feature_extractor`, with its text sides where `text_features` asks for them."""
        if not self.text_features:
            return self.feature_extractor
        parts = [part.strip() for part in self.feature_extractor.split("+")]
        return "+".join([*parts, *(f"text:{part}" for part in parts)])

    @model_validator(mode="after")
    def _consistent(self) -> "AestheticTraining":
        problems = []
        if self.mode and not {"train", "meta"} & set(self.mode) and not self.load_model:
            problems.append(f"mode {','.join(self.mode)!r} without 'train' needs load_model")
        if any(not 0 <= share < 1 for share in self.aesthetic_model_dropouts):
            problems.append("aesthetic_model_dropouts must lie between 0 and 1")
        batch = self.training_args.per_device_train_batch_size
        if self.loss_model == "ranking" and batch % 2:
            problems.append(
                f"per_device_train_batch_size is {batch}, but loss_model 'ranking' compares "
                "images in pairs: make it even"
            )
        binary = self.loss_model == "bce"
        if self.head == "logistic" and not binary:
            problems.append("head 'logistic' needs loss_model 'bce'")
        if binary and self.head == "pairwise":
            problems.append("head 'pairwise' learns from choices, not with loss_model 'bce'")
        if binary and {"meta", "spotlight"} & set(self.mode):
            problems.append("modes 'meta' and 'spotlight' do not know loss_model 'bce'")
        if problems:
            raise ValueError("; ".join(problems))
        return self
