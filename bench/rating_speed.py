"""Milliseconds from an answer to the next pair, and seconds to open a folder.

    python -m bench.rating_speed [IMAGES ...]

`next_set` and `record` with 64 features for each image, as in the window: while the person looks,
`following_set` runs, which is not counted. `alone` does without it, so that every computation is
counted, fits included. The folder is also measured in memory, where there is one: the difference
is what the disk takes to keep a choice for good.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from src.rating.session import RatingDatabase
from src.rating.storage.choice_log import ChoiceLog
from src.rating.storage.choice_rows import Event

CHOICES, LOGGED, FEATURES = 200, 20_000, 64


def make_folder(folder: Path, count: int) -> dict[str, np.ndarray]:
    """Empty files, and features for them."""
    vectors = np.random.default_rng(0).normal(size=(count, FEATURES)).astype(np.float32)
    names = [f"{number // 1000:03d}/{number:06d}.jpg" for number in range(count)]
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    return dict(zip(names, vectors, strict=True))


def answer_times(database: RatingDatabase, *, ahead: bool) -> list[float]:
    rng = np.random.default_rng(1)
    left, right = database.next_set()
    times = []
    for _ in range(CHOICES):
        if ahead:
            database.following_set()
        start = time.perf_counter()
        database.record(left, right, "left" if rng.random() < 0.5 else "right")
        left, right = database.next_set()
        times.append(time.perf_counter() - start)
    return times


def opening(folder: Path, features: dict[str, np.ndarray]) -> float:
    """Seconds to open a folder with many choices, up to the first pair."""
    rng = np.random.default_rng(2)
    names = list(features)
    log = ChoiceLog(folder)
    log._connection.execute("BEGIN")  # one sync for all
    for i, j in rng.integers(0, len(names), (LOGGED, 2)):
        if i != j:
            log.append(Event(names[i], names[j], "left" if i < j else "right", "active", 0.5))
    log._connection.execute("COMMIT")
    log.close()
    start = time.perf_counter()
    database = RatingDatabase(folder, seed=0)
    database.next_set()
    seconds = time.perf_counter() - start
    database._log.close()  # without fitting again
    return seconds


def percentiles(times: list[float]) -> dict[str, float]:
    return {
        name: round(1000 * float(np.percentile(times, percent)), 2)
        for name, percent in (("median_ms", 50), ("p95_ms", 95), ("max_ms", 100))
    }


def measure(count: int, place: str | None) -> dict[str, object]:
    with tempfile.TemporaryDirectory(dir=place) as temporary:
        folder = Path(temporary)
        features = make_folder(folder, count)
        database = RatingDatabase(folder, seed=0)
        database.set_features(features)
        result: dict[str, object] = {
            "in_window": percentiles(answer_times(database, ahead=True)),
            "alone": percentiles(answer_times(database, ahead=False)),
        }
        database.close()
        result["open_seconds"] = round(opening(folder, features), 3)
    return result


def main() -> None:
    counts = [int(argument) for argument in sys.argv[1:]] or [10_000, 100_000]
    places = {"disk": None} | ({"memory": "/dev/shm"} if Path("/dev/shm").is_dir() else {})
    result: dict[str, object] = {"bench": "rating_speed", "logged": LOGGED}
    for count in counts:
        for name, place in places.items():
            result[f"{count} images, {name}"] = measure(count, place)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
