"""What features of file names add to a model: it is told with and without, on the same split."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from src.aesthetic.predictor import Predictor
from src.aesthetic.rated_features import RatedFeatures
from src.evaluation.rank_metrics import pairwise_accuracy

Description = Mapping[str, Any]


def without_names(
    data: RatedFeatures, extractors: Sequence[Description]
) -> tuple[RatedFeatures, list[Description]] | None:
    """The same data and extractors without those of file names; None if there are none."""
    of_names = [str(extractor.get("name")).startswith("text:") for extractor in extractors]
    if not any(of_names):
        return None
    blocks = tuple(n for n, name in zip(data.blocks, of_names, strict=True) if not name)
    features = data.features[:, ~np.repeat(of_names, data.blocks)]
    return (
        replace(data, features=features, blocks=blocks),
        [e for e, name in zip(extractors, of_names, strict=True) if not name],
    )


def compare(
    data: RatedFeatures, predictor: Predictor, plain: RatedFeatures, other: Predictor
) -> str:
    """A sentence: the share of pairs of test images that each of two models orders right.

    Args:
        data, predictor: with file names.
        plain, other: without.
    """
    part = data.test if data.test.any() else data.train
    given = data.holder.scores[part]
    named = pairwise_accuracy(given, predictor.predict(data.features[part]))
    unnamed = pairwise_accuracy(given, other.predict(plain.features[part]))
    if named is None or unnamed is None:
        return "Whether file names help cannot be told: the test images all have the same score."
    return (
        f"With file names, {named:.1%} of the pairs of {'test' if data.test.any() else 'training'} "
        f"images are ordered right; without, {unnamed:.1%}."
    )
