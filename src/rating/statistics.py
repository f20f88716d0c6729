"""What the choices say about the session, the scores and the person, and what to do next."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

import numpy as np

from src.evaluation.proportion import NONE, Proportion
from src.rating.models.graph import Floats, Ints
from src.rating.models.order import OrderQuality
from src.rating.storage.choice_rows import ANSWERS, Event
from src.text import counted

FEWEST = 10
"""trials below which nothing is said of a proportion"""
ENOUGH = 3
"""choices per image after which the order is good without features (docs/rating.md)"""
WINDOW = 50
"""choices that the running agreement looks back on"""
_POINTS = 500
_Z = 1.96


class OddOneOut(NamedTuple):
    """Of the choices where person, scores and model did not all agree: who stood alone."""

    person: int
    database: int
    model: int
    agreed: int


@dataclass
class ChoiceCounts:
    """Running counts over choices, in the order they were made."""

    answered: int = 0  # ties included, skips not
    matched: list[bool] = field(default_factory=list)  # of each predicted choice but ties
    numbers: list[int] = field(default_factory=list)  # which choice each of them was, from 1
    audit: Proportion = NONE
    """random pairs predicted before they were shown: the honest quality"""
    repeats: Proportion = NONE
    """hidden repeats of random pairs answered the same way"""
    preferred: dict[frozenset[str], str] = field(default_factory=dict)
    """the last answer for each pair: the preferred path, "" for a tie"""

    def copy(self) -> Self:
        """One that can be added to without changing this one."""
        matched, numbers, preferred = self.matched, self.numbers, self.preferred
        return replace(
            self, matched=matched.copy(), numbers=numbers.copy(), preferred=preferred.copy()
        )

    def add(self, events: Iterable[Event]) -> Self:
        """Count further events; skips and exclusions do not count."""
        for event in events:
            if event.outcome not in ANSWERS:
                continue
            self.answered += 1
            match = matches(event)
            if match is not None:
                self.matched.append(match)
                self.numbers.append(self.answered)
                if event.kind == "audit":
                    self.audit += Proportion(int(match), 1)
            pair = frozenset((event.left, event.right))
            preferred = {"left": event.left, "right": event.right}.get(event.outcome, "")
            if event.kind == "repeat" and pair in self.preferred:
                self.repeats += Proportion(int(self.preferred[pair] == preferred), 1)
            self.preferred[pair] = preferred
        return self

    @property
    def agreement(self) -> Proportion:
        """Predicted choices that were as predicted."""
        return Proportion(sum(self.matched), len(self.matched))

    def running_agreement(self) -> tuple[Ints, Floats]:
        """Choice numbers, and the agreement over the last 50; thinned for plots."""
        total = np.concatenate([[0], np.cumsum(self.matched)])
        last = np.arange(1, len(total))
        first = np.maximum(last - WINDOW, 0)
        share = (total[last] - total[first]) / (last - first)
        keep = np.unique(np.linspace(0, len(share) - 1, min(len(share), _POINTS)).astype(int))
        return np.array(self.numbers, dtype=np.intp)[keep], share[keep]


@dataclass(frozen=True)
class Statistics:
    """The figures of a rating session; `report()` is the console text, `advice` what to do."""

    session: ChoiceCounts
    total: ChoiceCounts  # all sessions
    session_seconds: float
    goal: int
    images: int
    unrated: int
    choices: int  # all sessions, with those of an old score file
    order: OrderQuality | None  # None where too little is known, and for Elo
    odd_one_out: OddOneOut | None  # None without a model

    @property
    def choices_per_image(self) -> float:
        return 2 * self.choices / self.images if self.images else 0.0

    @property
    def advice(self) -> str:
        return advise(self)

    def report(self) -> str:
        made, agreement = self.session.answered, self.session.agreement
        matched, trials = agreement.successes, agreement.trials
        share = f" = ({100 * matched / trials:.2f}%)" if trials >= FEWEST else ""
        lines = [
            f"{counted(made, 'choice')} in {self.session_seconds:.1f} s",
            f"{self.unrated:,} of {counted(self.images, 'image')} not rated yet",
            f"{counted(matched, 'choice')} matched prediction, {trials - matched:,} contradicted "
            f"prediction [{made - trials:,} not predicted]{share}",
            f"A total of {counted(self.choices, 'choice')} for {counted(self.images, 'image')} "
            f"({self.choices_per_image:.2f} per image)",
            f"Random pairs predicted before they were shown: {_in_words(self.total.audit)}",
            f"Repeated pairs answered the same way: {_in_words(self.total.repeats)}",
        ]
        if self.order is not None:
            band = f"{100 * self.order.low:.0f} to {self.order.high:.0%}"
            lines.append(f"{of_order(self.order).capitalize()} (now {band})")
        if self.odd_one_out is not None:
            *alone, agreed = self.odd_one_out
            total = sum(alone)
            shares = [
                f"{name} {count:,}" + (f" ({100 * count / total:.0f}%)" if total >= FEWEST else "")
                for name, count in zip(("you", "database", "model"), alone, strict=True)
            ]
            lines.append(f"Odd one out: {'; '.join(shares)}; all agreed {agreed:,}")
        return "\n".join([*lines, self.advice])


def advise(statistics: Statistics) -> str:
    """What to do next, in one sentence or two; nothing is claimed that the figures do not show.

    Choices pull the scores towards the person, training pulls the model towards the scores: a
    person who stands alone more often than the model should rate more, a model that does should
    be trained (McNemar's test).
    """
    images, order, odd = statistics.images, statistics.order, statistics.odd_one_out
    if images < 2:
        return "Add images: it takes two to compare."
    audit = statistics.total.audit
    verdict = against_a_coin(audit)
    if audit.trials >= FEWEST and 2 * audit.successes <= audit.trials:
        return f"Rate more: {verdict}."
    if odd is not None and abs(odd.person - odd.model) > _Z * math.sqrt(odd.person + odd.model):
        you, model = counted(odd.person, "time"), counted(odd.model, "time")
        if odd.person > odd.model:
            return (
                f"Rate more: you were the odd one out {you}, the model {model}, "
                "so the scores follow the model more closely than you."
            )
        return (
            f"Train: the model was the odd one out {model}, you {you}, "
            "so it has yet to learn what the scores know."
        )
    if order is not None:
        if not order.can_stop:
            return f"Rate more: {of_order(order)}."
        return f"Train: {_so_far(order)}, and more choices would hardly improve it."
    if (more := ENOUGH * images - statistics.choices) > 0:
        choices, order_of = counted(more, "more choice"), counted(images, "image")
        return f"Rate more: it usually takes about {choices} to put {order_of} in good order."
    if audit.trials < FEWEST:
        return (
            f"Rate more: {counted(audit.trials, 'random pair')} cannot tell how well the scores "
            f"predict you; {FEWEST} are the least."
        )
    return f"{'Train' if audit.interval[0] > 0.5 else 'Rate more'}: {verdict}."


def of_order(order: OrderQuality) -> str:
    """How good the order is, in words: 100% would be the order of the person's own taste."""
    if order.can_stop:
        return f"{_so_far(order)}: you can stop"
    return f"{_so_far(order)}; {counted(order.more, 'more choice')}: {order.later:.0%}"


def _so_far(order: OrderQuality) -> str:
    if order.top:
        return f"top {order.top:,} about {order.now:.0%} right"
    return f"order about {order.now:.0%} there"


def against_a_coin(audit: Proportion) -> str:
    """How well the scores predict the person, against a coin; "" below ten random pairs."""
    if audit.trials < FEWEST or audit.value is None:
        return ""
    (low, high), pairs = audit.interval, counted(audit.trials, "random pair")
    share = f"{audit.value:.0%} of {pairs} ({100 * low:.0f}–{high:.0%})"
    if low > 0.5:
        return f"the scores predict {share}"
    if audit.value <= 0.5:
        return f"the scores predict you no better than a coin so far: {share}"
    return f"too few to tell whether the scores predict you better than a coin: {share}"


def matches(event: Event) -> bool | None:
    """Whether a choice is what was predicted; None for ties and where nothing was."""
    if event.prediction is None or event.outcome not in ("left", "right"):
        return None
    return (event.prediction > 0.5) == (event.outcome == "left")


def odd_one_out(events: Iterable[Event], model: Mapping[str, float]) -> OddOneOut:
    """Who stood alone among person, scores and model; pairs alike to the model are left out."""
    counts: Counter[tuple[bool, bool]] = Counter()
    for event in events:
        match = matches(event)
        margin = model.get(event.left, np.nan) - model.get(event.right, np.nan)
        if match is not None and abs(margin) > 0:
            counts[match, (margin > 0) == (event.outcome == "left")] += 1
    return OddOneOut(
        person=counts[False, False],
        database=counts[False, True],
        model=counts[True, False],
        agreed=counts[True, True],
    )


def _in_words(share: Proportion) -> str:
    if share.trials >= FEWEST:
        return str(share)
    return f"too few to tell ({share.successes} of {share.trials})" if share.trials else "–"
