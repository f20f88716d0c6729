"""Several tagging models as one: the mean of their probabilities, with thresholds of its own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from src.classifier.job import Job
from src.errors import ModelError
from src.files import write_text
from src.tagging import selected_tags
from src.tagging.job import TagAnswers, TagOptions
from src.tagging.results import Measuring, TagFindings, find
from src.tagging.selected_tags import write_selected_tags
from src.tagging.taggers import ENSEMBLE_FILE, ensemble_note, tag_order
from src.tagging.train import measure_saved


def combine(
    folders: Sequence[Path], job: Job, options: TagOptions, how: Measuring
) -> tuple[TagAnswers, list[dict[str, Any]]]:
    """Measure several models and their mean on the same images, and save the ensemble.

    The ensemble's folder, `job.save_model`, names the models' folders; it holds no weights.

    Args:
        folders: of the models, at least two.
        job: the images and their parts; the models' training must have used the same.
        options: where the tags are.
        how: how answers are measured.

    Returns:
        The ensemble's answers, and the slices' figures of the ensemble and of each model.

    Raises:
        DataError, ModelError: as the parts it is made of; or the models know different tags.
    """
    if (job.save_model / "model.safetensors").is_file():
        raise ModelError(f"{job.save_model} holds a model: set save_model to another folder")
    members = [measure_saved(replace(job, load_model=str(folder)), options) for folder in folders]
    first = members[0]
    orders = [tag_order(first.data.tags, member.data.tags) for member in members]
    pairs = list(zip(members, orders, strict=True))
    mean = replace(
        first,
        probabilities=_mean([member.probabilities[:, order] for member, order in pairs]),
        unseen=_mean([member.unseen[:, order] for member, order in pairs]),
        provenance={"ensemble of": ", ".join(map(str, folders))},
    )
    rows = compare(
        [("ensemble", find(mean, how))]
        + [(folder.name, find(m, how)) for folder, m in zip(folders, members, strict=True)]
    )
    write_selected_tags(job.save_model / selected_tags.FILE_NAME, first.data.tags)
    write_text(job.save_model / ENSEMBLE_FILE, ensemble_note(job.save_model, folders))
    return mean, rows


def _mean(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.asarray(np.mean(parts, axis=0, dtype=np.float32))


def compare(found: Sequence[tuple[str, TagFindings]]) -> list[dict[str, Any]]:
    """The figures of several models, slice by slice, as rows of one table."""
    rows = []
    for number, part in enumerate(found[0][1].figures["slices"]):
        for name, findings in found:
            row = findings.figures["slices"][number]
            rows.append({"slice": part["slice"], "model": name} | {k: row[k] for k in COLUMNS})
    return rows


COLUMNS = ("threshold", "f1_micro", "f2_micro", "mcc_micro", "map_micro", "f1_macro", "map_macro")
