"""Thresholds at which precision equals recall, found exactly.

That is the k-th largest score, k being the number of positives; where equal scores around it make
that impossible, the nearer of the two neighbouring thresholds is taken.

On 5 million scores this takes a hundredth of the time of scikit-learn's precision_recall_curve.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Literal, Self, get_args

import numpy as np
from pydantic import Field, TypeAdapter

from src.errors import ModelError
from src.evaluation.multilabel import against, sorted_columns
from src.files import read_json, write_text
from src.tagging.selected_tags import CHARACTER, GENERAL, SelectedTag, category_name

logger = logging.getLogger(__name__)

FILE_NAME = "thresholds.json"
Share = Annotated[float, Field(ge=0, le=1)]
Scope = Literal["global", "category", "tag"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


def balanced_threshold(scores: np.ndarray, positive: np.ndarray) -> float:
    """The threshold t at which the decision `score >= t` has precision nearest to recall.

    Of two candidates that equal scores leave it is the one that hits anything, or the lower.
    `positive` are the scores, of any shape, of those that are really positive.
    """
    k, n = positive.size, scores.size
    if not 0 < k <= n:
        raise ValueError(f"{k} positives among {n} scores")
    top = np.partition(scores.reshape(-1), n - k)[n - k :]
    if np.isnan(top).any():  # partition puts what is not a number at the end
        raise ValueError("a score is not a number")

    def distance(threshold: float) -> tuple[bool, float]:
        given, hits = int((scores >= threshold).sum()), int((positive >= threshold).sum())
        return not hits, abs(hits / max(given, 1) - hits / k)

    beyond = top[top > top[0]].min(initial=np.inf)
    return min(float(top[0]), float(beyond), key=distance)


@dataclass(frozen=True)
class Thresholds:
    """Where a score becomes a tag."""

    overall: Share  # one threshold for all tags
    categories: dict[int, Share] = field(default_factory=dict)
    tags: dict[str, Share] = field(default_factory=dict)  # of tags that enough images had
    min_support: int = 0  # how many images that is
    chosen_on: str = ""  # the images: "validation" or "train"; "" if unknown

    def of(self, tags: Sequence[SelectedTag], scope: Scope) -> np.ndarray:
        """For each tag, (k,) float64; where the scope has none, that of the next wider one."""
        categories = {} if scope == "global" else self.categories
        own = self.tags if scope == "tag" else {}
        return np.array(
            [own.get(tag.name, categories.get(tag.category, self.overall)) for tag in tags],
            np.float64,
        )

    @classmethod
    def mean(cls, members: Sequence[Self]) -> Self:
        """Those of an ensemble: nothing new is chosen, so that no image is used up for it."""
        categories = set.intersection(*(set(member.categories) for member in members))
        tags = set.intersection(*(set(member.tags) for member in members))
        return cls(
            overall=fmean(member.overall for member in members),
            categories={c: fmean(m.categories[c] for m in members) for c in sorted(categories)},
            tags={tag: fmean(member.tags[tag] for member in members) for tag in sorted(tags)},
            min_support=max(member.min_support for member in members),
            chosen_on=" and ".join(dict.fromkeys(member.chosen_on for member in members)),
        )


# Where a folder stores none, those of the wd taggers' own page (see `published`).
USUAL = Thresholds(0.35, {GENERAL: 0.35, CHARACTER: 0.85}, chosen_on="no images")


def choose_thresholds(
    scores: np.ndarray,
    labels: Any,
    tags: Sequence[SelectedTag],
    min_support: int = 20,
    chosen_on: str = "",
) -> Thresholds:
    """Precision = recall over all tags, over each category, and for each tag on enough images.

    Scores and labels are (n, k), labels nonzero where the image has the tag. Tags on fewer than
    `min_support` of the images get no threshold of their own.
    """
    scored = against(scores, labels)
    kinds = np.array([tag.category for tag in tags])
    overall = balanced_threshold(scores, scored.positive)
    by_category = {
        int(kind): overall
        if (kinds == kind).all()
        else balanced_threshold(
            scores[:, kinds == kind], scored.positive[kinds[scored.columns] == kind]
        )
        for kind in np.unique(kinds[scored.columns])
    }
    by_tag = {
        tags[tag].name: balanced_threshold(column, positive)
        for tag, column, positive in sorted_columns(scored)
        if positive.size >= max(min_support, 1)
    }
    return Thresholds(overall, by_category, by_tag, min_support, chosen_on)


def save_thresholds(folder: Path, thresholds: Thresholds) -> None:
    content = asdict(thresholds)
    content = {"global": content.pop("overall")} | content
    content |= {
        "category_names": {str(key): category_name(key) for key in thresholds.categories},
        "rule": "a tag is given where score >= threshold; precision equals recall on the images "
        "that it was chosen on",
    }
    write_text(folder / FILE_NAME, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def load_thresholds(folder: Path) -> Thresholds:
    """The thresholds that a model's folder stores; without any, `USUAL` and a line about it."""
    file = folder / FILE_NAME
    try:
        content = read_json(file)
        return TypeAdapter(Thresholds).validate_python(content | {"overall": content["global"]})
    except FileNotFoundError:
        usual = "0.35, for characters 0.85, of the ratings the likeliest (category_thresholds)"
        logger.info("%s holds no thresholds. The usual ones count: %s.", folder, usual)
        return USUAL
    except (OSError, ValueError, KeyError, TypeError):  # a ValidationError is a ValueError
        raise ModelError(f"{file} is damaged: train the model again, or restore the file") from None
