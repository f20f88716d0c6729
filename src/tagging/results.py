"""Measuring a tagging model and writing what was found beside it."""

import csv
import io
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.dataset.parts import PART_NAMES, TEST, TRAIN, VALIDATION
from src.errors import DataError
from src.evaluation.multilabel import TagMetrics, measure_tags, slices, summarise
from src.evaluation.multilabel_scores import against
from src.files import write_text
from src.tagging.errors import FILE_NAME as ERRORS_FILE
from src.tagging.errors import TagError, find_tag_errors, write_errors
from src.tagging.job import TagAnswers
from src.tagging.selected_tags import SelectedTag, category_name
from src.tagging.tag_files import SidecarStyle
from src.tagging.thresholds import Scope, Thresholds, choose_thresholds, save_thresholds

logger = logging.getLogger(__name__)

SCOPES: tuple[Scope, ...] = ("global", "category", "tag")


@dataclass(frozen=True)
class Measuring:
    """How answers are measured.

    Attributes:
        scope: which thresholds the tables of tags are at.
        min_support: validation images that a threshold of a tag's own takes.
        ranks: popularity ranks that tables begin at; see `multilabel_metrics.slices`.
        images: thumbnails for each tag on the page.
    """

    scope: Scope = "global"
    min_support: int = 20
    ranks: Sequence[int] = ()
    images: int = 6


@dataclass(frozen=True)
class TagFindings:
    """What a tagging model's answers amount to.

    Attributes:
        thresholds: chosen on the validation images.
        figures: what metrics.json holds.
        by_tag: figures of each tag on the images that are reported on.
        at: the thresholds those figures are at, (k,).
        errors: tags that are probably missing or wrong.
    """

    thresholds: Thresholds
    figures: dict[str, Any]
    by_tag: TagMetrics
    at: np.ndarray
    errors: list[TagError]


def find(answers: TagAnswers, how: Measuring) -> TagFindings:
    """Choose thresholds on the validation images and report on the test images.

    Without validation images the thresholds come from the training images; without test images
    the report is on the validation images.

    Raises:
        DataError: there is nothing to choose thresholds by.
    """
    data = answers.data
    chosen_on = VALIDATION if _tagged(answers, VALIDATION) else TRAIN
    if not _tagged(answers, chosen_on):
        raise DataError("no tagged images are left to choose thresholds by: add images")
    mask = answers.parts == chosen_on
    thresholds = choose_thresholds(
        answers.probabilities[mask], data.labels[mask], data.tags, min_support=how.min_support
    )
    reported = next((p for p in (TEST, VALIDATION) if _tagged(answers, p)), TRAIN)
    mask = answers.parts == reported
    scores, labels = answers.probabilities[mask], data.labels[mask]
    by_scope = {
        scope: measure_tags(scores, labels, thresholds.of(data.tags, scope)) for scope in SCOPES
    }
    scored = against(scores, labels)
    table = []
    for part in slices(data.tags, how.ranks):
        scope: Scope = "global" if part.group == "all" else "category"
        at = thresholds.of(data.tags, scope)[part.tags[0]]
        row = summarise(by_scope[scope], tags=part.tags, scored=scored)
        table.append({"slice": part.name, "threshold": float(at), **row})
    figures = {
        "images": {name: int((answers.parts == p).sum()) for p, name in enumerate(PART_NAMES)},
        "tags": len(data.tags),
        "thresholds_chosen_on": PART_NAMES[chosen_on],
        "reported_on": PART_NAMES[reported],
        "slices": table,
        "by_threshold_scope": {scope: summarise(by_scope[scope]) for scope in SCOPES},
        "provenance": dict(answers.provenance),
    }
    errors = find_tag_errors(data.paths, data.names, data.labels, answers.unseen)
    return TagFindings(
        thresholds, figures, by_scope[how.scope], thresholds.of(data.tags, how.scope), errors
    )


def write_results(
    folder: Path,
    answers: TagAnswers,
    style: SidecarStyle,
    how: Measuring,
    *,
    compared: Sequence[dict[str, Any]] = (),
) -> TagFindings:
    """Write thresholds.json, metrics.json, tags.csv, tag_errors.json and report.html.

    Args:
        folder: the model's.
        answers: its answers.
        style: how the images' tag files are named.
        how: how answers are measured.
        compared: rows of a table of several models, for an ensemble.

    Raises:
        DataError: a file cannot be written, or there is nothing to choose thresholds by.
    """
    from src.tagging.report import write_report

    findings = find(answers, how)
    if compared:
        findings.figures["models"] = list(compared)
    save_thresholds(folder, findings.thresholds)
    text = json.dumps(findings.figures, indent=2, ensure_ascii=False)
    write_text(folder / "metrics.json", text + "\n")
    rows = tag_rows(answers.data.tags, findings)
    write_text(folder / "tags.csv", _csv(rows))
    write_errors(folder / ERRORS_FILE, answers.data.directory, style, findings.errors)
    write_report(
        folder / "report.html", answers, findings.figures, rows, findings.errors, style,
        images=how.images,
    )  # fmt: skip
    return findings


def tag_rows(tags: Sequence[SelectedTag], findings: TagFindings) -> list[dict[str, Any]]:
    """Figures of each tag as rows; None where a tag is on none of the images reported on."""
    by_tag = findings.by_tag
    columns = {
        "precision": by_tag.precision,
        "recall": by_tag.recall,
        "f1": by_tag.f_score(1),
        "f2": by_tag.f_score(2),
        "mcc": by_tag.mcc,
        "average_precision": by_tag.average_precision,
    }
    support = by_tag.support
    return [
        {
            "rank": rank,
            "tag": tag.name,
            "category": category_name(tag.category),
            "images": tag.count,
            "tested": int(support[rank]),
            "threshold": float(findings.at[rank]),
            **{
                name: float(values[rank]) if support[rank] else None
                for name, values in columns.items()
            },
        }
        for rank, tag in enumerate(tags)
    ]


def _tagged(answers: TagAnswers, part: int) -> bool:
    return bool(answers.data.labels[answers.parts == part].nnz)


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                k: f"{v:.4f}" if isinstance(v, float) else "" if v is None else v
                for k, v in row.items()
            }
        )
    return text.getvalue()
