"""What to do next, in one sentence: rate more, train, or add images."""

from __future__ import annotations

import math
from dataclasses import dataclass

from src.evaluation.proportion import Proportion

ENOUGH = {True: 2.0, False: 3.0}
"""choices per image after which the order is good (docs/rating.md), with and without features"""
USUAL_CONSISTENCY = 0.75
"""how often a person answers the same pair the same way, where it was not measured"""
_ODD_ONES = 20
_AUDITS = 30


@dataclass(frozen=True)
class OddOneOut:
    """Of the choices where person, database and model did not all agree: who stood alone."""

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
    """One sentence.

    Choices pull the database towards the person, training pulls the model towards the database:
    a person who stands alone more often than the model should rate more, a model that does should
    be trained. At the person's own consistency neither helps and more images do.

    Args:
        images: that can be compared.
        choices: made so far, in all sessions.
        with_features: whether features help the scores.
        audit: random pairs predicted right before they were shown.
        consistency: repeated pairs answered the same way.
        odd_one_out: None without a model.
    """
    if images < 2:
        return "Add images: it takes two to compare."
    more = math.ceil(ENOUGH[with_features] * images) - choices
    ceiling = USUAL_CONSISTENCY
    if consistency.value is not None and consistency.trials >= _ODD_ONES:
        ceiling = consistency.value
    behind = audit.trials >= _AUDITS and audit.interval[1] < ceiling
    if odd_one_out is not None:
        person, model = odd_one_out.person, odd_one_out.model
        apart = person + model + odd_one_out.database >= _ODD_ONES
        if apart and person - model > math.sqrt(person + model):
            return (
                f"Rate more: you stood alone {person} times, the model {model} times, "
                "so the scores follow the model more than you."
            )
        if apart and model - person > math.sqrt(person + model):
            return (
                f"Train: the model stood alone {model} times, you {person} times, "
                "so it has yet to learn what the scores know."
            )
    if more > 0:
        count = f"{more:,} more choice{'s' if more > 1 else ''}"
        return f"Rate more: about {count} will put the {images:,} images into a good order."
    if behind and audit.value is not None:
        return (
            f"Rate more: the scores foresee {100 * audit.value:.0f} % of random pairs, "
            f"and could reach about {100 * ceiling:.0f} %."
        )
    if odd_one_out is not None:
        return (
            "Add images: scores and model agree with you about as well as you do with yourself, "
            "so only new subjects can teach them more."
        )
    return (
        "Train: the scores foresee you about as well as they can. If the model is not good enough "
        "then, add images rather than choices."
    )
