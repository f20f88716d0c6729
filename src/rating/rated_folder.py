"""What is known of the images of a folder, and kept in it: choices, exclusions, scores."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from src.errors import DataError
from src.images import find_images
from src.rating.image_table import ImageTable
from src.rating.models.answer import Answer
from src.rating.models.feature_space import feature_space, without_features
from src.rating.models.graph import Floats
from src.rating.models.initial_scores import InitialScores
from src.rating.models.live_scores import LiveScores
from src.rating.models.posterior import LOGITS
from src.rating.models.scoring import EloScoring, PosteriorScoring, Scoring
from src.rating.storage.choice_rows import ANSWERS, Event
from src.rating.storage.rating_store import RatingStore
from src.rating.storage.score_file import posix

Method = Literal["posterior", "elo"]


class Ladder(NamedTuple):
    """Images from best to worst; arrays (n,)."""

    paths: list[str]
    scores: Floats
    deviations: Floats


class RatedFolder:
    """The scores of a folder of images, learned from a person's choices.

    `images`, relative posix paths, default to every image below the folder.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        images: Iterable[str] | None = None,
        method: Method = "posterior",
    ) -> None:
        self.directory = Path(directory)
        self._lock, self._writing = threading.RLock(), threading.Lock()
        found = find_images(self.directory) if images is None else [posix(path) for path in images]
        self._store = RatingStore(self.directory)
        self._log = self._store.log
        try:
            events = self._log.events
            logged = {path for event in events for path in event.images}
            self._images = ImageTable(self.directory, found, logged.union(self._log.starts))
            self._images.set_near_duplicates(self._store.near_duplicates)
            self._method, self._space = method, without_features(len(self._images.names))
            answers = self._replay(events)
            self._live = LiveScores(self._before_choices(), answers, self._lock)
        except BaseException:
            self._log.close()
            raise
        self._closed = False

    @property
    def images(self) -> list[str]:
        """Relative paths that can be shown: found, not excluded, not gone."""
        with self._lock:
            numbers = map(self._images.shown_as, self._images.allowed.tolist())
            return [self._images.names[number] for number in numbers]

    # Scores.

    def set_features(self, features: Mapping[str, ArrayLike]) -> None:
        """Use these features from now on; from any thread."""
        if self._method == "posterior":
            space = feature_space(self._images.names, features)
            self._live.refit(lambda scoring: scoring.with_space(space))
            with self._lock:
                self._space = space

    def set_expected(self, predictions: Mapping[str, float]) -> None:
        """Expect what a model says, in any units, until this is closed; from any thread.

        No image is rated by it. A model that was trained on images of this folder would count
        their choices twice.
        """
        values = [predictions.get(name, np.nan) for name in self._images.names]
        self._live.refit(lambda scoring: scoring.with_model(np.array(values)))

    def initialise_from_model(self, scores: Mapping[str, float]) -> None:
        """Take rescaled scores (`initial_scores.py`) as the start of images, which stay unrated."""
        with self._lock:
            unrated = self._unrated()
            for path in scores:
                if not unrated[self._images.number(path)]:
                    raise DataError(f"{path!r} is rated or excluded: a model fills unrated images")
            self._store.add_model_scores(scores)
            self._live.restart(self._before_choices())

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

    def ladder(self) -> Ladder:
        """All images from best to worst."""
        with self._lock:
            scores, scoring = self._levelled(self._live.scoring), self._live.scoring
            numbers = np.flatnonzero(self._images.rateable & ~self._images.followers)
        numbers = numbers[np.argsort(-scores[numbers], kind="stable")]
        paths = [self._images.names[number] for number in numbers.tolist()]
        return Ladder(paths, scores[numbers], scoring.deviations(self._images.scored_as[numbers]))

    def choices_of(self, path: str) -> list[Event]:
        """The choices between an image and others, the last first."""
        with self._lock:
            events = self._log.events[::-1]
        return [one for one in events if path in one.images and one.outcome in ANSWERS]

    def take_notices(self) -> list[str]:
        with self._lock:
            notices, self._log.notices = self._log.notices, []
            return notices

    # Choices and exclusions, which are on disk when these return.

    def _add(self, event: Event) -> None:
        """Keep a choice."""
        numbers = [self._images.number(path) for path in event.images]
        self._log.append(event)
        if event.outcome in ANSWERS:
            self._comparisons[numbers] += 1
            if answer := self._answer(event):
                self._live.add(answer)

    def _take_back(self) -> Event:
        """Undo the last choice or exclusion."""
        event = self._log.take_back()
        numbers = [self._images.number(path) for path in event.images]
        if event.outcome == "exclude":
            self._images.set_excluded(numbers[0], False)
        elif event.outcome in ANSWERS:
            self._comparisons[numbers] -= 1
            if self._answer(event):
                self._live.take_back()
        return event

    def exclude(self, path: str) -> None:
        """Never show this image again; its score leaves `scores` and `score.json`."""
        with self._lock:
            number = self._images.number(path)
            if not self._images.excluded[number]:
                self._log.append(Event(path, "", "exclude", ""))
                self._images.set_excluded(number, True)

    def _share_scores(self, groups: Iterable[Sequence[str]]) -> bool:
        """Have each group scored as one image, those of old scores left out; whether it is new."""
        old = {start.path for start in self._log.starts.values() if start.source == "file"}
        kept = [[path for path in group if path not in old] for group in groups]
        kept = [group for group in kept if len(group) > 1]
        if kept == self._store.near_duplicates:
            return False
        self._store.keep_near_duplicates(kept)
        self._images.set_near_duplicates(kept)
        self._live.renumber(self._answers())
        return True

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
        shown = list[int]()
        for event in events:
            numbers = [self._images.number(path) for path in event.images]
            if event.outcome == "exclude":
                self._images.set_excluded(numbers[0], True)
            elif event.outcome in ANSWERS:
                shown += numbers
        self._comparisons = np.bincount(np.array(shown, np.intp), minlength=len(self._images.names))
        return self._answers()

    def _answers(self) -> list[Answer]:
        found = (self._answer(event) for event in self._log.events if event.outcome in ANSWERS)
        return [answer for answer in found if answer]

    def _answer(self, event: Event) -> Answer | None:
        """An event as an answer about scores; None between near duplicates, which share one."""
        return Answer.of(event.outcome, self._images.scores_of(event.images))

    def _never_compared(self) -> np.ndarray:
        """(n,) bool: by a person, nor any near duplicate of it; also not with the old tool."""
        group = self._images.scored_as
        compared = np.bincount(group, self._comparisons, len(group))[group] > 0
        return np.asarray(~compared & (self._initial.old_comparisons == 0))

    def _unrated(self) -> np.ndarray:
        """(n,) bool: to be rated still."""
        rateable = self._images.rateable & ~self._images.unavailable & ~self._images.followers
        return np.asarray(rateable & self._never_compared())

    def _by_name(self, which: np.ndarray, values: np.ndarray) -> dict[str, Any]:
        """The values of the images that `which`, (n,) bool, picks."""
        numbers = np.flatnonzero(which)
        names = (self._images.names[number] for number in numbers.tolist())
        return dict(zip(names, values[numbers].tolist(), strict=True))

    def _levelled(self, scoring: Scoring) -> np.ndarray:
        """(n,) scores on the level of the initial ones: only differences mean anything."""
        values, rateable = scoring.scores()[self._images.scored_as], self._images.rateable
        if self._method == "elo" or not rateable.any():
            return values
        level = (self._initial.old + self._initial.model)[rateable].mean() / LOGITS
        return np.asarray(values - values[rateable].mean() + level)

    def _write(self) -> None:
        """Write `score.json`; answers can be recorded meanwhile."""
        with self._writing:
            with self._lock:
                values = self._levelled(self._live.scoring)
                which = ~self._images.excluded
                unrated = self._never_compared() | self._images.followers
                last = self._store.last_event
                content = self._store.content()
            content.scores = self._by_name(which, values)
            content.meta["unrated"] = list(self._by_name(which & unrated, values))
            self._store.write(content, last)
