"""A light copy of a model against the model itself: speed, start, and equal scores.

    REAL_ASSETS=... python -m bench.light_inference [PYTHON]

PYTHON is the interpreter of an environment with requirements-inference.txt alone; by default this
one, which measures the start with more packages around. Prints images per second of the
mobilenet_v2 extractor in torch and in onnxruntime on decoded images, measured in turns (best of
ROUNDS each, and the median ratio of a turn), the seconds from the start of score_images.py to its
end for one image, of the light copy and, with this interpreter, of the model itself, and the
largest difference of scores.
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

import numpy as np

from bench import needs
from src.aesthetic.heads import fit_head
from src.aesthetic.predictor import Predictor
from src.devices import one_torch_thread
from src.features import open_extractors
from src.features.extractor import ImageExtractor
from src.images import find_images, open_image
from src.images.read_ahead import in_passes
from src.scoring.light import export_light, open_light

ROOT = Path(__file__).parents[1]
IMAGES, ROUNDS = 64, 7


def seconds(extractor: ImageExtractor, prepared: list[np.ndarray]) -> float:
    """Of all images, in passes side by side."""
    start = time.perf_counter()
    size, at_once = extractor.images_per_pass or 32, extractor.passes_at_once
    with one_torch_thread():
        for _ in in_passes(prepared, extractor.extract, size=size, at_once=at_once):
            pass
    return time.perf_counter() - start


def start_to_score(python: str, model: Path, images: Path, cwd: Path) -> float:
    """Seconds of a whole run on one image, the best of three."""
    best = float("inf")
    for number in range(3):
        start = time.perf_counter()
        subprocess.run(
            [
                python,
                str(ROOT / "score_images.py"),
                f"--load_model={model}",
                f"--top_level_image_directory={images}",
                f"--feature_store={cwd / f'store{number}'}",
                f"--output={cwd / 'scored'}",
                "--gallery=off",
            ],
            check=True,
            capture_output=True,
            cwd=cwd,
        )
        best = min(best, time.perf_counter() - start)
        (cwd / f"store{number}" / ".features.sqlite").unlink()
    with (cwd / "scored" / "scores.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 1
    return best


def main() -> None:
    assets = needs.real_assets()
    needs.packages("onnx", "onnxscript", "onnxruntime")
    python = sys.argv[1] if len(sys.argv) > 1 else sys.executable
    photographs = assets / "rated-photos"
    (extractor,) = open_extractors(str(assets / "backbones" / "mobilenet_v2"), device="cpu")
    assert isinstance(extractor, ImageExtractor)
    extractor.load()
    paths = [photographs / path for path in find_images(photographs)[:IMAGES]]
    prepared = [extractor.prepare(open_image(path, min_side=extractor.min_side)) for path in paths]
    features = extractor.extract(prepared)
    head = fit_head("ridge", features, np.arange(IMAGES) % 7)
    predictor = Predictor.from_training(head, features, extractors=[extractor.describe()])
    with tempfile.TemporaryDirectory() as temporary:
        cwd = Path(temporary)
        predictor.save(cwd / "model")
        export_light(predictor, [extractor], cwd / "light")
        (copy,) = open_light(cwd / "light", Predictor.load(cwd / "light"))
        assert isinstance(copy, ImageExtractor)
        copy.load()
        difference = np.abs(predictor.predict(copy.extract(prepared)) - predictor.predict(features))
        (cwd / "images").mkdir()
        shutil.copy(paths[0], cwd / "images")
        for each in (extractor, copy):
            seconds(each, prepared[:8])
        turns = [(seconds(extractor, prepared), seconds(copy, prepared)) for _ in range(ROUNDS)]
        torch, onnx = zip(*turns, strict=True)
        result = {
            "bench": "light_inference",
            "cores": os.cpu_count(),
            "images_per_second_torch": round(IMAGES / min(torch), 1),
            "images_per_second_onnxruntime": round(IMAGES / min(onnx), 1),
            "onnxruntime_to_torch": round(statistics.median(a / b for a, b in turns), 2),
            "largest_difference_of_scores": float(f"{difference.max():.2g}"),
            "seconds_start_to_first_score": round(
                start_to_score(python, cwd / "light", cwd / "images", cwd), 2
            ),
            "seconds_start_to_first_score_torch": round(
                start_to_score(sys.executable, cwd / "model", cwd / "images", cwd), 2
            ),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
