"""The settings of aesthetic_predictor_training.py."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from src.settings import keys
from src.settings.keys import Floats, Integers, Place, Positive, key
from src.settings.mlp import Mlp
from src.settings.several_values import SEARCHED, get_value, take_lists, with_value


class AestheticTraining(
    keys.ScriptSettings, keys.KeepDelete, keys.Split, keys.Computing, keys.Training, Mlp
):
    """Train, measure and save a model of your taste."""

    script = "aesthetic_predictor_training"
    modes = ("train", "evaluate", "meta", "spotlight")
    essentials = (
        *("mode", "feature_extractor", "use_score_file", "save_model", "load_model", "base_model"),
        *("head", "loss_model", "fraction_for_test"),
    )

    use_score_file: bool | str = key(
        True,
        "True: score.json or scores.csv where there is one, otherwise the names of the folders; "
        "False: always the names of the folders, which must be whole numbers; or the name of a "
        "score file inside the image folder.",
    )
    feature_extractor: Place = key(
        "ViT-L/14",
        "What describes an image in numbers: 'ViT-L/14' and other CLIP names, any vision model on "
        "the hub or in a folder, 'builtin' (hand-made, no download, fast), 'clip:NAME' (the clip "
        "package), or several joined with '+'.",
        min_length=1,
    )
    hidden_states: Integers = key(
        (), "Hidden layers of the extractor whose mean joins its output: [-2] is the last but one."
    )
    head: Literal["auto", "ridge", "kernel", "logistic", "pairwise", "mlp"] = key(
        "auto",
        "What turns features into a score: 'ridge' (linear), 'kernel' (curved), 'pairwise' (learns "
        "from your choices themselves), 'mlp' (the network of the published heads, trained with "
        "training_args), or 'auto': small networks, or ridge or kernel if that is clearly better "
        "on training images left out. With loss_model 'bce', 'logistic' takes the networks' place.",
    )
    text_features: bool = key(
        False,
        "True: file names count as well; the report compares the model with and without them.",
    )
    base_model: Place = key(
        "auto",
        "Where training starts: a model file or folder, whose scores are corrected ('mlp': whose "
        "weights are trained further); '': from scratch; 'auto': the published aesthetic head "
        "where the features are CLIP ViT-L/14 and nothing else.",
    )
    meta_epochs: Integers = key((50, 100, 200), "Epochs to try in mode meta.")
    meta_lr: Floats = key((5e-5, 1e-4, 2e-4), "Learning rates to try in mode meta.")
    meta_batch: Integers = key((4, 8, 16), "Batch sizes to try in mode meta.")
    meta_search: Literal["grid", "optuna"] = key(
        "grid", "Mode meta: 'grid' tries all combinations, 'optuna' values between the extremes."
    )
    meta_trials: Positive = key(50, "With meta_search 'optuna': trials in all.")
    meta_storage: str = key(
        "sqlite:///meta.db",
        "The database of what mode meta has tried, to go on after an interruption; machines that "
        "share one, as in 'postgresql://user@host/db', search together. '': none.",
        pattern=r"^(\w[\w+]*://.*)?$",
    )
    evaluation_args: keys.EvaluationArgs = Field(default_factory=keys.EvaluationArgs)

    _lists: dict[str, tuple[Any, ...]] = PrivateAttr(default_factory=dict)

    @property
    def meta_values(self) -> dict[str, tuple[Any, ...]]:
        """The values that mode meta tries, by the names that the search has for them."""
        usual = {"epochs": self.meta_epochs, "lr": self.meta_lr, "batch": self.meta_batch}
        lists = {SEARCHED[key]: values for key, values in self._lists.items()}
        return usual | {name: lists[name] for name in sorted(lists, key=lambda n: n != "head")}

    @property
    def made_with(self) -> dict[str, Any]:
        """What the model file and the report say of how a model was made: JSON values."""
        names = (
            "feature_extractor",
            "hidden_states",
            "head",
            "loss_model",
            *keys.Split.model_fields,
        )
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
        binary = self.loss_model == "bce"
        if self.head == "logistic" and not binary:
            problems.append("head 'logistic' needs loss_model 'bce'")
        if binary and self.head == "pairwise":
            problems.append("head 'pairwise' learns from choices, not with loss_model 'bce'")
        if binary and {"meta", "spotlight"} & set(self.mode):
            problems.append("modes 'meta' and 'spotlight' do not work with loss_model 'bce'")
        return problems

    def notes(self) -> list[str]:
        """What is given but concerns the mlp alone, where no mlp is trained."""
        if "mlp" in (self.head, *self._lists.get("head", ())) or "meta" in self.mode:
            return []
        usual = Mlp()
        unused = [
            name
            for name in (*sorted(set(Mlp.model_fields) & self.model_fields_set), "training_args")
            if name.startswith(("aesthetic_model", "mlp_", "training_args"))
            and get_value(self, name) != get_value(usual, name)
        ]
        names = ", ".join(dict.fromkeys(unused))
        return [f"Only head 'mlp' uses {names}; head is {self.head!r}."] if unused else []

    @model_validator(mode="wrap")
    @classmethod
    def _several_values(cls, given: Any, handler: Any) -> Any:
        """Check each value of a list as if it stood alone; the first is what others see."""
        if not isinstance(given, Mapping):
            return handler(given)
        plain, lists = take_lists(cls, given)
        settings = handler(plain)
        settings._lists = {
            key: tuple(get_value(handler(with_value(plain, key, value)), key) for value in values)
            for key, values in lists.items()
        }
        if problems := settings.wrong_lists(lists):
            raise ValueError("; ".join(problems))
        return settings

    def wrong_lists(self, lists: Mapping[str, list[Any]]) -> list[str]:
        """Why these lists cannot be searched, or nothing can be."""
        if "meta" not in self.mode:
            return [
                f"{key} is {values!r}: several values are for mode 'meta' only; give one value, "
                "or add meta to mode"
                for key, values in lists.items()
            ]
        empty = [key for key in ("meta_epochs", "meta_lr", "meta_batch") if not getattr(self, key)]
        problems = [f"{key} is empty: give at least one value to try" for key in empty]
        if "head" not in lists and self.head not in ("auto", "mlp"):
            problems.append(
                f"mode 'meta' searches the settings of the mlp, and head {self.head!r} has none: "
                f"leave out meta, or compare them: head: ['mlp', {self.head!r}]"
            )
        alone = {"pairwise", "logistic"} & set(lists.get("head", ()))
        return problems + [
            f"mode 'meta' cannot compare head {name!r} with others" for name in alone
        ]
