"""Saved models with what they have seen: those that training starts from, measures or replaces."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from src.aesthetic.choices import ChoiceData, read_choice_data
from src.aesthetic.formats import comfyui
from src.aesthetic.formats.pretrained_head import CLIP, PUBLISHED_HEAD, published_head
from src.aesthetic.heads.base import take_number
from src.aesthetic.predictor import FILE_NAME, Predictor
from src.aesthetic.rated_features import RatedFeatures
from src.dataset.duplicates import groups as duplicate_groups
from src.dataset.trained_on import FILE_NAME as TRAINED_ON
from src.dataset.trained_on import TrainedOn
from src.errors import ModelError
from src.files import README, has_our_readme, replacing_together

logger = logging.getLogger(__name__)

COMFYUI = "comfyui"
FIGURES = (
    "metrics.json",
    "predictions.csv",
    "report.html",
    "suspected_labels.csv",
    "suspects.html",
)


@dataclass(frozen=True)
class Ancestor:
    """A saved model with what it, and the models that it comes from, have seen."""

    name: str
    predictor: Predictor
    trained_on: TrainedOn

    @classmethod
    def load(cls, path: Path) -> Self:
        """A model folder, the file in it, or the file of a published head."""
        path = path.parent if path.name == FILE_NAME else path
        return cls(path.name, Predictor.load(path), TrainedOn.load(path))

    def seen(self, data: RatedFeatures) -> np.ndarray:
        """Which images it has seen, (n,) bool.

        A model made before models kept what they have seen names its split at least. If it was
        trained in this folder, that split tells; in another folder too much is taken as seen.
        """
        seen = self.trained_on.seen(data.sha256s, data.hashes, data.groups)
        made = self.predictor.provenance
        if self.name in self.trained_on.unknown and "test_pick_seed" in made:
            seed = int(take_number(made, "test_pick_seed", low=0)) % 2**64
            seen |= ~data.test_mask(take_number(made, "fraction_for_test", low=0), seed)
        return seen

    def is_new_to(self, sha256s: Sequence[bytes], hashes: np.ndarray) -> bool:
        """Whether it surely learnt nothing from some images, so that its scores say something new.

        What it says of other images of a folder comes from those it was trained on. `hashes` is
        (n, 32) uint8. The published heads were not trained on anybody's folder.
        """
        says = PUBLISHED_HEAD.keys() >= set(self.trained_on.unknown)
        groups = duplicate_groups(sha256s, hashes)
        return says and not self.trained_on.seen(sha256s, hashes, groups).any()


class Start(NamedTuple):
    data: RatedFeatures  # with the test images chosen among those that the prior has not seen
    prior: Predictor | None  # whose scores are corrected, or whose weights are trained further
    afresh: Predictor | None  # to start from instead where the prior has seen training images
    trained_on: TrainedOn  # what the model to be trained, and all it comes from, will have seen
    choices: ChoiceData | None = None  # where they are the test, and no images are kept back


def choose_start(
    data: RatedFeatures,
    load_model: str,
    base_model: str,
    extractors: Sequence[Mapping[str, Any]],
    *,
    fraction_for_test: float,
    test_pick_seed: int,
    folder: Path = Path("models"),
) -> Start:
    """Find the model that training starts from, and split by what it has seen.

    That is `load_model`, otherwise `base_model`: a model file or folder, or "auto" for the
    published aesthetic head where the features are those it was made for; "" for none.
    """
    loaded = Ancestor.load(Path(load_model)) if load_model else None
    prior, afresh = loaded or _base(base_model, extractors, folder), None
    if prior is not None:
        data = replace(data, seen=prior.seen(data))
    choices = read_choice_data(data)
    data = data.split(0 if choices else fraction_for_test, test_pick_seed)
    if loaded is not None and (data.seen & data.train).any():
        afresh = _base(base_model, extractors, folder)
    trained_on = data.trained_on()
    for model in filter(None, (prior, afresh)):
        trained_on |= model.trained_on
    first, second = (model.predictor if model else None for model in (prior, afresh))
    return Start(data, first, second, trained_on, choices)


def _base(
    base_model: str, extractors: Sequence[Mapping[str, Any]], folder: Path
) -> Ancestor | None:
    if not base_model:
        return None
    if base_model == "auto":
        made_for = [(e.get("name"), bool(e.get("hidden_states"))) for e in extractors]
        return Ancestor.load(published_head(folder)) if made_for == [(CLIP, False)] else None
    path = Path(base_model)
    if not path.exists() and path in {folder / name for name in PUBLISHED_HEAD}:
        path = published_head(folder)
    return Ancestor.load(path)


def previous_model(
    folder: Path, extractors: Sequence[Mapping[str, Any]], binary: bool
) -> Ancestor | None:
    """The model that is about to be replaced, if the new one can be compared with it."""
    if not (folder / FILE_NAME).is_file():
        return None
    try:
        model = Ancestor.load(folder)
        check_extractors(model.predictor, extractors)
    except ModelError as error:
        logger.info("No comparison with the model that was there before: %s", error)
        return None
    was_binary = model.predictor.provenance.get("loss_model") == "bce"
    return model if was_binary == binary else None


def check_extractors(predictor: Predictor, extractors: Sequence[Mapping[str, Any]]) -> None:
    """Make sure that a model was made for the features at hand; a ModelError if not.

    The published heads do not say which copy of CLIP they were made for: any will do.
    """
    made_for = predictor.extractors
    fits = len(made_for) == len(extractors) and all(
        made.get("identity") == given.get("identity")
        if made.get("identity")
        else given.get("model_type") == "clip" and not given.get("hidden_states")
        for made, given in zip(made_for, extractors, strict=True)
    )
    if not fits:
        wanted, given = (
            "+".join(str(e.get("name", "?")) for e in parts) for parts in (made_for, extractors)
        )
        raise ModelError(
            f"the model was made for features of {wanted!r}, not of {given!r}: set "
            f"feature_extractor to {wanted!r}, with the same hidden_states and model files"
        )


def save_model(
    folder: Path, predictor: Predictor, trained_on: TrainedOn, data: RatedFeatures
) -> None:
    """Write the model, what it has seen, and for CLIP features the files for the ComfyUI nodes.

    Where there was a model, its figures go: they are not those of this one.
    """
    others = {TRAINED_ON, *FIGURES, *(file.name for file in folder.glob(f"{COMFYUI}*.safetensors"))}
    others |= {README} if has_our_readme(folder) else set()
    with replacing_together(folder, instead_of=others) as temporary:
        trained_on.save(temporary)
        predictor.save(temporary)
        extractors = predictor.extractors
        if any(e.get("model_type") != "clip" or e.get("hidden_states") for e in extractors):
            return
        agreement = comfyui.export(
            predictor,
            temporary / f"{COMFYUI}.safetensors",
            clip_models=[str(extractor["name"]) for extractor in extractors],
            features=data.features[data.train],
            held_out=data.features[data.test],
        )
    if agreement != 1:
        share = "an unknown share" if agreement is None else f"{agreement:.1%}"
        logger.info(
            f"{COMFYUI}.safetensors for the ComfyUI nodes, which know no such head, imitates the "
            f"model: of the pairs of images that it was not fitted to, it orders {share} as the "
            "model does."
        )
