"""What the choices say about the session, the scores and the person: the figures of R17."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from src.evaluation.proportion import NONE, Proportion
from src.rating.models.scoring import Scoring
from src.rating.report.advice import FEWEST, OddOneOut, advise
from src.rating.storage.choice_log import ANSWERS, Event

__all__ = ["OddOneOut", "Proportion", "Series", "Statistics", "Tally", "gather"]

WINDOW = 50
"""choices that the running agreement looks back on"""
_POINTS = 500
_IMAGES = 20_000  # that a plot is drawn from, of very many


@dataclass(frozen=True)
class Series:
    """What the plots draw; equal positions belong together."""

    choice_number: list[int] = field(default_factory=list)
    agreement: list[float] = field(default_factory=list)
    """running share of matched predictions over the last 50 predicted choices"""
    scores: list[float] = field(default_factory=list)
    uncertainty: list[float] = field(default_factory=list)
    comparisons: list[int] = field(default_factory=list)
    """scores, uncertainty and comparisons: one entry per image, same order (above 20,000 images
    every second, third ... one)"""


@dataclass(frozen=True)
class Statistics:
    """The figures of a rating session; `report()` is the console text, `advice` one sentence."""

    session_choices: int
    """choices answered in this session (ties included, skips not)"""
    session_images: int
    """images shown in this session's choices: two per choice"""
    session_seconds: float
    goal: int
    images: int
    unrated: int
    matched: int
    """this session: the person chose the side that the database expected"""
    contradicted: int
    not_predicted: int
    session_agreement: Proportion
    comparisons: int
    """all sessions"""
    comparisons_per_image: float
    self_consistency: Proportion
    """hidden repeats of random pairs answered the same way, all sessions"""
    audit_agreement: Proportion
    """random pairs predicted before they were shown, all sessions: the honest quality"""
    odd_one_out: OddOneOut | None
    """None without a model"""
    series: Series
    advice: str

    def report(self) -> str:
        """The console report, in the seed's wording."""
        agreement = self.session_agreement.value
        percentage = "" if agreement is None else f" = ({100 * agreement:.2f}%)"
        lines = [
            f"{self.session_images} images in {self.session_seconds:6.1f} s",
            f"{self.unrated}/{self.images} are unrated",
            f"{self.matched} choices matched prediction, {self.contradicted} contradicted "
            f"prediction [{self.not_predicted} not predicted]{percentage}",
            f"A total of {self.comparisons} comparisons have been made for {self.images} images "
            f"({self.comparisons_per_image:.2f} per image)",
            f"Random pairs predicted before they were shown: {_in_words(self.audit_agreement)}",
            f"Repeated pairs answered the same way: {_in_words(self.self_consistency)}",
        ]
        odd = self.odd_one_out
        if odd is not None:
            total = odd.person + odd.database + odd.model
            shares = "; ".join(
                f"{name} {count} ({100 * count / total:.0f}%)" if total else f"{name} 0"
                for name, count in (
                    ("you", odd.person),
                    ("database", odd.database),
                    ("model", odd.model),
                )
            )
            lines.append(f"Odd one out: {shares}; all agreed {odd.agreed}")
        return "\n".join([*lines, self.advice])


def _in_words(share: Proportion) -> str:
    if share.trials >= FEWEST:
        return str(share)
    return f"too few to tell ({share.successes} of {share.trials})" if share.trials else "–"


