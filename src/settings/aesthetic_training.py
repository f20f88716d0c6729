"""The settings of aesthetic_predictor_training.py."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    model_validator,
)

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
from src.settings.several_values import (
    Searchable,
    get_value,
    searchable,
    take_lists,
    with_value,
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
    head: Annotated[
        Literal["auto", "ridge", "kernel", "logistic", "pairwise", "mlp"],
        Searchable("head"),
    ] = Field(
        "auto",
        description="What turns features into a score: 'ridge' (linear), 'kernel' (curved), "
        "'pairwise' (learns from your choices themselves), 'mlp' (the network of the published "
        "heads, trained with training_args), or 'auto' (small networks, or whichever of the first "
        "two does clearly better in cross-validation on the training images). "
        "'logistic' is for loss_model 'bce', where 'auto' tries it instead of networks. Mode meta "
        "searches the settings of the 'mlp'.",
    )
    text_features: bool = Field(
        False,
        description="True: file names are features too: by the text side of CLIP or SigLIP, or "
        "hashed. The report says how good the model is with and without them.",
    )
    base_model: str = Field(
        "auto",
        description="Where training starts: a model file or folder, whose scores are corrected "
        "('mlp': whose weights are trained further); '' for from scratch; 'auto': the published "
        "aesthetic head where the features are CLIP ViT-L/14 and nothing else.",
    )
    loss_model: Annotated[Literal["ranking", "mse", "bce"], Searchable("loss")] = Field(
        "ranking",
        description="What the mlp head learns: 'ranking' (which of two images is better) or "
        "'mse' (the scores themselves). With any head, 'bce' learns from images that you kept "
        "and deleted (keep_folders, delete_folders, or a table of ones and zeros) and gives the "
        "probability of keeping an image.",
    )
    aesthetic_model_hidden: Annotated[Integers, Searchable("hidden")] = Field(
        (1024, 128, 64, 16),
        description="Units in each hidden layer of the mlp, where it is trained from scratch.",
    )
    aesthetic_model_dropouts: Annotated[Floats, Searchable("dropouts")] = Field(
        (0.2, 0.2, 0.1), description="Dropout after each of the first hidden layers of the mlp."
    )
    aesthetic_model_relu: Annotated[bool, Searchable("relu")] = Field(
        False, description="Put a ReLU after each hidden layer of the mlp."
    )
    aesthetic_model_standardise: Annotated[bool, Searchable("standardise")] = Field(
        False,
        description="Bring every feature to mean 0 and standard deviation 1 before the mlp, where "
        "it is trained from scratch. The saved model takes features as they come.",
    )
    mlp_members: int = Field(
        1,
        ge=1,
        le=50,
        description="With 3 or more: so many mlps, each trained without another part of the "
        "images, whose mean is the score. They tell how uncertain each score is.",
    )
    eval_every_n_epochs: int = Field(
        10, ge=0, description="Measure the mlp on the test images every so many epochs; 0: never."
    )
    meta_epochs: Integers = Field((50, 100, 200), description="Epochs to try in mode meta.")
    meta_lr: Floats = Field((5e-5, 1e-4, 2e-4), description="Learning rates to try in mode meta.")
    meta_batch: Integers = Field((4, 8, 16), description="Batch sizes to try in mode meta.")

    meta_search: Literal["grid", "optuna"] = Field(
        "grid",
        description="How mode meta searches: 'grid' tries every combination; 'optuna' looks for "
        "the best between the least and the greatest value of each list (needs the package "
        "optuna).",
    )
    meta_trials: int = Field(50, ge=1, description="With meta_search 'optuna': trials in all.")
    meta_storage: str = Field(
        "sqlite:///meta.db",
        pattern=r"^(\w[\w+]*://.*)?$",
        description="With meta_search 'optuna': the database that keeps the trials, so that a "
        "search goes on after an interruption. Machines that share one, such as "
        "'postgresql://user@host/db', work on one search. '': none is kept.",
    )

    training_args: PredictorTrainingArgs = Field(default_factory=PredictorTrainingArgs)
    evaluation_args: EvaluationArgs = Field(default_factory=EvaluationArgs)

    _lists: dict[str, tuple[Any, ...]] = PrivateAttr(default_factory=dict)

    @property
    def meta_values(self) -> dict[str, tuple[Any, ...]]:
        """The values that mode meta tries, by the names that the search has for them."""
        usual = {"epochs": self.meta_epochs, "lr": self.meta_lr, "batch": self.meta_batch}
        names = searchable(type(self))
        return usual | {names[key]: values for key, values in self._lists.items()}

    @property
    def trains(self) -> bool:
        """Whether a model is trained; otherwise the one of load_model is measured."""
        return bool({"train", "meta"} & set(self.mode)) or not self.mode

    @property
    def saves_by_default(self) -> bool:
        """Whether save_model is what it is where nobody chose it."""
        return bool(self.save_model == Models.model_fields["save_model"].default)

    @property
    def made_with(self) -> dict[str, Any]:
        """What the model file and the report say of how a model was made: JSON values."""
        names = ("feature_extractor", "hidden_states", "head", "loss_model", *Split.model_fields)
        return self.model_dump(mode="json", include=set(names))

    @property
    def extractor_names(self) -> str:
        """`feature_extractor`, with its text sides where `text_features` asks for them."""
        if not self.text_features:
            return self.feature_extractor
        parts = [part.strip() for part in self.feature_extractor.split("+")]
        return "+".join([*parts, *(f"text:{part}" for part in parts)])

    @property
    def mlp(self) -> dict[str, Any]:
        """What only the mlp asks for, besides training_args, by the names of `MlpSettings`."""
        return {
            "loss": self.loss_model,
            "dropouts": self.aesthetic_model_dropouts,
            "relu": self.aesthetic_model_relu,
            "standardise": self.aesthetic_model_standardise,
            "eval_every_n_epochs": self.eval_every_n_epochs,
            "device": self.device,
            "hidden": self.aesthetic_model_hidden,
            "members": self.mlp_members,
        }

    @model_validator(mode="after")
    def _consistent(self) -> "AestheticTraining":
        problems = []
        if not self.trains and not self.load_model:
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
        if any(units < 1 for units in self.aesthetic_model_hidden):
            problems.append("aesthetic_model_hidden must hold whole numbers from 1 on")
        if self.mlp_members == 2:
            problems.append("mlp_members must be 1 (a single mlp), or 3 and more")
        if self.head == "logistic" and not binary:
            problems.append("head 'logistic' needs loss_model 'bce'")
        if binary and self.head == "pairwise":
            problems.append("head 'pairwise' learns from choices, not with loss_model 'bce'")
        if binary and {"meta", "spotlight"} & set(self.mode):
            problems.append("modes 'meta' and 'spotlight' do not know loss_model 'bce'")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _several_values(
        cls, given: Any, handler: ModelWrapValidatorHandler["AestheticTraining"]
    ) -> "AestheticTraining":
        """Check each value of a list as if it stood alone; the first is what others see."""
        if not isinstance(given, Mapping):
            return handler(given)
        plain, lists = take_lists(cls, given)
        settings = handler(plain)
        settings._lists = {
            key: tuple(get_value(handler(with_value(plain, key, value)), key) for value in values)
            for key, values in lists.items()
        }
        problems = []
        if "meta" not in settings.mode:
            problems += [
                f"{key} is {values!r}: several values are for mode 'meta' only; give one value, "
                "or add meta to mode"
                for key, values in lists.items()
            ]
        else:
            heads = settings._lists.get("head", ("mlp",))
            if "head" not in lists and settings.head not in ("auto", "mlp"):
                problems.append(
                    f"mode 'meta' searches the settings of the mlp, and head {settings.head!r} "
                    f"has none: leave out meta, or compare them: head: ['mlp', {settings.head!r}]"
                )
            problems += [
                f"mode 'meta' cannot compare head {head!r} with others"
                for head in heads
                if head in ("pairwise", "logistic")
            ]
            empty = [key for key in ("meta_epochs", "meta_lr", "meta_batch")
                     if not getattr(settings, key)]  # fmt: skip
            problems += [f"{key} is empty: give at least one value to try" for key in empty]
        if problems:
            raise ValueError("; ".join(problems))
        return settings
