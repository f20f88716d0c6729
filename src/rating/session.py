"""The rating session of one folder: which pair to show, every choice kept, the scores.

    with RatingDatabase("photos") as database:
        left, right = database.next_pair()
        database.record(left, right, "left")

All methods may be called from any thread.
"""

import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import ArrayLike

from src.errors import DataError
from src.images import find_images
from src.rating.image_table import ImageTable
from src.rating.models.feature_space import feature_space, without_features
from src.rating.models.graph import Floats
from src.rating.models.initial_scores import InitialScores
from src.rating.models.live_scores import LiveScores
from src.rating.models.posterior import LOGITS
from src.rating.models.scoring import Answer, EloScoring, PosteriorScoring, Scoring
from src.rating.pairs.schedule import PairSchedule, Selection, Shown
from src.rating.statistics import ChoiceCounts, Statistics, odd_one_out
from src.rating.storage.choice_rows import ANSWERS, Event
from src.rating.storage.rating_store import RatingStore
from src.rating.storage.score_file import posix

Pair = tuple[str, str]
Outcome = Literal["left", "right", "tie", "skip"]
Method = Literal["posterior", "elo"]


class Ladder(NamedTuple):
    """Images from best to worst; arrays (n,)."""

    paths: list[str]
    scores: Floats
    deviations: Floats


class _Following(NamedTuple):
    """What comes after an answer that was not given yet."""

    base: Scoring  # the scores that it was computed from
    scoring: Scoring
    shown: Shown


