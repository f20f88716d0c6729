"""Measuring what a tagger predicts, and writing it into a folder."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.dataset.split import PART_NAMES, TRAIN, VALIDATION
from src.dataset.suspected_labels import ADD, FILE_NAME, PAGE, SuspectedLabel, write_suspected
from src.errors import DataError
from src.evaluation.label_errors import wrong_tag_probabilities
from src.evaluation.multilabel import (
    TagMetrics,
    against,
    f_beta,
    measure_tags,
    row_blocks,
    slices,
    summarise,
)
from src.evaluation.resampling import intervals
from src.evaluation.verdicts import tagging_verdicts
from src.files import rows_of, write_csv, write_text
from src.image_models.target import Predictions
from src.reports.html import write_page
from src.reports.suspects import write_suspects
from src.reports.thumbnails import thumbnails
from src.settings.classifier import ClassifierTraining
from src.tagging.selected_tags import SelectedTag, category_name
from src.tagging.suspected_tags import find_suspected_tags
from src.tagging.thresholds import SCOPES, Thresholds, choose_thresholds

_STRIP = 5  # images beside a tag, in one row of the page's table
_MOST_THUMBNAILS = 1500
_SIDE = 128  # pixels of a thumbnail's longer side
_COLUMNS = ("f1_micro", "f2_micro", "mcc_micro", "map_micro", "f1_macro", "mcc_macro", "map_macro")


class Results(NamedTuple):
    """What a tagger's predictions amount to."""

    metrics: dict[str, Any]  # what metrics.json holds
    by_tag: TagMetrics  # of the images that are reported on
    at: np.ndarray  # the thresholds those are at, (k,)
    suspects: list[SuspectedLabel]  # tags that are probably missing or wrong


def thresholds_of(predictions: Predictions, min_support: int) -> Thresholds:
    """Thresholds chosen on the validation images; without any, on the training images."""
    data, parts = predictions.data, predictions.parts
    for part in (VALIDATION, TRAIN):
        labels, name = data.labels[parts == part], PART_NAMES[part]
        if labels.nnz:
            scores = predictions.probabilities[parts == part]
            return choose_thresholds(scores, labels, data.tags, min_support, name)
    raise DataError("no tagged images are left to choose thresholds on: add images")


def measure(
    predictions: Predictions, thresholds: Thresholds, settings: ClassifierTraining
) -> Results:
    """Metrics of every part, and details of the test images.

    Without test images the details are those of the validation images, or else of all.
    """
    data, out_of_fold = predictions.data, predictions.out_of_fold
    at = thresholds.of(data.tags, settings.threshold_scope)
    samples = settings.evaluation_args.bootstrap_samples
    metrics = predictions.measured(
        lambda mask, name: _part(predictions, mask, at, samples if name == "test" else 0)
    )
    masks = predictions.masks
    reported = next(
        name for name in ("test", "validation", "train", "all") if data.labels[masks[name]].nnz
    )
    scores, labels = predictions.probabilities[masks[reported]], data.labels[masks[reported]]
    by_scope = {
        scope: measure_tags(scores, labels, thresholds.of(data.tags, scope)) for scope in SCOPES
    }
    scored, counts = against(scores, labels), np.array([tag.count for tag in data.tags])
    kinds = [category_name(tag.category) for tag in data.tags]
    table = []
    for part in slices(counts, kinds, settings.tag_ranks):  # each at its common threshold
        scope: Any = "global" if part.group == "all" else "category"
        threshold = float(thresholds.of(data.tags, scope)[part.tags[0]])
        row = summarise(by_scope[scope], tags=part.tags, scored=scored)
        table.append({"slice": part.name, "threshold": threshold, **row})
    suspects = find_suspected_tags(data.paths, data.names, data.labels, out_of_fold)
    expected = None
    if suspects:
        missing, wrong = wrong_tag_probabilities(data.labels, out_of_fold)
        p = np.array([suspect.probability for suspect in suspects])
        absent = np.array([suspect.suggested == ADD for suspect in suspects])
        expected = float(np.where(absent, missing(p), wrong(p)).sum())
    metrics |= {
        "task": "tags",
        "images": {name: int(masks[name].sum()) for name in PART_NAMES},
        "tags": len(data.tags),
        "thresholds_chosen_on": thresholds.chosen_on,
        "reported_on": reported,
        "slices": table,
        "by_threshold_scope": {scope: summarise(by_scope[scope]) for scope in SCOPES},
        "suspected_labels": {"n": len(suspects), "expected_wrong": expected},
    }
    return Results(metrics, by_scope[settings.threshold_scope], at, suspects)


