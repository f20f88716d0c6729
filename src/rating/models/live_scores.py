"""The scores that go with the answers so far, kept up to date beside a window."""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from src.rating.models.answer import Answer
from src.rating.models.graph import Ints
from src.rating.models.order import OrderQuality, order_quality
from src.rating.models.scoring import PosteriorScoring, Scoring

_FIT_AFTER = 20  # answers, and then whenever there are a twelfth more
_TAKE_BACK = 20  # answers that are taken back without a fit


class LiveScores:
    """Holds a method's scores, updates them at every answer, and fits all answers now and then.

    A fit runs without the lock, which callers of everything else hold; answers that arrive
    meanwhile are added to its result.
    """

    def __init__(self, scoring: Scoring, answers: Sequence[Answer], lock: threading.RLock) -> None:
        self.answers = list(answers)
        self._lock, self._fitting = lock, threading.Lock()
        self._taken_back = self._assessed = 0
        self.quality: OrderQuality | None = None
        self.restart(scoring)

    def restart(self, scoring: Scoring) -> None:
        """Begin again from other initial scores, with the same answers."""
        self.scoring = scoring.refitted(self.answers) if self.answers else scoring
        self._fitted = len(self.answers)
        self._before: deque[Scoring] = deque(maxlen=_TAKE_BACK)

    @property
    def due(self) -> bool:
        """Whether enough answers came since the last fit for another."""
        return self._enough_since(self._fitted)

    def _enough_since(self, last: int) -> bool:
        return len(self.answers) - last >= max(_FIT_AFTER, last // 12)

    def add(self, answer: Answer) -> None:
        self._before.append(self.scoring)
        self.scoring = self.scoring.after(answer)
        self.answers.append(answer)

    def take_back(self) -> None:
        self.answers.pop()
        self._taken_back += 1
        self._fitted = min(self._fitted, len(self.answers))
        self.scoring = self._before.pop() if self._before else self.scoring.refitted(self.answers)

    def renumber(self, answers: Sequence[Answer]) -> None:
        """Have the same answers in other numbers of images; the next fit takes them in."""
        self.answers = list(answers)
        self._taken_back += 1
        self._fitted = min(self._fitted, len(answers))
        self._assessed = 0
        self._before.clear()

    def refit(self, change: Callable[[Scoring], Scoring] | None = None) -> None:
        """Fit all answers, after another start if given; from any thread, without the lock."""
        with self._fitting:
            with self._lock:
                answers, taken_back, scoring = list(self.answers), self._taken_back, self.scoring
            scoring = (change(scoring) if change else scoring).refitted(answers)
            with self._lock:
                if taken_back != self._taken_back:
                    scoring = scoring.refitted(self.answers)
                else:
                    for answer in self.answers[len(answers) :]:
                        scoring = scoring.after(answer)
                if change:  # what was believed before began otherwise
                    self._before.clear()
                self.scoring = scoring
                self._fitted = len(self.answers)

    def assess(self, images: Ints, top: int = 0) -> None:
        """Find out how good the order of these images is, now and then, as `refit` is called."""
        with self._lock:
            answers, scoring = list(self.answers), self.scoring
        if isinstance(scoring, PosteriorScoring) and self._enough_since(self._assessed):
            self._assessed, self.quality = (
                len(answers),
                order_quality(scoring, answers, images, top),
            )
