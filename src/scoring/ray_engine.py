"""Features computed by the workers of a Ray cluster, or of one that lives as long as the call.

Each worker is a Ray actor that holds the model and reads the images itself, so no image passes
through Ray. This process hands out lists of files and keeps what comes back, just as it keeps what
it computes itself: scores, table and actions are the same, and an interrupted run goes on where it
was. Ray starts a worker anew when its process or machine dies, and gives it the files again.
"""

import logging
import os
import socket
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from src.errors import MissingExtra, ModelError, SettingsError, UserError
from src.features import ImageExtractor
from src.features.extract import Computed, compute_batches
from src.images import ImageFile
from src.scoring.object_store import reader
from src.scoring.scored import open_model

_RETRIES = 3  # a file that brings the worker down each time is given up then, with its list
_LOST = f"the worker died {_RETRIES + 1} times on it, or on an image in the same batch"
_LOCAL_OBJECT_STORE = 256 * 1024**2  # bytes; only lists and vectors pass through it
_PATIENCE = 10.0  # seconds, for a cluster's first answer
_BATCHES = 8  # in a list of files at most: what an interruption loses of each worker's work
_LISTS_EACH = 8  # for each worker at least: the last ones end at about one time


@dataclass(frozen=True)
class RayEngine:
    """An `Engine`."""

    images: str  # the image folder or URI, which every machine can read
    load_model: str  # the model folder, at the same path on every machine
    device: str = "auto"  # takes GPUs where the cluster has any
    address: str = ""  # of a cluster; "" starts one on this computer for the time of the call
    workers: int = 0  # 0: one for each GPU, or without GPUs one for each processor
    precision: str = "auto"

    def __call__(
        self,
        files: Sequence[ImageFile],
        extractors: Sequence[ImageExtractor],
        done: set[bytes],
        batch_size: int,
    ) -> Iterator[list[Computed]]:
        """See `Engine`; a content in `done` under a new path is computed again."""
        identities = [extractor.identity for extractor in extractors]
        with _ray(self.address, self.workers) as ray:
            workers, each = self._resources(ray)
            size = min(_BATCHES * batch_size, -(-len(files) // (_LISTS_EACH * workers)))
            lists = [files[start : start + size] for start in range(0, len(files), size)]
            actor = ray.remote(_Worker).options(**each, max_restarts=-1, max_task_retries=_RETRIES)
            free = [actor.remote(self, identities, batch_size, each) for _ in range(workers)]
            running: dict[Any, tuple[Any, Sequence[ImageFile]]] = {}
            while lists or running:
                while lists and free:
                    worker, wanted = free.pop(), lists.pop(0)
                    running[worker.compute.remote(wanted)] = worker, wanted
                (result,), _ = ray.wait([*running])
                worker, wanted = running.pop(result)
                free.append(worker)
                try:
                    found = ray.get(result)
                except ray.exceptions.RayActorError:
                    found = [Computed(file, problem=_LOST) for file in wanted]
                if isinstance(found, Exception):
                    raise found
                yield found

    def _resources(self, ray: Any) -> tuple[int, dict[str, float]]:
        """How many workers, and what each of them takes of the cluster."""
        there = ray.cluster_resources()
        gpus, processors = int(there.get("GPU", 0)), int(there.get("CPU", 1))
        if self.device.startswith("cuda") and not gpus:
            raise SettingsError(f"device is {self.device!r}, but the Ray cluster has no GPU")
        on_gpus = gpus > 0 and (self.device == "auto" or self.device.startswith("cuda"))
        most = gpus if on_gpus else processors
        workers = self.workers or most
        if workers > most:
            raise SettingsError(
                f"ray_workers is {workers}, but the Ray cluster has {most} "
                f"{'GPUs' if on_gpus else 'processors'}"
            )
        each = max(1, processors // workers) if on_gpus else 1
        return workers, {"num_cpus": each, "num_gpus": 1 if on_gpus else 0}


class _Worker:
    """Lives in a process of its own, on any machine of the cluster.

    What goes wrong here is returned: raised, Ray would wrap it in pages of its own. So the only
    errors that are Ray's are dead processes.
    """

    def __init__(
        self,
        engine: RayEngine,
        identities: Sequence[str],
        batch_size: int,
        resources: dict[str, float],
    ) -> None:
        self._engine, self._identities = engine, identities
        self._device = "cuda" if resources["num_gpus"] else "cpu"
        self._batch_size, self._threads = batch_size, int(resources["num_cpus"])
        self._extractors: list[ImageExtractor] = []

    def compute(self, files: Sequence[ImageFile]) -> list[Computed] | Exception:
        read, size, threads = reader(self._engine.images), self._batch_size, self._threads
        try:
            batches = compute_batches(read, files, self._opened(len(files)), set(), size, threads)
            return [computed for batch in batches for computed in batch]
        except UserError as error:
            return ModelError(str(error))
        except Exception:
            return RuntimeError(f"a Ray worker failed:\n{traceback.format_exc()}")

    def _opened(self, images: int) -> list[ImageExtractor]:
        if self._identities and not self._extractors:
            _, opened = open_model(self._engine.load_model, self._device, self._engine.precision)
            there = {each.identity: each for each in opened if isinstance(each, ImageExtractor)}
            self._extractors = [there[identity] for identity in self._identities]
            for extractor in self._extractors:
                extractor.load(images)
        return self._extractors


def _check_answers(address: str) -> None:
    """Say that no cluster answers; Ray itself would wait for over a minute."""
    place = urlsplit(address if "://" in address else f"//{address}")
    try:
        if place.hostname and place.port:
            socket.create_connection((place.hostname, place.port), _PATIENCE).close()
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"nothing answers at ray_address {address!r} ({error}); is the cluster running?"
        ) from None


@contextmanager
def _ray(address: str, workers: int) -> Iterator[Any]:
    """Ray, connected; started here it listens on this computer alone, and reports to nobody."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not address:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # 127.0.0.1, everywhere
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # the rest is raised, too
    try:
        import ray
    except ImportError:
        raise MissingExtra("ray", "engine 'ray'") from None
    _check_answers(address)
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    try:
        if address:
            source = str(Path(__file__).parents[1])
            ray.init(address, runtime_env={"py_modules": [source]}, **quiet)
        else:
            processors = max(workers, os.cpu_count() or 1)
            quiet |= {"object_store_memory": _LOCAL_OBJECT_STORE, "include_dashboard": False}
            ray.init("local", num_cpus=processors, **quiet)
    except (OSError, RuntimeError, ValueError, TimeoutError) as error:
        reason = str(error).strip().rpartition("\n")[2] or type(error).__name__
        raise SettingsError(
            f"Ray cannot be started or reached (ray_address {address!r}): {reason}"
            + (". If it asks for a token, set RAY_AUTH_MODE=token" if address else "")
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of Ray's own parts, too
            yield ray
    finally:
        ray.shutdown()
