"""Label errors, duplicates and rare tags on the generated set: 4,000 images, 200 Zipf tags.

python -m bench.tag_errors [IMAGES TAGS]
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from examples.tagged_images import make_tag_set, tile_backbone
from src.image_models.train import train
from src.settings.classifier import ClassifierTraining
from src.tagging.results import measure, thresholds_of
from src.tagging.target import Tags


def main(images: int, tags: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        truth = make_tag_set(base / "images", images=images, tags=tags, copies=images // 40)
        settings = ClassifierTraining.model_validate(
            {
                "top_level_image_directory": str(base / "images"),
                "base_model": str(tile_backbone(base / "backbone")),
                "save_model": str(base / "model"),
                "tag_head_epochs": 10,
                "device": "cpu",
            }
        )
        start = time.perf_counter()
        predictions = train(settings, Tags(settings))
        assert predictions is not None
        results = measure(predictions, thresholds_of(predictions, 20), settings)
        seconds = time.perf_counter() - start
    right = [
        error.label in truth.dropped[error.path]
        if error.suggested == "add"
        else error.label not in truth.shown[error.path]
        for error in results.suspects
    ]
    part = dict(zip(predictions.data.paths, predictions.parts.tolist(), strict=True))
    whole, rare = results.metrics["slices"]
    print(
        json.dumps(
            {
                "bench": "tag_errors",
                "images": len(part),
                "tags": tags,
                "dropped": sum(map(len, truth.dropped.values())),
                "suspicions": len(right),
                "really_wrong": int(np.sum(right)),
                "expected_wrong": results.metrics["suspected_labels"]["expected_wrong"],
                "precision_at_100": float(np.mean(right[:100])),
                "precision_at_500": float(np.mean(right[:500])),
                "copies": len(truth.copies),
                "copies_torn": sum(part[a] != part[b] for a, b in truth.copies.items()),
                "f1_micro": round(whole["f1_micro"], 4),
                "f1_macro": round(whole["f1_macro"], 4),
                "f1_macro_of_the_rarer_half": round(rare["f1_macro"], 4),
                "seconds_with_features": round(seconds, 1),
            }
        )
    )


if __name__ == "__main__":
    main(*(map(int, sys.argv[1:]) if len(sys.argv) == 3 else (4000, 200)))
