"""What is done while the person looks: statistics, the pictures that come next, longer work."""

import os
import sys
import threading
import tkinter as tk
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from src.errors import UserError
from src.rating.session import Images, RatingDatabase
from src.rating.statistics import Statistics
from src.window.layout import Frame
from src.window.pictures import Pictures, Prepared

BackgroundTask = Callable[[threading.Event], None]
"""Work beside the window; the event is set when it should stop."""

_Result = TypeVar("_Result")

_POLL_MS = 4
_NICER = 10  # how far longer work steps back behind the window, in Unix's unit


def when_done(
    widget: tk.Misc, futures: "list[Future[Any]]", then: "Callable[[list[Future[Any]]], None]"
) -> None:
    """Call back on the window's thread, unless all are cancelled; at once if none must wait."""
    if not all(future.done() for future in futures):
        widget.after(_POLL_MS, lambda: when_done(widget, futures, then))
    elif made := [future for future in futures if not future.cancelled()]:
        then(made)


class Background:
    """Works beside the window's own thread, and calls back on it."""

    def __init__(self, root: tk.Tk, database: RatingDatabase, pictures: Pictures) -> None:
        self.problems: list[str] = []  # for the window to show and take away
        self._root, self._database, self._pictures = root, database, pictures
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._stop = threading.Event()
        self._turn = 0

    def close(self) -> None:
        """Finish what is being computed and start nothing more."""
        self._stop.set()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def prefetch(
        self,
        frame: Frame,
        show: Callable[[Statistics], None],
        make_ready: Callable[[Prepared], bool],
    ) -> None:
        """Get what comes next ready for a frame; compute the statistics, and show them."""
        self._turn = turn = self._turn + 1

        def found(paths: Images | None) -> None:
            if paths is not None:
                when_done(self._root, [self._pictures.prepare(paths, frame)], decoded)

        def decoded(done: "list[Future[Prepared]]") -> None:
            if done[0].exception() is None:
                bring(done[0].result())

        def bring(prepared: Prepared) -> None:
            """To the screen's memory, one picture at a time between events."""
            if turn == self._turn and make_ready(prepared):
                self._root.after(1, bring, prepared)

        self._compute(turn, self._database.following_set, found)
        self._compute(turn, self._database.statistics, show)

    def _compute(
        self, turn: int, compute: Callable[[], _Result], then: Callable[[_Result], None]
    ) -> None:
        """In the thread; what comes too late, or of a problem, is not passed on."""

        def computed(done: "list[Future[_Result]]") -> None:
            if turn == self._turn:
                try:
                    result = done[0].result()
                except UserError as error:
                    self.problems.append(str(error))
                else:
                    then(result)

        when_done(self._root, [self._thread.submit(compute)], computed)

    def run(self, tasks: Sequence[BackgroundTask]) -> None:
        threading.Thread(target=self._run, args=(tasks,), daemon=True).start()

    def _run(self, tasks: Sequence[BackgroundTask]) -> None:
        if sys.platform == "linux":  # here a thread has a priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICER)
        for task in tasks:
            try:
                task(self._stop)
            except UserError as error:
                self.problems.append(str(error))
