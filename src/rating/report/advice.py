"""What to do next, in one sentence: rate more, train, or add images."""

from __future__ import annotations

import math
from typing import NamedTuple

from src.evaluation.proportion import Proportion, ceiling

FEWEST = 10
"""trials below which nothing is said of a proportion"""
ENOUGH = {True: 2.0, False: 3.0}
"""choices per image after which the order is good (docs/rating.md), with and without features"""
_Z = 1.96


class OddOneOut(NamedTuple):
    """Of the choices where person, scores and model did not all agree: who stood alone."""

    person: int
    database: int
    model: int
    agreed: int


def advise(
    *,
    images: int,
    choices: int,
    with_features: bool,
    audit: Proportion,
    consistency: Proportion,
    odd_one_out: OddOneOut | None,
) -> str:
    """One sentence or two; nothing is claimed that the figures do not show.

    Choices pull the scores towards the person, training pulls the model towards the scores: a
    person who stands alone more often than the model should rate more, a model that does should
    be trained (McNemar's test).
    """
    if images < 2:
        return "Add images: it takes two to compare."
    verdict = against_a_coin(audit)
    if audit.trials >= FEWEST and 2 * audit.successes <= audit.trials:
        return f"Rate more: {verdict}."
    if odd_one_out is not None:
        person, model = odd_one_out.person, odd_one_out.model
        if person - model > _Z * math.sqrt(person + model):
            return (
                f"Rate more: you stood alone {person} times, the model {model} times, "
                "so the scores follow the model more than you."
            )
        if model - person > _Z * math.sqrt(person + model):
            return (
                f"Train: the model stood alone {model} times, you {person} times, "
                "so it has yet to learn what the scores know."
            )
    more = math.ceil(ENOUGH[with_features] * images) - choices
    if more > 0:
        count = f"{more:,} more choice{'s' if more > 1 else ''}"
        return f"Rate more: it usually takes about {count} to put {images:,} images in good order."
    if audit.trials < FEWEST:
        return (
            f"Rate more: {audit.trials} random pairs are too few to tell how well the scores "
            f"predict you; {FEWEST} are the least."
        )
    if audit.interval[0] <= 0.5:
        return f"Rate more: {verdict}."
    most = ceiling(consistency)
    if most is None:
        return f"Train: {verdict}. Ten repeated pairs will show how much more is possible."
    estimate, low, high = (100 * share for share in most)
    limit = f"about {estimate:.0f} % ({low:.0f}–{high:.0f} %)"
    if 100 * audit.interval[1] < low:
        return f"Rate more: {verdict}; with your consistency, {limit} is possible."
    return f"Train: {verdict}; with your consistency, at most {limit} is possible."


def against_a_coin(audit: Proportion) -> str:
    """How well the scores predict the person, against a coin; "" below ten random pairs."""
    if audit.trials < FEWEST or audit.value is None:
        return ""
    value, pairs = f"{100 * audit.value:.0f} %", f"{audit.trials:,} random pairs"
    low, high = audit.interval
    bounds = f"({100 * low:.0f}–{100 * high:.0f} %)"
    if low > 0.5:
        return f"the scores predict {value} of {pairs} {bounds}"
    if audit.value <= 0.5:
        return f"the scores predict you no better than a coin so far: {value} of {pairs} {bounds}"
    few = f"{pairs} are too few to tell whether the scores predict you better than a coin"
    return f"{few}: {value} {bounds}"