def _part(
    predictions: Predictions, mask: np.ndarray, at: np.ndarray, bootstrap: int
) -> dict[str, Any]:
    """The metrics of some of the images."""
    labels, scores = predictions.data.labels[mask], predictions.probabilities[mask]
    if not mask.any():
        return {"n": 0, "micro_f1": None}
    summary = summarise(measure_tags(scores, labels, at))
    true = np.diff(labels.indptr)
    rows = np.repeat(np.arange(len(scores)), true)
    right = np.bincount(rows, scores[rows, labels.indices] >= at[labels.indices], len(scores))
    given = np.concatenate([(block >= at).sum(axis=1) for block in row_blocks(scores)])
    counts = np.stack([right, given, true], axis=1)

    def measure(drawn: np.ndarray) -> dict[str, float]:
        hits, named, there = drawn @ counts
        return {
            "micro_f1_interval": float(f_beta(hits, named - hits, there - hits, 1)),
            "precision_interval": float(hits / max(named, 1)),
            "recall_interval": float(hits / max(there, 1)),
        }

    return {
        "n": int(mask.sum()),
        "micro_f1": summary["f1_micro"],
        "macro_f1": summary["f1_macro"],
        "map": summary["map_macro"],
        "precision": summary["precision_micro"],
        "recall": summary["recall_micro"],
        "threshold": float(at[0]) if len(set(at.tolist())) == 1 else None,
        **intervals(predictions.images.groups[mask], bootstrap, measure),
    }


def write_results(
    folder: Path, predictions: Predictions, results: Results, settings: ClassifierTraining
) -> None:
    """Write metrics.json, tags.csv, suspected_labels.csv, suspects.html and report.html."""
    data, (metrics, *_) = predictions.data, results
    write_text(folder / "metrics.json", json.dumps(metrics, indent=2, ensure_ascii=False) + "\n")
    columns = _tag_columns(data.tags, results)
    write_csv(folder / "tags.csv", rows_of(columns))
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    own = np.split(data.labels.indices, data.labels.indptr[1:-1])
    tags_now = {
        path: [data.names[tag] for tag in row.tolist()]
        for path, row in zip(data.paths, own, strict=True)
    }
    write_suspected(folder / FILE_NAME, results.suspects)
    write_suspects(folder / PAGE, data.directory, results.suspects, tags=tags_now)
    top = top_images(predictions, min(settings.evaluation_args.report_images, _STRIP))
    shown = list(dict.fromkeys(i for row in top for i in row))[:_MOST_THUMBNAILS]
    position = {index: number for number, index in enumerate(shown)}
    write_page(
        folder / "report.html",
        "tags.html",
        title=f"Tags of {data.directory.name}",
        metrics=metrics,
        summary=tagging_verdicts(metrics),
        columns=_COLUMNS,
        history=epochs(predictions.history),
        content={
            "pictures": thumbnails([data.directory / data.paths[index] for index in shown], _SIDE),
            "paths": [data.paths[index] for index in shown],
            "tags": [
                row | {"top": [position[index] for index in best if index in position]}
                for row, best in zip(rows, top, strict=True)
            ],
        },
        suspects_page=PAGE,
    )


def _tag_columns(tags: Sequence[SelectedTag], results: Results) -> dict[str, list[Any]]:
    """Metrics of each tag; None where a tag is on none of the images reported on."""
    by_tag = results.by_tag

    def known(values: np.ndarray) -> list[float | None]:
        return [v if n else None for v, n in zip(values.tolist(), by_tag.support, strict=True)]

    return {
        "rank": list(range(len(tags))),
        "tag": [tag.name for tag in tags],
        "category": [category_name(tag.category) for tag in tags],
        "images": [tag.count for tag in tags],
        "tested": by_tag.support.tolist(),
        "threshold": results.at.tolist(),
        "precision": known(by_tag.precision),
        "recall": known(by_tag.recall),
        "f1": known(by_tag.f_score(1)),
        "f2": known(by_tag.f_score(2)),
        "mcc": known(by_tag.mcc),
        "average_precision": known(by_tag.average_precision),
    }


def top_images(predictions: Predictions, images: int) -> list[list[int]]:
    """For each tag the images with its highest probabilities, likeliest first.

    Where there are probabilities out of fold, they are used instead of the model's own.
    """
    held_out = predictions.out_of_fold
    best = np.where(np.isfinite(held_out), held_out, predictions.probabilities)
    return [np.argsort(-column, kind="stable")[:images].tolist() for column in best.T]


def epochs(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row for each measurement in training, with the training loss before it."""
    rows, loss = [], None
    for entry in history:
        loss = entry.get("loss", loss)
        if "eval_loss" in entry:
            measured = {k.removeprefix("eval_"): entry[k] for k in entry if k.startswith("eval_")}
            rows.append({"epoch": entry.get("epoch"), "training_loss": loss, **measured})
    return rows
