"""What the window shows and what its keys do, without drawing anything."""

import time
from collections.abc import Callable
from typing import Literal, get_args

from src.errors import DataError
from src.rating.session import Outcome, Pair, RatingDatabase
from src.rating.statistics import Statistics
from src.window.controls import Action
from src.window.pictures import Stamp, stamp_of

Overlay = Literal["help", "statistics"]

# An answer sooner than this after the pair came up was meant for the pair before.
SHORTEST_LOOK = 0.1

OUTCOMES: dict[Action, Outcome] = {Action[name.upper()]: name for name in get_args(Outcome)}
OVERLAYS: dict[Action, Overlay] = {Action[name.upper()]: name for name in get_args(Overlay)}
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
        self.finished = False
        self.statistics: Statistics | None = None
        self._clock, self._report = clock, report
        self._history: list[bool] = []  # of what undo takes back: whether it was a comparison
        self._shown_at: float | None = None  # None while the pair is not on the screen
        self._measured = False
        self._stamps: tuple[Stamp, Stamp] | None = None
        self._goal_told = False
        self._next()

    @property
    def done(self) -> int:
        """Comparisons in this session."""
        return sum(self._history)

    def shown(self, stamps: tuple[Stamp, Stamp]) -> None:
        """The pair is on the screen now; with the state of its two files."""
        self._stamps = stamps
        self._shown_at = self._clock()
        self._measured = self.overlay is None

    def unavailable(self, path: str, reason: str) -> None:
        """An image of the pair cannot be shown: leave it out and take another pair."""
        if not self.folder.is_dir():
            kept = "All choices so far are kept. Bring it back, then press Space."
            self._show(None, f"The folder {self.folder} is no longer there.\n{kept}")
            return
        self.database.set_unavailable(path, reason)
        self._next()
        self.take_notices()

    def act(self, action: Action) -> None:
        """Do what a key asks for. ZOOM is the window's own business."""
        if self.excluding:
            self.excluding = False
            if action in (Action.LEFT, Action.RIGHT):
                self._keep(lambda: self._exclude(action))
        elif action is Action.CANCEL:
            self._cancel()
        elif action is Action.QUIT:
            self.finished = True
        elif action is Action.FULL_SCREEN:
            self.full_screen = not self.full_screen
        elif action in OVERLAYS:
            self._toggle(OVERLAYS[action])
        elif self.overlay is not None:
            return  # nobody judges a pair that is covered
        elif action in OUTCOMES:
            self._keep(lambda: self._answer(OUTCOMES[action]))
        elif action is Action.UNDO:
            self._keep(self._undo)
        elif action is Action.EXCLUDE and self.pair is not None:
            self.excluding = True
        elif action is Action.NAMES:
            self.names = not self.names

    def take_notices(self) -> None:
        """Show what the database has to say; it goes to the report as well."""
        notices = self.database.take_notices()
        if notices:
            self.notice = "\n".join(notices[-3:])
            self._report("\n".join(notices))

    def _keep(self, change: Callable[[], None]) -> None:
        try:
            change()
        except DataError as error:
            self.notice = f"Not saved: {error}"

    def _answer(self, outcome: Outcome) -> None:
        if self.pair is None:
            self._next()  # the person tries again
            return
        if self._shown_at is None:
            return
        seconds = self._clock() - self._shown_at
        if seconds < SHORTEST_LOOK or self._replaced():
            return
        response_time = seconds if self._measured else None
        self.database.record(*self.pair, outcome, response_time=response_time)
        self.chosen, self.notice = outcome, ""
        self._history.append(outcome != "skip")
        self._next()
        if self.done == self.goal and not self._goal_told:
            self._goal_told = True
            self._toggle("statistics")

    def _replaced(self) -> bool:
        """Whether a file on show was replaced; a deleted one was still seen and judged."""
        if self.pair is None or self._stamps is None:
            return False
        for path, seen in zip(self.pair, self._stamps, strict=True):
            now = stamp_of(self.folder / path)
            if now is not None and now != seen:
                self._show(self.pair)
                self.notice = f"{path} has changed: look again"
                return True
        return False

    def _undo(self) -> None:
        if self.database.undo() is None:
            self.notice = "There is nothing to undo"
            return
        self._history.pop()
        self._next()
        self.notice = "Undone: choose again"

    def _exclude(self, action: Action) -> None:
        if self.pair is None:
            return
        path = self.pair[0 if action is Action.LEFT else 1]
        self.database.exclude(path)
        self._history.append(False)
        self._next()
        self.notice = f"{path} is never shown again (the file stays; u undoes it)"

    def _cancel(self) -> None:
        if self.overlay is not None:
            self._toggle(self.overlay)
        elif self.full_screen:
            self.full_screen = False
        else:
            self.finished = True

    def _toggle(self, overlay: Overlay) -> None:
        self.overlay = None if self.overlay == overlay else overlay
        self._measured = False
        if self.overlay == "statistics":
            self.statistics = self.database.statistics()  # as of now
            self._report(self.statistics.report())

    def _next(self) -> None:
        try:
            self._show(self.database.next_pair())
        except DataError as error:
            self._show(None, str(error))

    def _show(self, pair: Pair | None, problem: str = "") -> None:
        self.pair, self.problem = pair, problem
        self.serial += 1
        self._shown_at = None
