"""What is done while the person looks: statistics, the pairs that may come next, longer work."""

import os
import sys
import threading
import tkinter as tk
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from src.errors import UserError
from src.rating.session import Pair, RatingDatabase
from src.rating.statistics import Statistics
from src.window.layout import Frame
from src.window.pictures import Pictures, Prepared

BackgroundTask = Callable[[threading.Event], None]
"""Work beside the window; the event is set when it should stop."""

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
        make_ready: Callable[[list[Prepared]], None],
    ) -> None:
        """Compute the statistics, show them, and get the next pairs ready for a frame."""
        self._turn = turn = self._turn + 1

        def computed(done: "list[Future[tuple[Statistics, list[Pair]]]]") -> None:
            if turn != self._turn:
                return
            try:
                statistics, pairs = done[0].result()
            except UserError as error:
                self.problems.append(str(error))
                return
            show(statistics)
            when_done(self._root, [self._pictures.prepare(pair, frame) for pair in pairs], decoded)

        def decoded(done: "list[Future[Prepared]]") -> None:
            """Bring pairs to the screen's memory, one at a time between events."""
            pairs = [future.result() for future in done if future.exception() is None]
            for count in range(1, len(pairs) + 1) if turn == self._turn else ():
                self._root.after_idle(make_ready, pairs[:count])

        when_done(self._root, [self._thread.submit(self._compute)], computed)

    def run(self, tasks: Sequence[BackgroundTask]) -> None:
        threading.Thread(target=self._run, args=(tasks,), daemon=True).start()

    def _compute(self) -> tuple[Statistics, list[Pair]]:
        following = self._database.following_pairs()
        return self._database.statistics(), list(dict.fromkeys(following.values()))

    def _run(self, tasks: Sequence[BackgroundTask]) -> None:
        if sys.platform == "linux":  # here a thread has a priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICER)
        for task in tasks:
            try:
                task(self._stop)
            except UserError as error:
                self.problems.append(str(error))
