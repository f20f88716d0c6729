"""What the window shows and what its keys do, without drawing anything."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, get_args

from src.errors import DataError
from src.rating.session import Images, RatingDatabase
from src.rating.statistics import Statistics
from src.window.controls import CHOICES, WORST, Action
from src.window.pictures import Stamp, stamp_of

Overlay = Literal["help", "statistics"]

# An answer sooner than this after the pictures came up was meant for those before.
SHORTEST_LOOK = 0.1

_ARROWS = (Action.LEFT, Action.RIGHT)
_POSITIONS = {action: at for row in (CHOICES, WORST, _ARROWS) for at, action in enumerate(row)}
OVERLAYS: dict[Action, Overlay] = {Action[name.upper()]: name for name in get_args(Overlay)}
ASK_EXCLUDE = "Never show which one again?   1 left   ·   2 right   ·   Esc neither"
ASK_EXCLUDE_OF_MORE = "Never show which one again?   1 to {}, row by row   ·   Esc none"


class Session:
    """One sitting: the pictures on show, what lies over them, what is said about them."""

    def __init__(
        self,
        database: RatingDatabase,
        *,
        clock: Callable[[], float] = time.monotonic,
        report: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.database, self.folder, self.goal = database, database.directory, database.goal
        self.images: Images | None = None
        self.worst: int | None = None  # which of them was called the worst, before the best is
        self.problem = ""  # why there are none
        self.serial = 0  # grows whenever pictures are to be shown anew, even the same ones
        self.overlay: Overlay | None = None
        self.excluding = False  # the next choice says which image is never shown again
        self.names = False
        self.full_screen = False
        self.notice = ""  # to show for a while; the window takes it away
        self.chosen: tuple[int, ...] = ()  # to be acknowledged; the window takes it away
        self.finished = False
        self.statistics: Statistics | None = None
        self._clock, self._report = clock, report
        self._history: list[bool] = []  # of what undo takes back: whether it was a comparison
        self._shown_at: float | None = None  # None while the pictures are not on the screen
        self._measured = False
        self._stamps: Sequence[Stamp] = ()
        self._goal_told = False
        self._next()

    @property
    def done(self) -> int:
        """Comparisons in this session."""
        return sum(self._history)

    def shown(self, stamps: Sequence[Stamp]) -> None:
        """The pictures are on the screen now; with the state of their files."""
        self._stamps = stamps
        self._shown_at = self._clock()
        self._measured = self.overlay is None

    def unavailable(self, path: str, reason: str) -> None:
        """One of the images cannot be shown: leave it out and take others."""
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
            at = self._position(action)
            if at is not None:
                self._keep(lambda: self._exclude(at))
        elif action is Action.CANCEL:
            self._cancel()
        elif action is Action.QUIT:
            self.finished = True
        elif action is Action.FULL_SCREEN:
            self.full_screen = not self.full_screen
        elif action in OVERLAYS:
            self._toggle(OVERLAYS[action])
        elif self.overlay is not None:
            return  # nobody judges pictures that are covered
        elif action in (Action.TIE, Action.SKIP) or action in _POSITIONS:
            self._keep(lambda: self._judge(action))
        elif action is Action.UNDO:
            self._keep(self._undo)
        elif action is Action.EXCLUDE and self.images is not None:
            self.excluding = True
        elif action is Action.NAMES:
            self.names = not self.names

    @property
    def question(self) -> str:
        """What the next key answers; "" where it is a choice."""
        count = len(self.images or ())
        if self.excluding:
            return ASK_EXCLUDE if count == 2 else ASK_EXCLUDE_OF_MORE.format(count)
        if self.worst is not None:
            return f"{self.worst + 1} is the worst: and the best?"
        return ""

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

    def _position(self, action: Action) -> int | None:
        """Which of the images on show a key names; with more than two, arrows name none."""
        count, at = len(self.images or ()), _POSITIONS.get(action)
        return None if at is None or at >= count or (count > 2 and action in _ARROWS) else at

    def _judge(self, action: Action) -> None:
        if self.images is None:
            self._next()  # the person tries again
            return
        at, count = self._position(action), len(self.images)
        if action is Action.SKIP:
            self._answer("skip", ())
        elif action is Action.TIE:
            self._answer("tie", range(count))
        elif at is None:
            return
        elif count == 2:
            self._answer(("left", "right")[at], (at,))
        elif action in WORST:
            self.worst = None if at == self.worst else at
        elif at != self.worst:
            worst = "" if self.worst is None else f"/{self.worst + 1}"
            self._answer(f"{at + 1}{worst}", (at,))

    def _answer(self, outcome: str, chosen: Iterable[int]) -> None:
        assert self.images is not None
        if self._shown_at is None:
            return
        seconds = self._clock() - self._shown_at
        if seconds < SHORTEST_LOOK or self._replaced():
            return
        response_time = seconds if self._measured else None
        left, right, *others = self.images
        self.database.record(
            left, right, outcome, others=tuple(others), response_time=response_time
        )
        self.chosen, self.notice = tuple(chosen), ""
        self._history.append(outcome != "skip")
        self._next()
        if self.done == self.goal and not self._goal_told:
            self._goal_told = True
            self._toggle("statistics")

    def _replaced(self) -> bool:
        """Whether a file on show was replaced; a deleted one was still seen and judged."""
        for path, seen in zip(self.images or (), self._stamps, strict=True):
            now = stamp_of(self.folder / path)
            if now is not None and now != seen:
                self._show(self.images)
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

    def _exclude(self, at: int) -> None:
        assert self.images is not None
        path = self.images[at]
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
            self._show(self.database.next_set())
        except DataError as error:
            self._show(None, str(error))

    def _show(self, images: Images | None, problem: str = "") -> None:
        self.images, self.problem, self.worst = images, problem, None
        self.serial += 1
        self._shown_at = None
