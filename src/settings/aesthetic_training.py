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
    Ratings,
    ScriptSettings,
    Split,
    parse_modes,
)
from src.settings.mlp import Mlp
from src.settings.several_values import (
    Searchable,
    get_value,
    searchable,
    take_lists,
    with_value,
)

MODES = ("train", "evaluate", "meta", "spotlight")


class AestheticTraining(
    ScriptSettings, ImageFolder, Ratings, KeepDelete, Split, Features, Models, Mlp
):
    """Train, measure and save a model of your taste."""

    script: ClassVar[str] = "aesthetic_predictor_training"
    essentials: ClassVar[tuple[str, ...]] = (
        *("mode", "feature_extractor", "use_score_file", "save_model", "load_model", "base_model"),
        *("head", "loss_model", "fraction_for_test"),
    )

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
    meta_epochs: Integers = Field((50, 100, 200), description="Epochs to try in mode meta.")
    meta_lr: Floats = Field((5e-5, 1e-4, 2e-4), description="Learning rates to try in mode meta.")
    meta_batch: Integers = Field((4, 8, 16), description="Batch sizes to try in mode meta.")

    meta_search: Literal["grid", "optuna"] = Field(
        "grid",
        description="How mode meta searches: 'grid' tries every combination; 'optuna' looks for "
        "the best between the least and the greatest value of each list.",
    )
    meta_trials: int = Field(50, ge=1, description="With meta_search 'optuna': trials in all.")
    meta_storage: str = Field(
        "sqlite:///meta.db",
        pattern=r"^(\w[\w+]*://.*)?$",
        description="The database that keeps what mode meta has tried, so that a search goes on "
        "after an interruption. Machines that share one, such as 'postgresql://user@host/db', "
        "work on one search. '': none is kept.",
    )

    evaluation_args: EvaluationArgs = Field(default_factory=EvaluationArgs)

    _lists: dict[str, tuple[Any, ...]] = PrivateAttr(default_factory=dict)

    @property
    def meta_values(self) -> dict[str, tuple[Any, ...]]:
        """The values that mode meta tries, by the names that the search has for them."""
        usual = {"epochs": self.meta_epochs, "lr": self.meta_lr, "batch": self.meta_batch}
        names = searchable(type(self))
        lists = {names[key]: values for key, values in self._lists.items()}
        return usual | {name: lists[name] for name in sorted(lists, key=lambda n: n != "head")}

    @property
    def trains(self) -> bool:
        """Whether a model is trained; otherwise the one of load_model is measured."""
        return bool({"train", "meta"} & set(self.mode)) or not self.mode

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

    def contradictions(self) -> list[str]:
        problems = super().contradictions()
        if not self.trains and not self.load_model:
            problems.append(f"mode {','.join(self.mode)!r} without 'train' needs load_model")
        binary = self.loss_model == "bce"
        if self.head == "logistic" and not binary:
            problems.append("head 'logistic' needs loss_model 'bce'")
        if binary and self.head == "pairwise":
            problems.append("head 'pairwise' learns from choices, not with loss_model 'bce'")
        if binary and {"meta", "spotlight"} & set(self.mode):
            problems.append("modes 'meta' and 'spotlight' do not know loss_model 'bce'")
        return problems

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
