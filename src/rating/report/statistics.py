"""What the choices say about the session, the scores and the person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from src.evaluation.proportion import NONE, Proportion
from src.rating.models.graph import Floats, Ints
from src.rating.report.advice import FEWEST, OddOneOut, advise
from src.rating.storage.choice_rows import ANSWERS, Event

WINDOW = 50
"""choices that the running agreement looks back on"""
_POINTS = 500


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
    comparisons: int  # all sessions, with those of an old score file
    with_features: bool
    odd_one_out: OddOneOut | None  # None without a model
    scores: Floats
    uncertainty: Floats
    image_comparisons: Ints
    """these three: one entry for each image, in the same order"""

    @property
    def comparisons_per_image(self) -> float:
        return 2 * self.comparisons / self.images if self.images else 0.0

    @property
    def advice(self) -> str:
        return advise(
            images=self.images,
            choices=self.comparisons,
            with_features=self.with_features,
            audit=self.total.audit,
            consistency=self.total.repeats,
            odd_one_out=self.odd_one_out,
        )

    def report(self) -> str:
        agreement = self.session.agreement
        percentage = "" if agreement.value is None else f" = ({100 * agreement.value:.2f}%)"
        lines = [
            f"{self.session.answered} choices in {self.session_seconds:.1f} s",
            f"{self.unrated}/{self.images} are unrated",
            f"{agreement.successes} choices matched prediction, "
            f"{agreement.trials - agreement.successes} contradicted prediction "
            f"[{self.session.answered - agreement.trials} not predicted]{percentage}",
            f"A total of {self.comparisons} comparisons have been made for {self.images} images "
            f"({self.comparisons_per_image:.2f} per image)",
            f"Random pairs predicted before they were shown: {_in_words(self.total.audit)}",
            f"Repeated pairs answered the same way: {_in_words(self.total.repeats)}",
        ]
        if self.odd_one_out is not None:
            *alone, agreed = self.odd_one_out
            total = max(sum(alone), 1)
            shares = [
                f"{name} {count} ({100 * count / total:.0f}%)"
                for name, count in zip(("you", "database", "model"), alone, strict=True)
            ]
            lines.append(f"Odd one out: {'; '.join(shares)}; all agreed {agreed}")
        return "\n".join([*lines, self.advice])


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
