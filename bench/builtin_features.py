"""Hand-made features on rated photographs: pairs ordered right, and images per second.

    REAL_ASSETS=... python -m bench.builtin_features

AB: ridge on standardised features, the penalty chosen by generalised cross-validation, trained on
240 images and tested on the others, mean and deviation over ten random splits. Speed: from JPEG
file to features, in two threads (as the extractor does) and in two processes.
"""

import csv
import json
import statistics
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.needs import real_assets
from src.evaluation.rank_metrics import pairwise_accuracy
from src.features import builtin
from src.images import open_image

TRAINING, SPLITS, ROUNDS, CORES = 240, 10, 3, 2


def ab_of_splits(
    matrix: np.ndarray,
    scores: np.ndarray,
    splits: int = SPLITS,
    tested: np.ndarray | None = None,
) -> list[float]:
    """AB on the test part of each split, seeds 0 to `splits` - 1; on other features if `tested`."""
    tested = matrix if tested is None else tested
    results = []
    for seed in range(splits):
        order = np.random.default_rng(seed).permutation(len(scores))
        train, test = order[:TRAINING], order[TRAINING:]
        model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 6, 15)))
        model.fit(matrix[train].astype(np.float64), scores[train])
        predicted = model.predict(tested[test].astype(np.float64))
        results.append(pairwise_accuracy(scores[test], predicted) or 0.0)
    return results


def rated_photographs() -> tuple[list[Path], np.ndarray]:
    """Files and scores."""
    folder = real_assets() / "rated-photos"
    with open(folder / "scores.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [folder / row["relative_path"] for row in rows], np.array(
        [float(row["score"]) for row in rows]
    )


def extract(file: Path) -> np.ndarray:
    return builtin.image_features(open_image(file, min_side=builtin.WORKING_SIDE))


def rate(pool: Executor, files: list[Path]) -> float:
    """Images per second, the median of the rounds."""
    list(pool.map(extract, files[:20]))  # start the workers
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        list(pool.map(extract, files, chunksize=8))
        rates.append(len(files) / (time.perf_counter() - start))
    return statistics.median(rates)


def main() -> None:
    files, scores = rated_photographs()
    with ThreadPoolExecutor(CORES) as threads, ProcessPoolExecutor(CORES) as processes:
        in_processes = rate(processes, files)
        start = time.process_time()
        in_threads = rate(threads, files)
        seconds = (time.process_time() - start) / (ROUNDS * len(files))
        matrix = np.stack(list(threads.map(extract, files)))
    results = ab_of_splits(matrix, scores)
    print(
        json.dumps(
            {
                "bench": "builtin_features",
                "features": builtin.SIZE,
                "ab_mean": round(statistics.mean(results), 4),
                "ab_sd": round(statistics.pstdev(results), 4),
                "images_per_second": round(in_threads, 1),
                "images_per_second_in_processes": round(in_processes, 1),
                "workers": CORES,
                "cpu_ms_per_image": round(1000 * seconds, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