class RatingDatabase:
    """The scores of a folder of images, learned from a person's choices between pairs.

    `images`, relative posix paths, default to every image below the folder. A `seed` makes the
    choice of pairs repeatable; the `goal`, choices in this session, is only reported.
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
    ) -> None:
        self.directory, self.goal = Path(directory), goal
        self._lock, self._writing = threading.RLock(), threading.Lock()
        found = find_images(self.directory) if images is None else [posix(path) for path in images]
        self._store = RatingStore(self.directory)
        self._log = self._store.log
        try:
            events = self._log.events
            logged = {path for event in events for path in event[:2]} - {""}
            self._images = ImageTable(self.directory, found, logged.union(self._log.starts))
            count = len(self._images.names)
            self._schedule = PairSchedule(
                count, selection, secrets.randbits(32) if seed is None else seed
            )
            self._method, self._space = method, without_features(count)
            answers = self._replay(events)
            self._live = LiveScores(self._before_choices(), answers, self._lock)
        except BaseException:
            self._log.close()
            raise
        self._past = ChoiceCounts().add(events)
        self._first_event = len(events)
        self._model_scores: Mapping[str, float] | None = None
        self._turn = len(events)  # numbers the pairs; never goes back
        self._shown: list[Shown] = []  # the pair on show last; before it those put off by an undo
        self._done: list[Shown | None] = []  # of each event of this session: what was on show
        self._following: dict[Outcome, _Following] = {}
        self._began = self._ended = 0.0
        self._closed = False

    @property
    def images(self) -> list[str]:
        """Relative paths that can be shown: found, not excluded, not gone."""
        with self._lock:
            return [self._images.names[number] for number in self._images.allowed]

    # Pairs and answers.

    def next_pair(self) -> Pair:
        """The pair to show now, as (left, right); the same one until it is recorded."""
        if not self._shown and self._live.due:
            self._live.refit()
        with self._lock:
            while True:
                self._images.check_enough()
                if not self._shown:
                    self._shown.append(
                        self._schedule.draw(self._live.scoring, self._images.allowed, self._turn)
                    )
                shown = self._shown[-1]
                gone = [number for number in shown[:2] if not self._images.is_file(number)]
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
            self._live.refit()
            try:
                self._write()
            except DataError as error:  # only said, since nothing is lost by it
                with self._lock:
                    self._log.notices.append(str(error))
        self._live.assess(np.flatnonzero(self._images.rateable))
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
            i, j = self._images.number(left), self._images.number(right)
            scoring, following = self._live.scoring, None
            if on_show := bool(self._shown) and self._shown[-1][:2] == (i, j):
                shown, following = self._shown[-1], self._following.get(outcome)
            else:
                shown = Shown(i, j, "given", scoring.prediction(i, j))
            _, _, kind, predicted = shown
            self._log.append(Event(left, right, outcome, kind, predicted, response_time))
            self._schedule.note(i, j, kind)
            if outcome != "skip":
                self._comparisons[[i, j]] += 1
                ready = following.scoring if following and following.base is scoring else None
                self._live.add(Answer(i, j, outcome), ready)
            if on_show:
                self._shown.pop()
            if following:
                self._shown.append(following.shown)
            self._advance(shown)
            self._ended = time.monotonic()

    def undo(self) -> Pair | None:
        """Take back this session's last choice or exclusion, if any; the pair to show again.

        The pair that was on show before the undo comes after it.
        """
        with self._lock:
            if not self._done:
                return None
            event = self._log.take_back()
            i = self._images.number(event.left)
            if event.outcome == "exclude":
                self._images.set_excluded(i, False)
            else:
                self._schedule.forget()
                if event.outcome in ANSWERS:
                    self._comparisons[[i, self._images.number(event.right)]] -= 1
                    self._live.take_back()
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
            self._log.append(Event(path, "", "exclude", ""))
            self._images.set_excluded(number, True)
            self._hide(number)
            self._advance(shown)

    def set_unavailable(self, path: str, reason: str = "cannot be read") -> None:
        """Stop showing an image that cannot be opened, for this session; a score is kept."""
        with self._lock:
            self._drop(self._images.number(path), reason)

    # Features, a model's scores, what is known.

    def set_features(self, features: Mapping[str, ArrayLike]) -> None:
        """Use these features from now on; from any thread."""
        if self._method == "posterior":
            space = feature_space(self._images.names, features)
            self._live.refit(space)
            with self._lock:
                self._space = space

    def set_model_scores(self, model_scores: Mapping[str, float]) -> None:
        """Scores of a trained model, for the odd-one-out statistics of this session."""
        with self._lock:
            self._model_scores = model_scores

    def initialise_from_model(self, scores: Mapping[str, float]) -> None:
        """Take rescaled scores (`initial_scores.py`) as the start of images, which stay unrated."""
        with self._lock:
            unrated = self._unrated()
            for path in scores:
                if not unrated[self._images.number(path)]:
                    raise DataError(f"{path!r} is rated or excluded: a model fills unrated images")
            self._store.add_model_scores(scores)
            self._live.restart(self._before_choices())
            self._following = {}

    def scores(self) -> dict[str, float]:
        """Every image's score: Elo/400 (+1 is 10:1 odds); their mean is that of initial scores."""
        with self._lock:
            return self._by_name(self._images.rateable, self._levelled(self._live.scoring))

    def comparisons(self) -> dict[str, int]:
        """How often each image took part in a choice (skipped pairs do not count)."""
        with self._lock:
            return self._by_name(self._images.rateable, self._comparisons)

    def unrated(self) -> list[str]:
        """Images that no person has compared yet; a model's score does not count."""
        with self._lock:
            return list(self._by_name(self._unrated(), self._comparisons))

    def statistics(self) -> Statistics:
        """The figures of the session and of all sessions, with advice and what plots draw."""
        with self._lock:
            model, choices = self._model_scores, self._store.choices
            session = self._log.events[self._first_event :]
            images, unrated = int(self._images.rateable.sum()), int(self._unrated().sum())
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

    def ladder(self) -> Ladder:
        """All images from best to worst."""
        with self._lock:
            scores, scoring = self._levelled(self._live.scoring), self._live.scoring
            numbers = np.flatnonzero(self._images.rateable)
        numbers = numbers[np.argsort(-scores[numbers], kind="stable")]
        paths = [self._images.names[number] for number in numbers.tolist()]
        return Ladder(paths, scores[numbers], scoring.deviations(numbers))

    def choices_of(self, path: str) -> list[Event]:
        """The choices between an image and others, the last first."""
        with self._lock:
            events = self._log.events[::-1]
        return [one for one in events if path in one[:2] and one.outcome in ANSWERS]

    def take_notices(self) -> list[str]:
        with self._lock:
            notices, self._log.notices = self._log.notices, []
            return notices

    # Saving and closing.

    def save(self) -> None:
        """Refit all choices exactly and write `score.json` in one atomic step."""
        self._live.refit()
        self._write()

    def close(self) -> None:
        """Save what is new and release the folder; may be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        try:  # without the lock: a fit that runs may still need it
            if self._store.stale:
                self.save()
        finally:
            with self._writing, self._lock:
                self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _before_choices(self) -> Scoring:
        self._initial = InitialScores.of(
            self._log.starts.values(), self._images.index, self._store.old_evaluations
        )
        if self._method == "elo":
            return EloScoring.begin(self._initial)
        return PosteriorScoring.begin(self._initial, self._space)

    def _replay(self, events: Iterable[Event]) -> list[Answer]:
        """Take in what is in the log; returns the answers among it."""
        answers, index = [], self._images.index
        for event in events:
            if event.outcome == "exclude":
                self._images.set_excluded(index[event.left], True)
                continue
            i, j = index[event.left], index[event.right]
            self._schedule.note(i, j, event.kind)
            if event.outcome in ANSWERS:
                answers.append(Answer(i, j, event.outcome))
        ends = np.array([answer[:2] for answer in answers], dtype=np.intp)
        self._comparisons = np.bincount(ends.ravel(), minlength=len(index))
        return answers

    def _names(self, shown: Shown) -> Pair:
        return self._images.names[shown.left], self._images.names[shown.right]

    def _advance(self, shown: Shown | None) -> None:
        self._done.append(shown)
        self._turn += 1
        self._following = {}

    def _hide(self, number: int) -> None:
        self._shown = [shown for shown in self._shown if number not in shown[:2]]
        self._following = {}

    def _drop(self, number: int, reason: str) -> None:
        self._images.set_unavailable(number)
        self._hide(number)
        kept = "" if self._never_compared()[number] else "; its score is kept"
        self._log.notices.append(f"{self._images.names[number]} {reason}{kept}")

    def _never_compared(self) -> np.ndarray:
        """(n,) bool: by a person, also not with the old tool."""
        return np.asarray((self._comparisons == 0) & (self._initial.old_comparisons == 0))

    def _unrated(self) -> np.ndarray:
        """(n,) bool: to be rated still."""
        rateable = self._images.rateable & ~self._images.unavailable
        return np.asarray(rateable & self._never_compared())

    def _by_name(self, which: np.ndarray, values: np.ndarray) -> dict[str, Any]:
        """The values of the images that `which`, (n,) bool, picks."""
        numbers = np.flatnonzero(which)
        names = (self._images.names[number] for number in numbers.tolist())
        return dict(zip(names, values[numbers].tolist(), strict=True))

    def _levelled(self, scoring: Scoring) -> np.ndarray:
        """(n,) scores on the level of the initial ones: only differences mean anything."""
        values, rateable = scoring.scores(), self._images.rateable
        if self._method == "elo" or not rateable.any():
            return values
        level = (self._initial.old + self._initial.model)[rateable].mean() / LOGITS
        return np.asarray(values - values[rateable].mean() + level)

    def _write(self) -> None:
        """Write `score.json`; answers can be recorded meanwhile."""
        with self._writing:
            with self._lock:
                values = self._levelled(self._live.scoring)
                which, never = ~self._images.excluded, self._never_compared()
                last = self._store.last_event
                content = self._store.content()
            content.scores = self._by_name(which, values)
            content.meta["unrated"] = list(self._by_name(which & never, values))
            self._store.write(content, last)
