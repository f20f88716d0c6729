"""Small image models from random weights, trained on scikit-learn's digits by the real script.

The digits are written as PNG files into one folder for each; custom_classifier_training.py runs
as a process of its own with train_backbone True. Prints, for each architecture, test accuracy,
epochs, seconds of the whole process.

    python -m bench.classifier_digits [vit] [convnext]
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import transformers
from PIL import Image
from sklearn.datasets import load_digits
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

ROOT = Path(__file__).parents[1]
SIDE = 32  # pixels


def write_digits(folder: Path) -> None:
    """1797 images of 8 x 8 pixels, enlarged to 32 x 32, in folders 0 ... 9."""
    digits = load_digits()
    for index, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        target = folder / str(label)
        target.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray((image * 255 / 16).astype(np.uint8))
        grey.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(target / f"{index:04d}.png")


def save_vit(folder: Path) -> None:
    """A ViT of 4 layers and 64 values, patches of 4 pixels, random weights."""
    config = transformers.ViTConfig(  # type: ignore[call-arg]
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=4,
        num_labels=10,
    )
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)


def save_convnext(folder: Path) -> None:
    """A ConvNeXt of four stages with 24 to 96 values, random weights."""
    config = transformers.ConvNextConfig(  # type: ignore[call-arg]
        depths=[1, 1, 2, 1], hidden_sizes=[24, 48, 72, 96], patch_size=2, num_labels=10
    )
    transformers.ConvNextForImageClassification(config).save_pretrained(folder)
    processor = ConvNextImageProcessorPil(size={"shortest_edge": SIDE}, crop_pct=1.0)
    processor.save_pretrained(folder)


MODELS = {"vit": save_vit, "convnext": save_convnext}
SETTINGS = [
    "--train_backbone=True",
    "--augment_flip=False",
    "--augment_crop=0.8",
    "--augment_colour=0.0",
    "--training_args.num_train_epochs=25",
    "--training_args.learning_rate=2e-3",
    "--training_args.per_device_train_batch_size=32",
    "--training_args.warmup_steps=0.1",
    "--mode=train,evaluate",
    "--device=cpu",
]


def main(names: list[str]) -> None:
    """Train each model and print what came out."""
    result: dict[str, object] = {"bench": "classifier_digits"}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_digits(root / "digits")
        for model in names or list(MODELS):
            transformers.set_seed(0)
            MODELS[model](root / model)
            start = time.monotonic()
            subprocess.run(
                [
                    sys.executable,
                    "custom_classifier_training.py",
                    f"--top_level_image_directory={root / 'digits'}",
                    f"--base_model={root / model}",
                    f"--save_model={root / f'{model}-trained'}",
                    *SETTINGS,
                ],
                cwd=ROOT,
                check=True,
                stdout=sys.stderr,
            )
            metrics = json.loads((root / f"{model}-trained" / "metrics.json").read_text("utf-8"))
            result[model] = {
                "test_accuracy": round(metrics["test"]["accuracy"], 4),
                "test_images": metrics["test"]["n"],
                "epochs": metrics["provenance"]["epochs trained"],
                "seconds": round(time.monotonic() - start, 1),
            }
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
