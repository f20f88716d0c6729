"""What the choices say about the session, the scores and the person: the figures of R17."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Share:
    """`successes` of `trials`, with Wilson's 95 % interval."""

    successes: int
    trials: int

    @property
    def value(self) -> float | None:
        """The share in 0 … 1; None without trials."""
        return self.successes / self.trials if self.trials else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval (Wilson 1927); (0, 1) without trials."""
        raise NotImplementedError

    def __str__(self) -> str:
        """As in "73.1 % (64.0–80.7 %, 80 of 110)"; "–" without trials."""
        raise NotImplementedError


@dataclass(frozen=True)
class OddOneOut:
    """Of the choices where person, database and model did not all agree: who stood alone."""

    person: int
    database: int
    model: int
    agreed: int


@dataclass(frozen=True)
class Series:
    """What the plots draw; equal positions belong together."""

    choice_number: list[int] = field(default_factory=list)
    agreement: list[float] = field(default_factory=list)
    """running share of matched predictions over the last 50 predicted choices"""
    scores: list[float] = field(default_factory=list)
    uncertainty: list[float] = field(default_factory=list)
    comparisons: list[int] = field(default_factory=list)
    """scores, uncertainty and comparisons: one entry per image, same order"""


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
    session_agreement: Share
    comparisons: int
    """all sessions"""
    comparisons_per_image: float
    self_consistency: Share
    """hidden repeats answered the same way, all sessions"""
    audit_agreement: Share
    """random pairs predicted before they were shown, all sessions: the honest quality"""
    odd_one_out: OddOneOut | None
    """None without a model"""
    series: Series
    advice: str

    def report(self) -> str:
        """The console report, in the seed's wording."""
        raise NotImplementedError
