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
from src.classifier.fine_tune import Recipe
from src.classifier.job import Job
from src.classifier.tag_job import TagOptions
from src.classifier.tag_results import Measuring, find
from src.classifier.tag_train import train_head


def main(images: int, tags: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        truth = make_tag_set(base / "images", images=images, tags=tags, copies=images // 40)
        job = Job(
            directory=base / "images",
            base_model=str(tile_backbone(base / "backbone")),
            load_model="",
            save_model=base / "model",
            fraction_for_test=0.25,
            fraction_for_validation=0.15,
            seed=42,
            balanced=False,
            store=None,
            recipe=Recipe(
                training_args={"per_device_train_batch_size": 16, "report_to": []}, device="cpu"
            ),
        )
        start = time.perf_counter()
        answers = train_head(job, TagOptions(head_epochs=10))
        findings = find(answers, Measuring())
        seconds = time.perf_counter() - start
    right = [
        error.tag in truth.dropped[error.image]
        if error.problem == "missing"
        else error.tag not in truth.shown[error.image]
        for error in findings.errors
    ]
    part = dict(zip(answers.data.paths, answers.parts.tolist(), strict=True))
    whole, rare = findings.figures["slices"]
    print(
        json.dumps(
            {
                "bench": "tag_errors",
                "images": len(part),
                "tags": tags,
                "dropped": sum(map(len, truth.dropped.values())),
                "suspicions": len(right),
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
