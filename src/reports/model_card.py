"""A model's card: README.md in its folder, in the form that the Hugging Face hub shows."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from src.evaluation.verdicts import STAND_IN
from src.files import read_safetensors, write_readme
from src.reports.html import render
from src.text import command

if TYPE_CHECKING:
    from src.aesthetic.evaluate import Results
    from src.aesthetic.predictor import Predictor

_HUB_NAME = re.compile(r"[\w.-]+/[\w.@-]+")
_PATHS = ("model", "feature_extractor", "ensemble of")  # what may name folders of this computer
_LISTED = 200  # classes or tags, the most frequent ones

Task = Literal["aesthetic", "keep_delete", "classes", "tags"]
_FIGURES: dict[str, dict[str, str]] = {
    "aesthetic": {
        "random_pairs": "choices between random pairs predicted",
        "picked_pairs": "choices between pairs picked to be hard predicted",
        "ab": "pairs of images ordered as the person does (chance: 50%)",
        "spearman": "rank correlation with the person's scores (Spearman)",
    },
    "keep_delete": {
        "auc": "of a kept and a deleted image, the kept one preferred (AUC; chance: 50%)",
        "precision": "of the images that it keeps, kept by the person",
        "recall": "of the images that the person keeps, kept by it",
    },
    "classes": {"accuracy": "right class", "majority": "the same by always naming the largest"},
    "tags": {
        "precision": "of the tags that it gives, right ones",
        "recall": "of the right tags, given",
        "micro_f1": "F1 over all tags (micro)",
        "macro_f1": "mean F1 of the tags (macro)",
        "map": "mean average precision of the tags",
    },
}


class Base(NamedTuple):
    """A model that this one builds on."""

    name: str  # on the hub, or a folder
    license: str  # "" where it is not known


def write_aesthetic_card(folder: Path, model: "Predictor", results: "Results") -> None:
    """The card of a model of taste that has just been measured."""
    from src.aesthetic.lineage import COMFYUI

    test = dict(results.metrics["test"])
    if "choice_accuracy" in test:  # the person's scores come partly from the same features
        del test["ab"], test["spearman"]
    file = folder / f"{COMFYUI}.safetensors"
    write_card(
        folder,
        results.metrics["task"],
        images={"test": test["n"]},
        test=test,
        provenance=model.provenance,
        bases=[
            Base(str(each["name"]), str(each.get("license", "")))
            for each in model.extractors
            if each["name"] != "builtin" and not str(each["name"]).startswith("text:")
        ],
        unknown=results.metrics["unknown_ancestors"],
        remarks=[note for note in results.notes if note == STAND_IN],
        comfyui=read_safetensors(file)[1]["agreement_with_model"] if file.is_file() else "",
    )


def write_classifier_card(folder: Path, task: Task, found: Any, test: Mapping[str, Any]) -> None:
    """The card of a classifier or tagger, from its `Predictions`; see `write_card`."""
    counts = zip(found.data.names, found.data.counts.tolist(), strict=True)
    model = found.provenance.get("model")
    write_card(
        folder,
        task,
        images={name: int(mask.sum()) for name, mask in found.masks.items() if name != "all"},
        labels=dict(counts),
        test=test,
        provenance=found.provenance,
        bases=[Base(model, found.base_license)] if model else [],
        unknown=found.unknown,
    )


def write_card(
    folder: Path,
    task: Task,
    *,
    test: Mapping[str, Any],
    provenance: Mapping[str, Any],
    bases: Sequence[Base],
    images: Mapping[str, int],
    labels: Mapping[str, int] | None = None,
    unknown: Sequence[str] = (),
    remarks: Sequence[str] = (),
    comfyui: str = "",
) -> None:
    """Write README.md, unless a person wrote or changed the one that is there.

    `test` are the metrics of images that training never saw, empty where they were not measured;
    `images` how many each part has, `labels` how many each class or tag; `unknown` are ancestors
    that do not say what they have seen; `comfyui` is the agreement that its export states.
    """
    name, names = folder.resolve().name, [_public(base.name) for base in bases]
    counts = sorted((labels or {}).items(), key=lambda item: (-item[1], item[0]))
    text = render(
        "model_card.md",
        name=name,
        task=task,
        figures=_figures(task, test),
        images=images,
        made={
            key: _public(str(value)) if key in _PATHS else value
            for key, value in provenance.items()
            if value not in ("", [], None)
        },
        bases=[base._replace(name=name) for base, name in zip(bases, names, strict=True)],
        hub_names=[name for name in names if _HUB_NAME.fullmatch(name)],
        licenses=sorted({base.license for base in bases}),
        labels=counts[:_LISTED],
        n_labels=len(counts),
        unknown=unknown,
        remarks=remarks,
        comfyui=comfyui,
        command=lambda script: command(
            script, load_model=name, top_level_image_directory="PICTURES"
        ),
    )
    write_readme(folder, text)


def _figures(task: Task, test: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What was measured, the figure, and its 95% interval, as texts."""
    rows = []
    for key, meaning in _FIGURES[task].items() if test.get("n", 1) else ():
        value, interval = test.get(key), test.get(f"{key}_interval")
        if isinstance(value, Mapping):  # a proportion of so many trials
            meaning += f" ({value['trials']:,} of them)"
            value, interval = value["value"], value["interval"]
        if value is not None:
            form = ".3f" if key in ("spearman", "micro_f1", "macro_f1", "map") else ".1%"
            ends = " to ".join(format(end, form) for end in interval or ())
            rows.append((meaning, format(value, form), ends or "–"))
    return rows


def _public(names: str) -> str:
    """Names on the hub as they are; of folders on this computer the last part alone."""
    parts = re.split(r"(\+|, )", names)
    return "".join(
        part
        if _HUB_NAME.fullmatch(part) and not Path(part).exists()
        else re.split(r"[/\\]", part.rstrip("/\\"))[-1]
        for part in parts
    )
