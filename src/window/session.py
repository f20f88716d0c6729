"""What the window shows and what its keys do, without drawing anything."""

import time
from collections.abc import Callable
from typing import Literal

from src.errors import DataError
from src.rating.report.statistics import Statistics
from src.rating.session import Outcome, Pair, RatingDatabase
from src.window.keys import Action
from src.window.pictures import Stamp, stamp_of

Overlay = Literal["help", "statistics"]

# An answer sooner than this after the pair came up was meant for the pair before.
SHORTEST_LOOK = 0.1

OUTCOMES: dict[Action, Outcome] = {
    Action.LEFT: "left",
    Action.RIGHT: "right",
    Action.TIE: "tie",
    Action.SKIP: "skip",
}

ASK_EXCLUDE = "Never show which one again?   1 left   ·   2 right   ·   Esc neither"


class Session:
    """One sitting: the pair on show, what lies over it, what is said about it."""

    def __init__(
        self,
        database: RatingDatabase,
        *,
        clock: Callable[[], float] = time.monotonic,
        report: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.database, self.folder, self.goal = database, database.directory, database.goal
        self.pair: Pair | None = None
        self.problem = ""  # why there is no pair
        self.serial = 0  # grows whenever a pair is to be shown anew, even the same one
        self.overlay: Overlay | None = None
        self.excluding = False  # the next choice says which image is never shown again
        self.names = False
        self.full_screen = False
        self.notice = ""  # to show for a while; the window takes it away
        self.chosen: Outcome | None = None  # to be acknowledged; the window takes it away
        self.done = 0  # comparisons in this session
        self.finished = False
        self.statistics: Statistics | None = None
        self._clock = clock
        self._report = report
        self._history: list[bool] = []  # of what undo takes back: whether it was a comparison
        self._shown_at: float | None = None  # None while the pair is not on the screen
        self._measured = False
        self._stamps: tuple[Stamp, Stamp] | None = None
        self._goal_told = False
        self._next()

    def shown(self, stamps: tuple[Stamp, Stamp]) -> None:
        """The pair is on the screen now; with the state of its two files."""
        self._stamps = stamps
        self._shown_at = self._clock()
        self._measured = self.overlay is None

    def unavailable(self, path: str, reason: str) -> None:
        """An image of the pair cannot be shown: leave it out and take another pair."""
        if not self.folder.is_dir():
            self._stop(
                f"The folder {self.folder} is not there any more.\n"
                "All choices so far are kept. Bring it back, then press Space."
            )
            return
        self.database.set_unavailable(path, reason)
        self._next()
        self.take_notices()

    def act(self, action: Action) -> None:
        """Do what a key asks for. ZOOM is the window's own business."""
        if self.excluding:
            self._answer_exclude(action)
        elif action is Action.CANCEL:
            self._cancel()
        elif action is Action.QUIT:
            self.finished = True
        elif action is Action.FULL_SCREEN:
            self.full_screen = not self.full_screen
        elif action is Action.HELP:
            self._toggle("help")
        elif action is Action.STATISTICS:
            self._toggle("statistics")
        elif self.overlay is not None:
            return  # nobody judges a pair that is covered
        elif action in OUTCOMES:
            self._answer(OUTCOMES[action])
        elif action is Action.UNDO:
            self._undo()
        elif action is Action.EXCLUDE and self.pair is not None:
            self.excluding = True
        elif action is Action.NAMES:
            self.names = not self.names

    def refresh_statistics(self) -> Statistics:
        """The statistics as of now; may take a while with many images."""
        self.statistics = self.database.statistics()
        return self.statistics

    def take_notices(self) -> None:
        """Show what the database has to say; it goes to the report as well."""
        notices = self.database.take_notices()
        if notices:
            self.notice = "\n".join(notices[-3:])
            self._report("\n".join(notices))

    def _answer(self, outcome: Outcome) -> None:
        if self.pair is None:
            self._next()  # the person tries again
            return
        if self._shown_at is None:
            return
        seconds = self._clock() - self._shown_at
        if seconds < SHORTEST_LOOK:
            return
        if self._replaced():
            return
        try:
            self.database.record(
                *self.pair, outcome, response_time=seconds if self._measured else None
            )
        except DataError as error:
            self.notice = f"Not kept: {error}"
            return
        self.chosen = outcome
        self.notice = ""
        self._history.append(outcome != "skip")
        self._count()
        self._next()
        if self.done == self.goal and not self._goal_told:
            self._goal_told = True
            self._open("statistics")

    def _replaced(self) -> bool:
        """Whether a file on show was replaced; a deleted one was still seen and judged."""
        if self.pair is None or self._stamps is None:
            return False
        for path, seen in zip(self.pair, self._stamps, strict=True):
            now = stamp_of(self.folder / path)
            if now is not None and now != seen:
                self._show(self.pair)
                self.notice = f"{path} was changed meanwhile: look again"
                return True
        return False

    def _undo(self) -> None:
        try:
            pair = self.database.undo()
        except DataError as error:
            self.notice = f"Not taken back: {error}"
            return
        if pair is None:
            self.notice = "There is nothing to take back"
            return
        if self._history:
            self._history.pop()
        self._count()
        self._next()
        self.notice = "Taken back: choose again"

    def _answer_exclude(self, action: Action) -> None:
        self.excluding = False
        if action not in (Action.LEFT, Action.RIGHT) or self.pair is None:
            return
        path = self.pair[0 if action is Action.LEFT else 1]
        try:
            self.database.exclude(path)
        except DataError as error:
            self.notice = f"Not excluded: {error}"
            return
        self._history.append(False)
        self._next()
        self.notice = f"{path} is never shown again (the file stays; u takes it back)"

    def _count(self) -> None:
        self.done = sum(self._history)

    def _cancel(self) -> None:
        if self.overlay is not None:
            self._toggle(self.overlay)
        elif self.full_screen:
            self.full_screen = False
        else:
            self.finished = True

    def _toggle(self, overlay: Overlay) -> None:
        if self.overlay == overlay:
            self.overlay = None
        else:
            self._open(overlay)

    def _open(self, overlay: Overlay) -> None:
        self.overlay = overlay
        self._measured = False
        if overlay == "statistics":
            self._report(self.refresh_statistics().report())

    def _next(self) -> None:
        try:
            self._show(self.database.next_pair())
        except DataError as error:
            self._stop(str(error))

    def _show(self, pair: Pair) -> None:
        self.pair, self.problem = pair, ""
        self.serial += 1
        self._shown_at = None

    def _stop(self, problem: str) -> None:
        self.pair, self.problem = None, problem
        self.serial += 1
        self._shown_at = None
