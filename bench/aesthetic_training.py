"""The default settings on the rated photographs, and the speed of the seed's recipe.

    REAL_ASSETS=... python -m bench.aesthetic_training

Prints the mean test AB over five `test_pick_seed`s with the mobilenet_v2 folder as extractor and
with `builtin`, the seconds of a whole training run with kept features (process start to exit), and
the steps per second of the published architecture with ranking loss and batches of 8.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.needs import real_assets

ROOT = Path(__file__).parents[1]
SEEDS = range(42, 47)


def train(cwd: Path, extractor: str, seed: int, *words: str) -> tuple[float, float]:
    """Test AB and seconds of one whole run of the script."""
    start = time.perf_counter()
    subprocess.run(
        [
            sys.executable,
            str(ROOT / "aesthetic_predictor_training.py"),
            "--top_level_image_directory=photographs",
            f"--feature_extractor={extractor}",
            f"--test_pick_seed={seed}",
            "--save_model=model",
            "--device=cpu",
            *words,
        ],
        cwd=cwd,
        check=True,
        capture_output=True,
    )
    seconds = time.perf_counter() - start
    metrics = json.loads((cwd / "model" / "metrics.json").read_text(encoding="utf-8"))
    return metrics["test"]["ab"], seconds


def seed_recipe_steps_per_second(features: int = 768, steps: int = 3000) -> int:
    from src.aesthetic.heads.training_set import TrainingSet
    from src.aesthetic.mlp.fitting import fit_ensemble
    from src.settings.mlp import Mlp, PredictorTrainingArgs

    rng = np.random.default_rng(0)
    data = TrainingSet.of(rng.normal(size=(1000, features)), rng.normal(size=1000))
    mlp = Mlp(training_args=PredictorTrainingArgs(max_steps=steps), device="cpu")
    start = time.perf_counter()
    fit_ensemble(data, mlp)
    return round(steps / (time.perf_counter() - start))


def main() -> None:
    assets = real_assets()
    backbone = str(assets / "backbones" / "mobilenet_v2")
    result: dict[str, object] = {"bench": "aesthetic_training", "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as temporary:
        cwd = Path(temporary)
        shutil.copytree(assets / "rated-photos", cwd / "photographs")
        for label, extractor in (("mobilenet_v2", backbone), ("builtin", "builtin")):
            _, cold = train(cwd, extractor, SEEDS[0])
            runs = [train(cwd, extractor, seed) for seed in SEEDS]
            result[label] = {
                "test_ab_mean": round(statistics.mean(run[0] for run in runs), 4),
                "test_ab": [round(run[0], 4) for run in runs],
                "seconds_first_run": round(cold, 1),
                "seconds_with_kept_features": round(statistics.median(run[1] for run in runs), 2),
            }
    result["seed_recipe_steps_per_second"] = seed_recipe_steps_per_second()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
