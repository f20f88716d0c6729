"""Trainings side by side: threads with one processor core each."""

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

from src.devices import choose_device

T = TypeVar("T")
R = TypeVar("R")


class Stopped(Exception):
    """Raised by work that was told to stop and has no result."""


def default_workers(device: str) -> int:
    """One per processor core; a GPU is kept busy by one."""
    return (os.cpu_count() or 1) if choose_device(device).type == "cpu" else 1


def side_by_side(
    work: Callable[[T, threading.Event], R], items: Iterable[T], workers: int
) -> Generator[R, None, None]:
    """What `work` returns for each item, as it comes; close the generator to stop early.

    An item is taken when a worker is free. `work` should end, with Stopped if it has no result,
    soon after the event is set, as Ctrl-C does. KeyboardInterrupt is raised only here, never where
    results are handled: a database that is interrupted in a transaction stays locked.

    torch keeps a number of threads for each of ours, but MKL one for all: a worker that put back
    what it found would give the others more than their core.
    """
    before, stop, waiting = torch.get_num_threads(), threading.Event(), iter(items)
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    running: set[Future[R]] = set()
    with threadpool_limits(1, "blas"), _set_by_interrupt(stop):
        try:
            while not stop.is_set():
                for item in islice(waiting, workers - len(running)):
                    running.add(pool.submit(work, item, stop))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    if not isinstance(future.exception(), Stopped):
                        yield future.result()
            raise KeyboardInterrupt
        finally:
            stop.set()
            pool.shutdown()
            torch.set_num_threads(before)


@contextmanager
def _set_by_interrupt(event: threading.Event) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: event.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