@dataclass
class Tally:
    """Running counts over choices, in the order they were made."""

    answered: int = 0
    matched: list[bool] = field(default_factory=list)
    """of each predicted choice, ties left out"""
    numbers: list[int] = field(default_factory=list)
    """which choice each of them was, from 1"""
    audit: Proportion = NONE
    repeats: Proportion = NONE
    preferred: dict[frozenset[str], str] = field(default_factory=dict)
    """the last answer for each pair: the preferred path, "" for a tie"""

    def copy(self) -> Tally:
        """One that can be added to without changing this one."""
        return replace(
            self,
            matched=self.matched.copy(),
            numbers=self.numbers.copy(),
            preferred=self.preferred.copy(),
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


def matches(event: Event) -> bool | None:
    """Whether a choice is what was predicted; None for ties and where nothing was."""
    if event.prediction is None or event.outcome not in ("left", "right"):
        return None
    return (event.prediction > 0.5) == (event.outcome == "left")


def running_share(tally: Tally) -> tuple[list[int], list[float]]:
    """Choice numbers, and the share of matched predictions among the last 50; thinned for plots."""
    if not tally.matched:
        return [], []
    total = np.concatenate([[0], np.cumsum(tally.matched)])
    last = np.arange(1, len(total))
    first = np.maximum(last - WINDOW, 0)
    share = (total[last] - total[first]) / (last - first)
    keep = np.unique(np.linspace(0, len(share) - 1, min(len(share), _POINTS)).astype(int))
    return np.array(tally.numbers)[keep].tolist(), share[keep].tolist()


def odd_one_out(events: Iterable[Event], model: Mapping[str, float]) -> OddOneOut:
    """Who stood alone among person, database and model; pairs alike to the model are left out."""
    counts = {"person": 0, "database": 0, "model": 0, "agreed": 0}
    for event in events:
        match = matches(event)
        if match is None or event.left not in model or event.right not in model:
            continue
        margin = model[event.left] - model[event.right]
        if margin == 0:
            continue
        with_model = (margin > 0) == (event.outcome == "left")
        if match and with_model:
            counts["agreed"] += 1
        elif match:
            counts["model"] += 1
        elif with_model:
            counts["database"] += 1
        else:
            counts["person"] += 1
    return OddOneOut(**counts)


def gather(
    *,
    past: Tally,
    session: Sequence[Event],
    seconds: float,
    goal: int,
    choices: int,
    unrated: int,
    rateable: np.ndarray,
    comparisons: np.ndarray,
    scoring: Scoring,
    model: Mapping[str, float] | None,
    with_features: bool,
) -> Statistics:
    """The statistics of a session.

    Args:
        past: what was counted before the session.
        session: its events.
        seconds: from its first pair to its last answer.
        goal: choices it aims at.
        choices: in all sessions, the old tool's included.
        unrated: images that no person compared.
        rateable: (n,) bool, the images that count.
        comparisons: (n,) how often each was compared.
        scoring: the scores now.
        model: relative path → a model's score.
        with_features: whether features help the scores.
    """
    now, tally = Tally().add(session), past.copy().add(session)
    matched = sum(now.matched)
    images = int(rateable.sum())
    shown = np.flatnonzero(rateable)
    shown = shown[:: max(1, -(-len(shown) // _IMAGES))]
    numbers, agreement = running_share(tally)
    odd = None if model is None else odd_one_out(session, model)
    return Statistics(
        session_choices=now.answered,
        session_images=2 * now.answered,
        session_seconds=seconds,
        goal=goal,
        images=images,
        unrated=unrated,
        matched=matched,
        contradicted=len(now.matched) - matched,
        not_predicted=now.answered - len(now.matched),
        session_agreement=Proportion(matched, len(now.matched)),
        comparisons=choices,
        comparisons_per_image=2 * choices / images if images else 0.0,
        self_consistency=tally.repeats,
        audit_agreement=tally.audit,
        odd_one_out=odd,
        series=Series(
            choice_number=numbers,
            agreement=agreement,
            scores=scoring.scores()[shown].tolist(),
            uncertainty=scoring.deviations(shown).tolist(),
            comparisons=comparisons[shown].tolist(),
        ),
        advice=advise(
            images=images,
            choices=choices,
            with_features=with_features,
            audit=tally.audit,
            consistency=tally.repeats,
            odd_one_out=odd,
        ),
    )
