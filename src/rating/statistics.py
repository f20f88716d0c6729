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
from src.rating.storage.choice_rows import ANSWERS, Event, places, predicted
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
    """Running counts over choices, in the order they were made.

    But for `answered`, only choices among `among` images count: how often one is predicted, or made
    alike again, depends on their number.
    """

    among: int = 2
    answered: int = 0  # ties included, skips not
    matched: list[bool] = field(default_factory=list)  # of each predicted choice but ties
    numbers: list[int] = field(default_factory=list)  # which choice each of them was, from 1
    audit: Proportion = NONE
    """random sets of which it was predicted what is chosen: the honest quality"""
    repeats: Proportion = NONE
    """hidden repeats of random sets answered the same way"""
    preferred: dict[frozenset[str], str] = field(default_factory=dict)
    """the last answer for each set: the preferred path, "" for a tie"""

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
            if len(event.images) != self.among:
                continue
            match = matches(event)
            if match is not None:
                self.matched.append(match)
                self.numbers.append(self.answered)
                if event.kind == "audit":
                    self.audit += Proportion(int(match), 1)
            images, best = frozenset(event.images), places(event.outcome)[0]
            preferred = "" if best is None else event.images[best]
            if event.kind == "repeat" and images in self.preferred:
                self.repeats += Proportion(int(self.preferred[images] == preferred), 1)
            self.preferred[images] = preferred
        return self

    @property
    def kind(self) -> str:
        """What is chosen among, as a noun."""
        return {2: "pair", 3: "three", 4: "four"}[self.among]

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
    choices_per_image: float
    order: OrderQuality | None  # None where too little is known, and for Elo
    odd_one_out: OddOneOut | None  # None without a model

    @property
    def advice(self) -> str:
        return advise(self)

    def report(self) -> str:
        made, agreement = self.session.answered, self.session.agreement
        kind = self.total.kind
        matched, trials = agreement.successes, agreement.trials
        share = f" = ({100 * matched / trials:.2f}%)" if trials >= FEWEST else ""
        lines = [
            f"{counted(made, 'choice')} in {self.session_seconds:.1f} s",
            f"{self.unrated:,} of {counted(self.images, 'image')} not rated yet",
            f"{counted(matched, 'choice')} matched prediction, {trials - matched:,} contradicted "
            f"prediction [{made - trials:,} not predicted]{share}",
            f"A total of {counted(self.choices, 'choice')} for {counted(self.images, 'image')} "
            f"({self.choices_per_image:.2f} per image)",
            f"Random {kind}s predicted before they were answered: {_in_words(self.total.audit)}",
            f"Repeated {kind}s answered the same way: {_in_words(self.total.repeats)}",
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
    audit, among = statistics.total.audit, statistics.total.among
    verdict = against_chance(statistics.total)
    if audit.trials >= FEWEST and among * audit.successes <= audit.trials:
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
    if (more := ENOUGH * images * 2 // among - statistics.choices) > 0:
        choices, order_of = counted(more, "more choice"), counted(images, "image")
        return f"Rate more: it usually takes about {choices} to put {order_of} in good order."
    if audit.trials < FEWEST:
        return (
            f"Rate more: {counted(audit.trials, f'random {statistics.total.kind}')} cannot tell "
            f"how well the scores predict you; {FEWEST} are the least."
        )
    return f"{'Train' if audit.interval[0] > 1 / among else 'Rate more'}: {verdict}."


def of_order(order: OrderQuality) -> str:
    """How good the order is, in words: 100% would be the order of the person's own taste."""
    if order.can_stop:
        return f"{_so_far(order)}: you can stop"
    return f"{_so_far(order)}; {counted(order.more, 'more choice')}: {order.later:.0%}"


def _so_far(order: OrderQuality) -> str:
    if order.top:
        return f"top {order.top:,} about {order.now:.0%} right"
    return f"order about {order.now:.0%} there"


def against_chance(counts: ChoiceCounts) -> str:
    """How well the scores predict the person, against guessing; "" below ten random sets."""
    audit, chance = counts.audit, 1 / counts.among
    if audit.trials < FEWEST or audit.value is None:
        return ""
    (low, high), sets = audit.interval, counted(audit.trials, f"random {counts.kind}")
    share = f"{audit.value:.0%} of {sets} ({100 * low:.0f}–{high:.0%})"
    guess = "a coin" if counts.among == 2 else f"a guess, which is right {chance:.0%} of the time"
    if low > chance:
        return f"the scores predict {share}"
    if audit.value <= chance:
        return f"the scores predict you no better than {guess} so far: {share}"
    return f"too few to tell whether the scores predict you better than {guess}: {share}"


def matches(event: Event) -> bool | None:
    """Whether a choice is what was predicted; None for ties and where nothing was."""
    best, expected = places(event.outcome)[0], predicted(event)
    return None if best is None or expected is None else best == expected


def odd_one_out(events: Iterable[Event], model: Mapping[str, float]) -> OddOneOut:
    """Who stood alone among person, scores and model; where two did not agree, nobody did.

    Choices of which the model does not say which image is the best are left out.
    """
    counts: Counter[tuple[bool, bool, bool]] = Counter()
    for event in events:
        match = matches(event)
        scores = np.array([model.get(path, np.nan) for path in event.images])
        if match is not None and (scores == scores.max()).sum() == 1:
            choices = places(event.outcome)[0], predicted(event), int(scores.argmax())
            counts[match, choices[0] == choices[2], choices[1] == choices[2]] += 1
    return OddOneOut(
        person=counts[False, False, True],
        database=counts[False, True, False],
        model=counts[True, False, False],
        agreed=counts[True, True, True],
    )


def _in_words(share: Proportion) -> str:
    if share.trials >= FEWEST:
        return str(share)
    return f"too few to tell ({share.successes} of {share.trials})" if share.trials else "–"
