"""Trainings of a search, sorted into stacks that are trained together."""

import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import pairwise
from typing import NamedTuple, TypeVar

import torch
from threadpoolctl import threadpool_limits

from src.aesthetic.mlp.trainer import train_mlps
from src.aesthetic.mlp.training_run import rates
from src.aesthetic.mlp.trainings import Diverged
from src.aesthetic.search.trials import InnerFolds, Score, Trial
from src.errors import ModelError

# Weights of all networks in a stack. On a processor small networks gain, because several steps
# cost the bookkeeping of one; with more weights than the cache holds, they would only be in each
# other's way. On a GPU it is the memory that counts: 16 bytes a weight.
_WEIGHTS_AT_ONCE = {"cpu": 600_000, "gpu": 100_000_000}
_NAN = float("nan")
T = TypeVar("T")


class Job(NamedTuple):
    """One training: a combination of settings, without one fold."""

    trial: Trial
    fold: int


class Stopped(Exception):
    """A training was given up because the search is."""


def run_stacks(
    images: InnerFolds,
    jobs: Sequence[Job],
    work: Callable[[list[Job], threading.Event], T],
    *,
    workers: int | None = None,
) -> Generator[tuple[list[int], T], None, None]:
    """Do all jobs, several stacks at a time; close the iterator to stop early.

    Args:
        images: in folds.
        jobs: what is to be done.
        work: does a stack of jobs, and raises `Stopped` soon after the event is set.
        workers: stacks at a time; None for one per processor core (one on a GPU).

    Yields:
        Which jobs are done, as numbers of jobs, and what `work` returned; as they come.
    """
    if not jobs:
        return
    workers = workers or default_workers(jobs[0].trial.device)
    stop = threading.Event()
    with worker_pool(workers) as pool:
        futures: dict[Future[T], list[int]] = {
            pool.submit(work, [jobs[number] for number in stack], stop): stack
            for stack in plan_stacks(images, jobs, workers)
        }
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            stop.set()


@contextmanager
def worker_pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that compute with one core each; what has not begun is cancelled at the end.

    torch keeps a number of threads for each of ours, but MKL one for all: a worker that put back
    what it found would give the others more than their core.
    """
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    with threadpool_limits(1, "blas"):
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(before)


def plan_stacks(images: InnerFolds, jobs: Sequence[Job], workers: int) -> list[list[int]]:
    """Which jobs are trained together, as numbers of jobs; the first jobs come first.

    Networks of one kind are stacked as far as it pays on the device. No worker is left without
    a stack for the sake of a higher one.
    """
    stacks: list[list[int]] = []
    kinds: dict[object, list[int]] = {}
    for number, job in enumerate(jobs):
        kind = job_kind(images, job)
        kinds.setdefault((number,) if kind is None else kind, []).append(number)
    for numbers in kinds.values():
        numbers.sort(key=lambda number: rates(jobs[number].trial.options))
        height = stack_height(images, jobs[numbers[0]])
        n = len(numbers)
        count = max(-(-n // height), min(workers, n) if len(kinds) < workers else 1)
        stacks += [numbers[n * k // count : n * (k + 1) // count] for k in range(count)]
    return sorted(stacks, key=min)


def job_kind(images: InnerFolds, job: Job) -> tuple[object, ...] | None:
    """What jobs that can be trained together have in common; None for a head in closed form."""
    return images.training(*job).kind if job.trial.head == "mlp" else None


def stack_height(images: InnerFolds, job: Job) -> int:
    """How many networks like this one are trained together."""
    if job.trial.head != "mlp":
        return 1
    sizes = images.training(*job).sizes
    weights = sum(inputs * outputs for inputs, outputs in pairwise(sizes))
    limit = _WEIGHTS_AT_ONCE["cpu" if job.trial.device == "cpu" else "gpu"]
    return max(1, limit // weights)


def measure(images: InnerFolds, jobs: Sequence[Job], stop: threading.Event) -> list[Score]:
    """Train a stack and measure each on its fold; NaN where training diverged.

    Raises:
        Stopped: `stop` was set meanwhile.
    """

    def heed(done: int, total: int) -> None:
        if stop.is_set():
            raise Stopped

    heed(0, 0)
    if jobs[0].trial.head != "mlp":
        return [images.score(trial, images.fit(trial, fold), fold) for trial, fold in jobs]
    results = train_mlps(
        [images.training(*job) for job in jobs], device=jobs[0].trial.device, progress=heed
    )
    return [
        Score(_NAN, _NAN, _NAN)
        if isinstance(result, Diverged)
        else images.score_training(job.trial, result, job.fold)
        for job, result in zip(jobs, results, strict=True)
    ]


def default_workers(device: str) -> int:
    """Stacks at a time: one per processor core; a GPU is kept busy by one."""
    return (os.cpu_count() or 1) if device == "cpu" else 1


def check_jobs(images: InnerFolds, trials: Sequence[Trial]) -> None:
    """Find out what is impossible before anything is trained.

    Raises:
        SettingsError: settings that contradict each other.
        ModelError: the start does not fit the images or the head.
    """
    for trial in trials:
        if trial.head == "mlp":
            images.training(trial)
        elif trial.start is not None and trial.start.n_features != images.features.shape[1]:
            raise ModelError("the model that training starts from was made for other features")
