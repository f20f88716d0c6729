"""Measuring what a tagger predicts, and writing it into a folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.dataset.split import PART_NAMES, TRAIN, VALIDATION
from src.dataset.suspected_labels import ADD, FILE_NAME, PAGE, SuspectedLabel, write_suspected
from src.errors import DataError
from src.evaluation.label_errors import wrong_tag_probabilities
from src.evaluation.multilabel import (
    Scored,
    TagMetrics,
    against,
    f_beta,
    measure_tags,
    row_blocks,
    slices,
    summarise,
)
from src.evaluation.resampling import intervals
from src.files import rows_of, write_csv, write_text
from src.image_models.target import Predictions
from src.reports.suspects import write_suspects
from src.settings.classifier import ClassifierTraining
from src.tagging.report import write_report
from src.tagging.selected_tags import SelectedTag, category_name
from src.tagging.suspected_tags import find_suspected_tags
from src.tagging.tagged_images import TaggedImages
from src.tagging.thresholds import SCOPES, Scope, Thresholds, choose_thresholds

_STRIP = 5  # images beside a tag, in one row of the page's table
_COLUMNS = ("threshold", "f1_micro", "f2_micro", "mcc_micro", "map_micro", "f1_macro", "map_macro")


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
        chosen = parts == part
        if data.labels[chosen].nnz:
            return choose_thresholds(
                predictions.probabilities[chosen],
                data.labels[chosen],
                data.tags,
                min_support=min_support,
                chosen_on=PART_NAMES[part],
            )
    raise DataError("no tagged images are left to choose thresholds by: add images")


def measure(
    predictions: Predictions, thresholds: Thresholds, settings: ClassifierTraining
) -> Results:
    """Metrics of every part, and details of the test images.

    Without test images the details are those of the validation images, or else of all.
    """
    data, parts = predictions.data, predictions.parts
    masks = {name: parts == part for part, name in enumerate(PART_NAMES)}
    masks["all"] = np.ones(len(parts), dtype=bool)
    reported = next(
        name for name in ("test", "validation", "train", "all") if data.labels[masks[name]].nnz
    )
    at = thresholds.of(data.tags, settings.threshold_scope)
    metrics: dict[str, Any] = {"task": "tags"}
    for name, mask in masks.items():
        if mask.any() or name in ("train", "test"):
            bootstrap = settings.evaluation_args.bootstrap_samples if name == "test" else 0
            metrics[name] = _part(predictions, mask, at, bootstrap)
    chosen = masks[reported]
    scores, labels = predictions.probabilities[chosen], data.labels[chosen]
    by_scope = {
        scope: measure_tags(scores, labels, thresholds.of(data.tags, scope)) for scope in SCOPES
    }
    suspects = find_suspected_tags(data.paths, data.names, data.labels, predictions.out_of_fold)
    metrics |= {
        "images": {name: int(np.sum(masks[name])) for name in PART_NAMES},
        "tags": len(data.tags),
        "thresholds_chosen_on": thresholds.chosen_on,
        "reported_on": reported,
        "slices": _slices(data.tags, settings, thresholds, by_scope, against(scores, labels)),
        "by_threshold_scope": {scope: summarise(by_scope[scope]) for scope in SCOPES},
        "suspected_labels": {
            "n": len(suspects),
            "expected_wrong": _expected_wrong(predictions, suspects),
        },
        "provenance": dict(predictions.provenance),
        "unknown_training_images": list(predictions.unknown),
    }
    return Results(metrics, by_scope[settings.threshold_scope], at, suspects)


def write_results(
    folder: Path,
    predictions: Predictions,
    thresholds: Thresholds,
    settings: ClassifierTraining,
    *,
    compared: Sequence[dict[str, Any]] = (),
) -> Results:
    """Write metrics.json, tags.csv, suspected_labels.csv, suspects.html and report.html.

    `compared` are the rows of a table of several models, for an ensemble.
    """
    results, data = measure(predictions, thresholds, settings), predictions.data
    metrics = results.metrics
    if compared:
        metrics["models"] = list(compared)
    write_text(folder / "metrics.json", json.dumps(metrics, indent=2, ensure_ascii=False) + "\n")
    columns = tag_columns(data.tags, results)
    write_csv(folder / "tags.csv", rows_of(columns))
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    write_suspected(folder / FILE_NAME, results.suspects)
    write_suspects(folder / PAGE, data.directory, results.suspects, tags=_tags_now(data))
    images = min(settings.evaluation_args.report_images, _STRIP)
    write_report(folder / "report.html", predictions, metrics, rows, images=images)
    return results


def compare(found: Sequence[tuple[str, Results]]) -> list[dict[str, Any]]:
    """The metrics of several models, slice by slice, as rows of one table."""
    rows = []
    for number, part in enumerate(found[0][1].metrics["slices"]):
        for name, results in found:
            row = results.metrics["slices"][number]
            rows.append({"slice": part["slice"], "model": name} | {k: row[k] for k in _COLUMNS})
    return rows


def tag_columns(tags: Sequence[SelectedTag], results: Results) -> dict[str, list[Any]]:
    """Metrics of each tag; None where a tag is on none of the images reported on."""
    by_tag = results.by_tag
    measured = {
        "precision": by_tag.precision.tolist(),
        "recall": by_tag.recall.tolist(),
        "f1": by_tag.f_score(1).tolist(),
        "f2": by_tag.f_score(2).tolist(),
        "mcc": by_tag.mcc.tolist(),
        "average_precision": by_tag.average_precision.tolist(),
    }
    support = by_tag.support.tolist()
    return {
        "rank": list(range(len(tags))),
        "tag": [tag.name for tag in tags],
        "category": [category_name(tag.category) for tag in tags],
        "images": [tag.count for tag in tags],
        "tested": support,
        "threshold": results.at.tolist(),
        **{
            key: [value if images else None for value, images in zip(values, support, strict=True)]
            for key, values in measured.items()
        },
    }


def _tags_now(data: TaggedImages) -> dict[str, list[str]]:
    """The tags of each image."""
    rows = np.split(data.labels.indices, data.labels.indptr[1:-1])
    return {
        path: [data.names[tag] for tag in row.tolist()]
        for path, row in zip(data.paths, rows, strict=True)
    }


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


def _slices(
    tags: Sequence[SelectedTag],
    settings: ClassifierTraining,
    thresholds: Thresholds,
    by_scope: dict[Scope, TagMetrics],
    scored: Scored,
) -> list[dict[str, Any]]:
    """All tags, rarer tags and categories, each at its common threshold."""
    counts = np.array([tag.count for tag in tags])
    kinds = [category_name(tag.category) for tag in tags]
    table = []
    for part in slices(counts, kinds, settings.tag_ranks):
        scope: Scope = "global" if part.group == "all" else "category"
        at = thresholds.of(tags, scope)[part.tags[0]]
        row = summarise(by_scope[scope], tags=part.tags, scored=scored)
        table.append({"slice": part.name, "threshold": float(at), **row})
    return table


def _expected_wrong(predictions: Predictions, suspects: Sequence[SuspectedLabel]) -> float | None:
    """How many of the suspected tags are expected to be really missing or wrong."""
    if not suspects:
        return None
    missing, wrong = wrong_tag_probabilities(predictions.data.labels, predictions.out_of_fold)
    p = np.array([suspect.probability for suspect in suspects])
    absent = np.array([suspect.suggested == ADD for suspect in suspects])
    return float(np.where(absent, missing(p), wrong(p)).sum())
