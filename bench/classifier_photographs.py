"""A head on MobileNetV2 for the rated photographs' categories: accuracy, and seconds of the script.

The real script runs as a process of its own: once with an empty feature store, then with five
seeds of the split on stored features. Prints one JSON line.

    REAL_ASSETS=... python -m bench.classifier_photographs
"""

import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.needs import real_assets

ROOT = Path(__file__).parents[1]


def run(images: Path, backbone: Path, saved: Path, seed: int) -> dict[str, float]:
    """Seconds of the whole process, its processor seconds, and its test accuracy."""
    before, start = os.times(), time.monotonic()
    subprocess.run(
        [
            sys.executable,
            "custom_classifier_training.py",
            f"--top_level_image_directory={images}",
            f"--base_model={backbone}",
            f"--save_model={saved}",
            f"--test_pick_seed={seed}",
            "--train_backbone=False",
            "--device=cpu",
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    after = os.times()
    used = after.children_user + after.children_system
    metrics = json.loads((saved / "metrics.json").read_text(encoding="utf-8"))
    return {
        "seconds": time.monotonic() - start,
        "processor_seconds": used - before.children_user - before.children_system,
        "accuracy": metrics["test"]["accuracy"],
        "log_loss": metrics["test"]["log_loss"],
    }


def main() -> None:
    assets = real_assets()
    photographs = assets / "rated-photos"
    with tempfile.TemporaryDirectory() as temporary:
        images = Path(temporary) / "images"
        with (photographs / "scores.csv").open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                (images / row["category"]).mkdir(parents=True, exist_ok=True)
                shutil.copy(photographs / row["relative_path"], images / row["category"])
        saved = Path(temporary) / "saved"
        runs = [
            run(images, assets / "backbones" / "mobilenet_v2", saved, seed) for seed in range(5)
        ]
    cached = runs[1:]
    result = {
        "bench": "classifier_photographs",
        "test_accuracy": round(statistics.mean(each["accuracy"] for each in runs), 4),
        "each": [round(each["accuracy"], 4) for each in runs],
        "log_loss": round(statistics.mean(each["log_loss"] for each in runs), 4),
        "seconds_cold": round(runs[0]["seconds"], 1),
        "processor_seconds_cold": round(runs[0]["processor_seconds"], 1),
        "seconds_cached": round(statistics.median(each["seconds"] for each in cached), 1),
        "processor_seconds_cached": round(
            statistics.median(each["processor_seconds"] for each in cached), 1
        ),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
