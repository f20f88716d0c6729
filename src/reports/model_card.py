"""A model's card: README.md in its folder, in the form that the Hugging Face hub shows."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.evaluation.verdicts import STAND_IN
from src.files import read_safetensors, write_readme
from src.images.processors import is_wd_tagger
from src.reports.html import render
from src.text import command

if TYPE_CHECKING:
    from src.aesthetic.evaluate import Results
    from src.aesthetic.predictor import Predictor

_HUB_NAME = re.compile(r"[\w.-]+/[\w.@-]+")
_PATHS = ("model", "feature_extractor", "ensemble of")  # what may name folders of this computer


def write_aesthetic_card(folder: Path, model: "Predictor", results: "Results") -> None:
    """The card of a model of taste that has just been measured."""
    from src.aesthetic.lineage import COMFYUI

    metrics, file = results.metrics, folder / f"{COMFYUI}.safetensors"
    named = {str(each["name"]): str(each.get("license", "")) for each in model.extractors}
    bases = {k: v for k, v in named.items() if k != "builtin" and not k.startswith("text:")}
    agreement = read_safetensors(file)[1]["agreement_with_model"] if file.is_file() else ""
    write_card(
        folder, metrics["task"], metrics["test"], model.provenance, bases, comfyui=agreement,
        images={"test": metrics["test"]["n"]}, unknown=metrics["unknown_ancestors"],
        remarks=[note for note in results.notes if note == STAND_IN],
    )  # fmt: skip


def write_classifier_card(folder: Path, task: str, found: Any, test: Mapping[str, Any]) -> None:
    """The card of a classifier or tagger, from its `Predictions`; see `write_card`."""
    model, names = found.provenance.get("model"), found.data.names
    write_card(
        folder, task, test, found.provenance, {model: found.base_license} if model else {},
        images={name: int(mask.sum()) for name, mask in found.masks.items() if name != "all"},
        labels=dict(zip(names, found.data.counts.tolist(), strict=True)), unknown=found.unknown,
        wd_tagger=is_wd_tagger(folder),
    )  # fmt: skip


def write_card(
    folder: Path,
    task: str,  # as in metrics.json
    test: Mapping[str, Any],  # metrics of images that training never saw; may be empty
    provenance: Mapping[str, Any],
    bases: Mapping[str, str],  # models that this one builds on, and their licenses or ""
    **facts: Any,
) -> None:
    """Write README.md, unless a person wrote or changed the one that is there.

    `facts` are `images`, how many each part has; `labels`, how many each class or tag; `unknown`
    ancestors; `remarks`; and `comfyui`, the agreement that its export states.
    """
    name, bases = folder.resolve().name, {_public(base): bases[base] for base in bases}

    def line(script: str) -> str:
        return command(script, load_model=name, top_level_image_directory="PICTURES")

    made = {k: _public(str(v)) if k in _PATHS else v for k, v in provenance.items()}
    defaults = {"labels": {}, "unknown": (), "remarks": (), "comfyui": "", "wd_tagger": False}
    facts = defaults | {"line": line} | facts
    hub_names = [base for base in bases if _HUB_NAME.fullmatch(base)]
    facts |= {"name": name, "task": task, "test": test, "bases": bases, "hub_names": hub_names}
    write_readme(folder, render("model_card.md", **facts, made=made))


def _public(names: str) -> str:
    """Names on the hub as they are; of folders on this computer the last part alone."""
    return "".join(
        part
        if _HUB_NAME.fullmatch(part) and not Path(part).exists()
        else re.split(r"[/\\]", part.rstrip("/\\"))[-1]
        for part in re.split(r"(\+|, )", names)
    )
