"""How many clicks a good order takes: a simulated rater over the rated photographs.

    REAL_ASSETS=... python -m bench.rating_simulation [SEEDS [FIRST]]

The true order is the mean rating that many people gave 330 photographs. The rater compares two
photographs by their true scores plus noise, such that a random pair shown again is answered the
same way 75 % of the time. Printed: Spearman's correlation of the database's scores with the truth,
mean over the seeds, at 0.5 to 5 clicks per image, for each kind of features and for the old way.
"""

import csv
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.optimize import brentq
from scipy.stats import spearmanr

from bench.needs import real_assets
from src.features import compute_features, open_extractors, open_store
from src.images import scan_images
from src.rating.pairs.schedule import Selection
from src.rating.session import Method, RatingDatabase

CLICKS = (0.5, 1, 1.5, 2, 3, 5)
CONSISTENCY = 0.75
SIZE_OF_RANDOM_FEATURES = 64


def truth(photographs: Path) -> dict[str, float]:
    with (photographs / "scores.csv").open(encoding="utf-8") as file:
        return {row["relative_path"]: float(row["score"]) for row in csv.DictReader(file)}


def steepness(scores: np.ndarray) -> float:
    """Factor on score differences at which the logistic rater has the wanted consistency."""
    gaps = np.abs(np.subtract.outer(scores, scores)[np.triu_indices(len(scores), 1)])

    def excess(factor: float) -> float:
        p = 1 / (1 + np.exp(-factor * gaps))
        return float(np.mean(p**2 + (1 - p) ** 2)) - CONSISTENCY

    return float(brentq(excess, 1e-3, 100))


def features(photographs: Path, extractor: str) -> dict[str, np.ndarray]:
    with open_store(photographs) as store:
        table = compute_features(
            photographs, scan_images(photographs), open_extractors(extractor, device="cpu"), store
        )
    return dict(zip(table.paths, table.vectors, strict=True))


def simulate(
    scores: dict[str, float],
    vectors: dict[str, np.ndarray] | None,
    method: Method,
    selection: Selection,
    seed: int,
) -> list[float]:
    """Correlation with the truth at each of `CLICKS`."""
    paths = list(scores)
    true = np.array([scores[path] for path in paths])
    factor = steepness(true)
    rng = np.random.default_rng(seed)
    found = []
    with (
        tempfile.TemporaryDirectory(dir=fast_disk()) as folder,
        RatingDatabase(
            folder, images=paths, features=vectors, method=method, selection=selection, seed=seed
        ) as database,
    ):
        for path in paths:  # the database looks whether an image is still there
            (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / path).touch()
        wanted = [round(clicks * len(paths)) for clicks in CLICKS]
        for click in range(1, wanted[-1] + 1):
            left, right = database.next_pair()
            p = 1 / (1 + np.exp(-factor * (scores[left] - scores[right])))
            database.record(left, right, "left" if rng.random() < p else "right")
            if click in wanted:
                estimate = database.scores()
                found.append(float(spearmanr(true, [estimate[path] for path in paths])[0]))
    return found


def fast_disk() -> str | None:
    """Every choice is synced to the disk; in memory the simulation takes a fraction of the time."""
    return "/dev/shm" if os.path.isdir("/dev/shm") else None


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    seeds = range(first, first + count)
    assets = real_assets()
    with tempfile.TemporaryDirectory() as temporary:
        photographs = Path(temporary) / "photographs"
        shutil.copytree(assets / "rated-photos", photographs)
        scores = truth(photographs)
        useless = np.random.default_rng(0).normal(size=(len(scores), SIZE_OF_RANDOM_FEATURES))
        kinds = {
            "mobilenet_v2": features(photographs, str(assets / "backbones" / "mobilenet_v2")),
            "builtin": features(photographs, "builtin"),
            "none": None,
            "random": dict(zip(scores, useless, strict=True)),
        }
    arms: list[tuple[str, dict[str, np.ndarray] | None, Method, Selection]] = [
        (name, vectors, "posterior", "active") for name, vectors in kinds.items()
    ]
    arms.append(("elo+random", None, "elo", "random"))
    result = {}
    for name, vectors, method, selection in arms:
        runs = [simulate(scores, vectors, method, selection, seed) for seed in seeds]
        means = np.mean(runs, axis=0).round(3).tolist()
        result[name] = dict(zip(map(str, CLICKS), means, strict=True))
    print(json.dumps({"bench": "rating_simulation", "seeds": list(seeds), "spearman": result}))


if __name__ == "__main__":
    main()
