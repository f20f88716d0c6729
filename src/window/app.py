"""The rating window: brings actions to the session and draws what the session says."""

import tkinter as tk
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any

from src.rating.session import RatingDatabase
from src.rating.statistics import Statistics
from src.window import theme
from src.window.background import Background, BackgroundTask, when_done
from src.window.controls import CHOICES, Action, Controls, legend
from src.window.footer import Footer, status_text
from src.window.help_panel import draw_help
from src.window.ladder import LadderView
from src.window.layout import Frame
from src.window.panel import Panel
from src.window.pictures import Pictures, Prepared, Unavailable
from src.window.screen import open_root
from src.window.session import Session
from src.window.set_view import SetView
from src.window.statistics_panel import draw_statistics
from src.window.theme import Theme

_PATIENCE_MS = 150  # until pictures that are not decoded yet leave an empty window
_SETTLE_MS = 120  # after the last change of size the pictures are made sharp again
_HEARTBEAT_MS = 200  # how soon Ctrl-C in the terminal is noticed
_SHAPE = 2.0  # width of the new window to its height


class Window:
    """One window with its session; all Tk calls are made by the thread that made it.

    `height` is in pixels of a 96-dpi screen. `report` is given the console report whenever the
    statistics are opened; the work `behind` is done in the background, one after the other, once
    the first pictures are shown.
    """

    def __init__(
        self,
        database: RatingDatabase,
        *,
        height: int = 600,
        report: Callable[[str], None] = lambda text: None,
        behind: Sequence[BackgroundTask] = (),
    ) -> None:
        self.root, scale = open_root()
        root, session = self.root, Session(database, report=report)
        self.session = session
        self._behind = behind
        self._style = Theme(root, scale)
        self._pictures = Pictures(session.folder)
        self._asked: tuple[int, Frame] | None = None  # the set that is or will be drawn
        self._drawn_serial = -1
        self._overlay_drawn: tuple[Any, ...] = ()
        self._note_drawn = ""
        self._full_screen = False
        self._settle = ""
        self._fault: BaseException | None = None
        self.canvas = tk.Canvas(root, background=theme.SURROUND, highlightthickness=0)
        self._keys = legend(database.at_once)
        self.footer = Footer(root, self._style, self._keys)
        self.view = SetView(self.canvas, self._style, self._pictures)
        self._background = Background(root, session.database, self._pictures)
        self._overlay = Panel(self.canvas, self._style, "overlay")
        self._note = Panel(self.canvas, self._style, "note")
        self._problem = Panel(self.canvas, self._style, "problem")
        self._open(height)
        self._ladder = LadderView(self.canvas, self._style, session.database)
        Controls(root, self.canvas, self.view, self.act, self._click, self._zoom, self._ladder.turn)
        self.canvas.bind("<Configure>", self._resized)

    def run(self) -> None:
        """Until the person is done."""
        self.start()
        self.root.mainloop()
        self.finish()

    def start(self) -> None:
        """Show the first pictures as soon as the event loop runs."""
        self._update()
        self._heartbeat()

    def finish(self) -> None:
        """End the threads, once the window is closed; raises what went wrong in the loop."""
        self._pictures.close()
        self._ladder.end()
        self._background.close()
        if self._fault is not None:
            raise self._fault

    def act(self, action: Action) -> None:
        if self._ladder.is_open and action in (Action.LEFT, Action.RIGHT):
            self._ladder.turn(-1 if action is Action.LEFT else 1)
        elif action is not Action.CANCEL or not self._ladder.back():
            self.session.act(action)
            self._update()

    def _open(self, height: int) -> None:
        root, px = self.root, self._style.px
        root.title(f"{self.session.folder.resolve().name} – which do you like better?")
        root.configure(background=theme.SURROUND)
        across, down = root.winfo_screenwidth(), root.winfo_screenheight()
        width, tall = min(px(height * _SHAPE), across), min(px(height), down)
        root.geometry(f"{width}x{tall}+{(across - width) // 2}+{(down - tall) // 3}")
        root.minsize(px(560), px(400))
        self.footer.fit(width)
        self.footer.pack(side="bottom", fill="x")
        self.canvas.pack(side="top", fill="both", expand=True)
        if str(root.tk.call("tk", "windowingsystem")) == "aqua":
            root.createcommand("tk::mac::Quit", self._close)
        root.protocol("WM_DELETE_WINDOW", self._close)
        root.report_callback_exception = self._stop_on_fault
        root.deiconify()
        root.update()  # the canvas has its size from here on
        root.focus_force()

    def _close(self) -> None:
        self.session.finished = True
        self._update()

    def _heartbeat(self) -> None:
        if self._background.problems:
            self.session.notice = self._background.problems.pop(0)
            self._update()
        self.root.after(_HEARTBEAT_MS, self._heartbeat)

    def _stop_on_fault(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        """A fault ends the session, so that it is seen; `run` raises it. Choices are on disk."""
        self._fault = error
        self.root.destroy()

    @property
    def is_shown(self) -> bool:
        """Whether the session's pictures are on the screen."""
        return self._drawn_serial == self.session.serial

    def _click(self, x: int, y: int) -> None:
        at = self.view.place_at(x, y)
        if self._ladder.is_open:
            self._ladder.click(x, y)
        elif at is not None:
            self.act(CHOICES[at])

    def _zoom(self, x: int, y: int) -> None:
        if self.session.overlay is not None or not self.is_shown:
            return
        if not self.view.start_zoom(x, y):
            self.session.notice = "Point at a picture to look closely"
            self._show_note()

    # Bringing the screen to what the session says.

    def _update(self) -> None:
        session = self.session
        if session.finished:
            self.root.destroy()
            return
        if self._full_screen != session.full_screen:
            self._full_screen = session.full_screen
            self.root.attributes("-fullscreen", session.full_screen)
        if session.chosen:
            self.view.flash(session.chosen)
            session.chosen = ()
        self._show_set()
        self.view.mark(session.worst)
        self._show_status()
        self._show_note()
        self._show_overlay()

    def _show_status(self) -> None:
        done, goal = self.session.done, self.session.goal
        self.footer.show(status_text(done, goal, self.session.statistics), done / goal)

    def _show_set(self) -> None:
        """Draw the session's pictures, in the space there is, as soon as they are decoded."""
        session = self.session
        asked = session.serial, self.view.frame(names=session.names)
        if asked == self._asked:
            return
        self._asked = asked
        self._problem.clear()
        if session.images is None:
            self.view.clear()
            (width, height), px = self._problem.space(), self._style.px
            middle, wrap = (width // 2, height // 2), min(px(680), width - px(60))
            self._problem.text(*middle, session.problem, 16, anchor="center", width=wrap)
            return
        future = self._pictures.prepare(session.images, asked[1])
        if not future.done():
            self.root.after(_PATIENCE_MS, lambda: self._clear_old(asked))
        when_done(self.root, [future], lambda made: self._draw_set(asked, future))

    def _clear_old(self, asked: tuple[int, Frame]) -> None:
        if asked == self._asked and self._drawn_serial != asked[0]:
            self.view.clear()

    def _draw_set(self, asked: tuple[int, Frame], future: Future[Prepared]) -> None:
        if asked != self._asked:
            return
        try:
            prepared = future.result()
        except Unavailable as error:
            self.session.unavailable(error.path, error.reason)
            self._update()
            return
        self.view.show(prepared, names=self.session.names)
        self.root.update_idletasks()
        if self._drawn_serial != asked[0]:
            self._drawn_serial = asked[0]
            self.session.shown(prepared.stamps)
        self._background.prefetch(asked[1], self._show_statistics, self.view.make_ready)
        if self._behind:
            self._background.run(self._behind)
            self._behind = ()

    def _show_statistics(self, statistics: Statistics) -> None:
        self.session.statistics = statistics
        self.session.take_notices()
        self._update()

    # What lies over the pictures.

    def _show_overlay(self) -> None:
        session = self.session
        wanted = (session.overlay, self.canvas.winfo_width(), self.canvas.winfo_height())
        if wanted == self._overlay_drawn:
            return
        self._overlay_drawn = wanted
        self._overlay.clear()
        self._ladder.close()
        if session.overlay == "help":
            draw_help(self._overlay, self._keys)
        elif session.overlay == "statistics" and session.statistics is not None:
            goal_reached = session.done == session.goal
            place = draw_statistics(self._overlay, session.statistics, goal_reached=goal_reached)
            if place is not None:
                self._ladder.open(place)

    def _show_note(self) -> None:
        session = self.session
        text = session.question or session.notice
        if text == self._note_drawn:
            return
        self._note_drawn = text
        self._note.clear()
        if text:
            self._note.note(text)
        if text and not session.question:
            self.root.after(2500 + 40 * len(text), lambda: self._forget_notice(text))

    def _forget_notice(self, text: str) -> None:
        if self.session.notice == text:
            self.session.notice = ""
            self._show_note()

    # Changes of size: rough pictures at once, sharp ones when the size settles.

    def _resized(self, event: "tk.Event[tk.Canvas]") -> None:
        self.footer.fit(event.width)
        if self._settle:
            self.root.after_cancel(self._settle)
        self._settle = self.root.after(_SETTLE_MS, self._settled)
        self.view.fit(self.view.frame(names=self.session.names))

    def _settled(self) -> None:
        self._settle = self._note_drawn = ""
        self._asked = None  # what is rough now is made sharp
        self._note.clear()
        self._update()
