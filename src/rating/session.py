"""A rating session: which pair is on show, what follows it, how the session went.

    with RatingDatabase("photos") as database:
        left, right = database.next_pair()
        database.record(left, right, "left")

All methods may be called from any thread.
"""

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from src.errors import DataError
from src.rating.models.scoring import Answer, Scoring
from src.rating.pairs.schedule import PairSchedule, Selection, Shown
from src.rating.rated_folder import Method, RatedFolder
from src.rating.statistics import ChoiceCounts, Statistics, odd_one_out
from src.rating.storage.choice_rows import Event
from src.text import counted

Pair = tuple[str, str]
Outcome = Literal["left", "right", "tie", "skip"]


class _Following(NamedTuple):
    """What comes after an answer that was not given yet."""

    base: Scoring  # the scores that it was computed from
    scoring: Scoring
    shown: Shown


class RatingDatabase(RatedFolder):
    """The session in which a person chooses between pairs of a folder's images.

    With a `top`, choices go to finding that many of the best images, instead of the order of all.
    A `seed` makes the choice of pairs repeatable; the `goal`, choices in this session, is only
    reported.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        images: Iterable[str] | None = None,
        method: Method = "posterior",
        selection: Selection = "active",
        seed: int | None = None,
        goal: int = 100,
        top: int = 0,
    ) -> None:
        super().__init__(directory, images=images, method=method)
        self.goal = goal
        events = self._log.events
        seed = secrets.randbits(32) if seed is None else seed
        self._schedule = PairSchedule(len(self._images.names), selection, seed, top)
        self._past = ChoiceCounts().add(events)
        self._first_event = len(events)
        self._model_scores: Mapping[str, float] | None = None
        self._turn = len(events)  # numbers the pairs; never goes back
        self._shown: list[Shown] = []  # the pair on show last; before it those put off by an undo
        self._done: list[Shown | None] = []  # of each event of this session: what was on show
        self._following: dict[Outcome, _Following] = {}
        self._began = self._ended = 0.0
        self._note_past()

    # Pairs and answers.

    def next_pair(self) -> Pair:
        """The pair to show now, as (left, right); the same one until it is recorded."""
        if not self._shown and self._live.due:
            self._refit()
        with self._lock:
            while True:
                self._images.check_enough()
                if not self._shown:
                    self._shown.append(
                        self._schedule.draw(self._live.scoring, self._images.allowed, self._turn)
                    )
                shown = self._shown[-1]
                numbers = map(self._images.shown_as, shown[:2])
                gone = [number for number in numbers if not self._images.is_file(number)]
                for number in gone:
                    self._drop(number, "is gone")
                if not gone:
                    self._began = self._began or time.monotonic()
                    return self._names(shown)

    def following_pairs(self) -> dict[Outcome, Pair]:
        """For "left" and "right": the pair that comes after that answer, if there is one.

        For decoding images ahead, in a background thread: now and then it also fits all choices
        again and brings `score.json` up to date.
        """
        if self._live.due:
            self._refit()
            try:
                self._write()
            except DataError as error:  # only said, since nothing is lost by it
                with self._lock:
                    self._log.notices.append(str(error))
        rateable = np.unique(self._images.scored_as[self._images.rateable])
        self._live.assess(rateable, self._schedule.top)
        with self._lock:
            if len(self._shown) > 1:  # after an undo the pair that was put off comes next
                put_off = self._names(self._shown[-2])
                return {"left": put_off, "right": put_off}
            if not self._shown or len(self._images.allowed) < 2:
                return {}
            shown, scoring = self._shown[-1], self._live.scoring
            allowed, turn = self._images.allowed, self._turn + 1
        outcomes: tuple[Outcome, ...] = ("left", "right")
        following = {}
        for outcome in outcomes:
            after = scoring.after(Answer(shown.left, shown.right, outcome))
            with self._lock:
                if self._shown[-1:] != [shown] or self._images.allowed is not allowed:
                    return {}  # answered or excluded meanwhile
                pair = self._schedule.draw(after, allowed, turn, shown[:2])
                following[outcome] = _Following(scoring, after, pair)
                if len(following) == len(outcomes):
                    self._following = following
        return {outcome: self._names(after.shown) for outcome, after in following.items()}

    def record(
        self, left: str, right: str, outcome: Outcome, *, response_time: float | None = None
    ) -> None:
        """Keep a choice; it is on disk when this returns. The response time is in seconds.

        A DataError (the disk is full, the folder gone) has changed nothing, so try again.
        """
        if outcome not in get_args(Outcome) or left == right:
            raise ValueError(f"outcome {outcome!r} of {left!r} and {right!r}")
        with self._lock:
            i, j = self._images.score_of(left), self._images.score_of(right)
            scoring, following = self._live.scoring, None
            if on_show := bool(self._shown) and self._shown[-1][:2] == (i, j):
                shown, following = self._shown[-1], self._following.get(outcome)
            else:
                shown = Shown(i, j, "given", scoring.prediction(i, j))
            _, _, kind, predicted = shown
            ready = following.scoring if following and following.base is scoring else None
            self._add(Event(left, right, outcome, kind, predicted, response_time), ready)
            self._schedule.note(i, j, kind)
            if on_show:
                self._shown.pop()
            if following:
                self._shown.append(following.shown)
            self._advance(shown if i != j else None)
            self._ended = time.monotonic()

    def undo(self) -> Pair | None:
        """Take back this session's last choice or exclusion, if any; the pair to show again.

        The pair that was on show before the undo comes after it.
        """
        with self._lock:
            if not self._done:
                return None
            if self._take_back().outcome != "exclude":
                self._schedule.forget()
            shown = self._done.pop()
            if shown is not None:
                self._shown.append(shown)
            self._turn += 1
            self._following = {}
        return self.next_pair()

    def exclude(self, path: str) -> None:
        """Never show this image again; its score leaves `scores` and `score.json`."""
        with self._lock:
            number = self._images.number(path)
            if self._images.excluded[number]:
                return
            shown = self._shown[-1] if self._shown else None
            super().exclude(path)
            self._hide(number)
            self._advance(shown)

    def set_unavailable(self, path: str, reason: str = "cannot be read") -> None:
        """Stop showing an image that cannot be opened, for this session; a score is kept."""
        with self._lock:
            self._drop(self._images.number(path), reason)

    def set_near_duplicates(self, groups: Iterable[Sequence[str]]) -> None:
        """Rate near duplicates once, in this session and the next ones; from any thread.

        Each group begins with the image that stands for the others, which have its score; where it
        is excluded or gone, the next one does. The choices about any of them count for all.
        """
        with self._lock:
            if not self._share_scores(groups):
                return
            self._note_past()
        self._live.refit()

    def set_model_scores(self, model_scores: Mapping[str, float]) -> None:
        """Scores of a trained model, for the odd-one-out statistics of this session."""
        with self._lock:
            self._model_scores = model_scores

    def statistics(self) -> Statistics:
        """The figures of the session and of all sessions, with advice and what plots draw."""
        with self._lock:
            model, choices = self._model_scores, self._store.choices
            session = self._log.events[self._first_event :]
            images, unrated = self._images_to_rate(), int(self._unrated().sum())
            seconds = max(self._ended - self._began, 0.0)
        return Statistics(
            session=ChoiceCounts().add(session),
            total=self._past.copy().add(session),
            session_seconds=seconds,
            goal=self.goal,
            images=images,
            unrated=unrated,
            choices=choices,
            order=self._live.quality,
            odd_one_out=None if model is None else odd_one_out(session, model),
        )

    def _note_past(self) -> None:
        """Take in which images share a score, and what was shown before."""
        self._schedule.begin(
            (self._images.score_of(event.left), self._images.score_of(event.right), event.kind)
            for event in self._log.events
            if event.outcome != "exclude"
        )
        self._schedule.aim(self._live.scoring, self._images.allowed)
        self._shown, self._following, self._done = [], {}, [None] * len(self._done)
        following = self._images.followers & self._images.rateable
        if count := int(following.sum()):
            follow = "follows" if count == 1 else "follow"
            groups = len(np.unique(self._images.scored_as[following]))
            self._log.notices.append(
                f"{counted(count, 'near duplicate')} {follow} {counted(groups, 'image')}: "
                f"{self._images_to_rate():,} to rate"
            )

    def _images_to_rate(self) -> int:
        return int((self._images.rateable & ~self._images.followers).sum())

    def _refit(self) -> None:
        self._live.refit()
        self._schedule.aim(self._live.scoring, self._images.allowed)

    def _names(self, shown: Shown) -> Pair:
        left, right = map(self._images.shown_as, shown[:2])
        return self._images.names[left], self._images.names[right]

    def _advance(self, shown: Shown | None) -> None:
        self._done.append(shown)
        self._turn += 1
        self._following = {}

    def _hide(self, number: int) -> None:
        hidden = self._images.scored_as[number]
        self._shown = [shown for shown in self._shown if hidden not in shown[:2]]
        self._following = {}

    def _drop(self, number: int, reason: str) -> None:
        self._images.set_unavailable(number)
        self._hide(number)
        kept = "" if self._never_compared()[number] else "; its score is kept"
        self._log.notices.append(f"{self._images.names[number]} {reason}{kept}")
