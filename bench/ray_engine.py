"""The Ray engine: two workers against one, and a worker killed on the way.

    python -m bench.ray_engine [ROUNDS]

Large JPEGs (24 megapixels) and built-in features: nearly all of the work is decoding. Each round
computes all images with one worker, then with two, in a cluster of its own each time. Prints the
images per second while results come (from when each worker has done one list of files to the
last), the median ratio of two workers to one, that of two plain processes to one, which is what the
machine allows, the first again for the whole call with the start of Ray in it, and whether the
features are those of the local engine, bit for bit, also when one of two workers is killed in the
middle.
"""

import json
import multiprocessing
import os
import signal
import statistics
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from PIL import Image

from bench import needs
from src.aesthetic.heads import LinearHead
from src.aesthetic.predictor import Predictor
from src.features import open_extractors
from src.features.extract import compute_batches, local_engine
from src.features.extractor import ImageExtractor
from src.images import scan_images
from src.scoring.object_store import reader
from src.scoring.ray_engine import RayEngine

PICTURES, COPIES = 4, 36
SIZE = (6000, 4000)


def make(root: Path) -> ImageExtractor:
    """Images and a model; returns its extractor."""
    (root / "images").mkdir()
    for number in range(PICTURES):
        first = root / "images" / f"{number}-00.jpg"
        cells = np.random.default_rng(number).integers(0, 256, (96, 128, 3), np.uint8)
        picture = Image.fromarray(cells).resize(SIZE, Image.Resampling.BICUBIC)
        picture.save(first, quality=90)
        content = first.read_bytes()
        for copy in range(1, COPIES):  # bytes behind the end: another file, the same picture
            (root / "images" / f"{number}-{copy:02d}.jpg").write_bytes(content + bytes([copy]))
    (builtin,) = open_extractors("builtin")
    assert isinstance(builtin, ImageExtractor)
    head = LinearHead(np.zeros(510), 0.0)
    Predictor(head, extractors=(builtin.describe(),)).save(root / "model")
    return builtin


def run(
    root: Path, extractor: ImageExtractor, workers: int, *, kill: bool = False
) -> dict[str, object]:
    """All images by so many workers: features by path, and when results came."""
    files = scan_images(root / "images")
    engine = RayEngine(str(root / "images"), str(root / "model"), "cpu", "", workers)
    vectors: dict[str, bytes] = {}
    start, first, counted = time.perf_counter(), 0.0, 0
    for lists, batch in enumerate(engine(files, [extractor], set(), 32), 1):
        if lists <= workers:  # from when each worker has done one, or two would have a start
            first, counted = time.perf_counter(), counted + len(batch)
        for result in batch:
            assert result.vectors, result.problem
            vectors[result.file.path] = result.vectors[0].tobytes()
        if kill and len(vectors) > len(files) // 4:
            os.kill(worker_of_this_process(), signal.SIGKILL)
            kill = False
    end = time.perf_counter()
    assert len(vectors) == len(files) and not kill
    steady = (len(files) - counted) / (end - first)
    return {"vectors": vectors, "steady": steady, "whole": len(files) / (end - start)}


def plain(root: Path, processes: int) -> float:
    """Images per second of so many processes that do the same work without Ray."""
    parts = [[*range(first, PICTURES * COPIES, processes)] for first in range(processes)]
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        pool.starmap(compute, [(root, part[:1]) for part in parts], chunksize=1)  # imports
        start = time.perf_counter()
        pool.starmap(compute, [(root, part) for part in parts], chunksize=1)
        return PICTURES * COPIES / (time.perf_counter() - start)


def compute(root: Path, numbers: list[int]) -> None:
    files = scan_images(root / "images")
    (builtin,) = open_extractors("builtin")
    assert isinstance(builtin, ImageExtractor)
    read = reader(str(root / "images"))
    for _ in compute_batches(read, [files[n] for n in numbers], [builtin], set(), 32, 1):
        pass


def worker_of_this_process() -> int:
    """The process of one of the workers."""
    import psutil

    for child in psutil.Process().children(recursive=True):
        if "_Worker" in " ".join(child.cmdline()):
            return int(child.pid)
    raise RuntimeError("no worker is running")


def main() -> None:
    needs.packages("ray", "psutil")
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - by default they give way
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    # Ray's messages are not the result.
    with tempfile.TemporaryDirectory() as temporary, redirect_stdout(sys.stderr):
        root = Path(temporary)
        extractor = make(root)
        files = scan_images(root / "images")
        local = local_engine(reader(str(root / "images")), 1)(files, [extractor], set(), 32)
        expected: dict[str, bytes] = {}
        known: dict[bytes, bytes] = {}
        for batch in local:
            for result in batch:
                assert result.sha256 is not None
                if result.vectors:
                    known[result.sha256] = result.vectors[0].tobytes()
                expected[result.file.path] = known[result.sha256]
        one: list[dict[str, object]] = []
        two: list[dict[str, object]] = []
        without: list[float] = []
        for _ in range(rounds):
            one.append(run(root, extractor, 1))
            two.append(run(root, extractor, 2))
            without.append(1 / plain(root, 1) * plain(root, 2))
        killed = run(root, extractor, 2, kill=True)

    def ratio(key: str) -> float:
        ratios = [float(str(b[key])) / float(str(a[key])) for a, b in zip(one, two, strict=True)]
        return round(statistics.median(ratios), 2)

    def rate(runs: list[dict[str, object]]) -> float:
        return round(statistics.median(float(str(r["steady"])) for r in runs), 1)

    summary = {
        "bench": "ray_engine",
        "cores": os.cpu_count(),
        "images": len(files),
        "images_per_second_one_worker": rate(one),
        "images_per_second_two_workers": rate(two),
        "two_to_one": ratio("steady"),
        "two_to_one_without_ray": round(statistics.median(without), 2),
        "two_to_one_with_the_start_of_ray": ratio("whole"),
        "equal_to_local": all(r["vectors"] == expected for r in one + two),
        "equal_to_local_with_a_worker_killed": killed["vectors"] == expected,
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
