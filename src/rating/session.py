"""A rating session: what is on show, what follows it, how the session went.

    with RatingDatabase("photos") as database:
        left, right = database.next_set()
        database.record(left, right, "left")

All methods may be called from any thread.
"""

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from src.errors import DataError
from src.rating.pairs.schedule import Schedule, Selection, Shown
from src.rating.rated_folder import Method, RatedFolder
from src.rating.statistics import ChoiceCounts, Statistics, odd_one_out
from src.rating.storage.choice_rows import Event, is_outcome
from src.text import counted

Images = tuple[str, ...]


class RatingDatabase(RatedFolder):
    """The session in which a person chooses between images of a folder, so many `at_once`.

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
        at_once: int = 2,
    ) -> None:
        super().__init__(directory, images=images, method=method)
        self.goal, self.at_once = goal, at_once
        events = self._log.events
        seed = secrets.randbits(32) if seed is None else seed
        count = len(self._images.names)
        self._schedule = Schedule(count, selection, seed, top=top, at_once=at_once)
        self._past = ChoiceCounts(at_once).add(events)
        self._first_event = len(events)
        self._model_scores: Mapping[str, float] | None = None
        self._turn = len(events)  # numbers the sets; never goes back
        self._shown: list[Shown] = []  # the set on show last; before it those put off by an undo
        self._done: list[Shown | None] = []  # of each event of this session: what was on show
        self._following: Shown | None = None  # what comes next, whatever is answered
        self._began = self._ended = 0.0
        self._note_past()

    # What is shown, and answers.

    def next_set(self) -> Images:
        """The images to show now, in this order; the same ones until they are recorded."""
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
                numbers = map(self._images.shown_as, shown.images)
                gone = [number for number in numbers if not self._images.is_file(number)]
                for number in gone:
                    self._drop(number, "is gone")
                if not gone:
                    self._began = self._began or time.monotonic()
                    return self._names(shown)

    def following_set(self) -> Images | None:
        """The images that come next, whatever is answered now; None if there are too few.

        To be decoded ahead, in a background thread: now and then it also fits all choices again
        and brings `score.json` up to date. That the answer has no say in it costs nothing
        measurable, since the images on show are passed over anyway.
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
            if len(self._shown) > 1:  # after an undo what was put off comes next
                return self._names(self._shown[-2])
            if not self._shown or len(self._images.allowed) < 2:
                return None
            shown, scoring = self._shown[-1], self._live.scoring
            allowed, turn = self._images.allowed, self._turn + 1
        following = self._schedule.draw(scoring, allowed, turn, shown.images)
        with self._lock:
            if self._shown[-1:] != [shown] or self._images.allowed is not allowed:
                return None  # answered or excluded meanwhile
            self._following = following
            return self._names(following)

    def record(
        self,
        left: str,
        right: str,
        outcome: str,
        *,
        others: Images = (),
        response_time: float | None = None,
    ) -> None:
        """Keep a choice (`choice_rows.ANSWERS`) or "skip"; it is on disk when this returns.

        The response time is in seconds. A DataError (the disk is full, the folder gone) has
        changed nothing, so try again.
        """
        images = (left, right, *others)
        if not is_outcome(outcome, len(images)) or len(set(images)) < len(images):
            raise ValueError(f"outcome {outcome!r} of {', '.join(images)}")
        with self._lock:
            numbers = self._images.scores_of(images)
            shown, following = Shown(numbers, "given"), self._following
            if on_show := bool(self._shown) and self._shown[-1].images == numbers:
                shown = self._shown[-1]
            event = Event(left, right, outcome, shown.kind, None, response_time, others=others)
            self._add(self._with_predictions(event, numbers))
            self._schedule.note(numbers, shown.kind)
            if on_show:
                self._shown.pop()
                if following and not self._shown:
                    self._shown.append(following)
            self._advance(shown if len(set(numbers)) == len(numbers) else None)
            self._ended = time.monotonic()

    def undo(self) -> Images | None:
        """Take back this session's last choice or exclusion, if any; the images to show again.

        What was on show before the undo comes after it.
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
            self._following = None
        return self.next_set()

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
            compared = int(self._comparisons.sum()) + 2 * self._store.old_evaluations
            seconds = max(self._ended - self._began, 0.0)
        return Statistics(
            session=ChoiceCounts(self.at_once).add(session),
            total=self._past.copy().add(session),
            session_seconds=seconds,
            goal=self.goal,
            images=images,
            unrated=unrated,
            choices=choices,
            choices_per_image=compared / images if images else 0.0,
            order=self._live.quality,
            odd_one_out=None if model is None else odd_one_out(session, model),
        )

    def _note_past(self) -> None:
        """Take in which images share a score, and what was shown before."""
        self._schedule.begin(
            (self._images.scores_of(event.images), event.kind)
            for event in self._log.events
            if event.outcome != "exclude"
        )
        self._schedule.aim(self._live.scoring, self._images.allowed)
        self._shown, self._following, self._done = [], None, [None] * len(self._done)
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

    def _with_predictions(self, event: Event, numbers: Sequence[int]) -> Event:
        """The event with what was expected of it, before it is learned from."""
        if len(set(numbers)) < len(numbers) or not (
            expected := self._live.scoring.predictions(numbers)
        ):
            return event
        if event.others:
            return event._replace(predictions=expected)
        return event._replace(prediction=expected[0])

    def _names(self, shown: Shown) -> Images:
        return tuple(self._images.names[self._images.shown_as(one)] for one in shown.images)

    def _advance(self, shown: Shown | None) -> None:
        self._done.append(shown)
        self._turn += 1
        self._following = None

    def _hide(self, number: int) -> None:
        hidden = self._images.scored_as[number]
        self._shown = [shown for shown in self._shown if hidden not in shown.images]
        self._following = None

    def _drop(self, number: int, reason: str) -> None:
        self._images.set_unavailable(number)
        self._hide(number)
        kept = "" if self._never_compared()[number] else "; its score is kept"
        self._log.notices.append(f"{self._images.names[number]} {reason}{kept}")
