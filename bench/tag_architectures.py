"""Training all of a model on 5,000 tags: seconds for each step, and memory, by architecture.

    python -m bench.tag_architectures [BATCH [EPOCHS [ARCHITECTURE ...]]]

Models of their usual size with random weights, through custom_classifier_training with
train_backbone on a processor. Images of noise have some of 5,000 tags, as often as Zipf's law says;
`loss` is the training loss of the first and of the last epoch. The memory is the process's peak,
libraries included (0.5 GiB). NFNet-F0 is one of timm's models, and needs that package.
"""

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from bench import needs

ROOT = Path(__file__).parents[1]
TAGS, IMAGES, TAGS_EACH = 5000, 48, 30
SIDES = {"convnext": 224, "vit": 224, "swinv2": 256, "efficientnet": 224, "nfnet_f0": 192}


def main(batch: int, epochs: int, names: list[str]) -> None:
    needs.linux()
    if "nfnet_f0" in names and find_spec("timm") is None:
        names = [name for name in names if name != "nfnet_f0"]
        print("nfnet_f0 is left out: it needs timm", file=sys.stderr)
    rows = {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            rows[name] = measure(Path(folder), name, batch, epochs)
            print(name, rows[name], file=sys.stderr)
    print(json.dumps({"bench": "tag_architectures", "tags": TAGS, "batch": batch, **rows}))


def measure(folder: Path, name: str, batch: int, epochs: int) -> dict[str, Any]:
    """What one training takes, by the clock and by the system's account of the process."""
    write_images(folder / "images", SIDES[name])
    parameters = write_model(folder / "base", name)
    words = [
        "--label_source=tags",
        "--mode=train",
        "--device=cpu",
        "--train_backbone=True",
        "--fraction_for_test=0",
        "--fraction_for_validation=0",
        f"--top_level_image_directory={folder / 'images'}",
        f"--tag_list={folder / 'images' / 'tags.csv'}",
        f"--base_model={folder / 'base'}",
        f"--save_model={folder / 'model'}",
        f"--training_args.num_train_epochs={epochs}",
        f"--training_args.per_device_train_batch_size={batch}",
        "--training_args.learning_rate=1e-3",
        "--training_args.logging_strategy=epoch",
    ]
    command = [sys.executable, "custom_classifier_training.py", *words]
    seen, text = list[tuple[float, float]](), list[str]()  # (time, training loss) of each epoch
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=-1, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            text.append(line)
            if found := re.match(r"epoch \d+: training loss ([\d.]+)", line):
                seen.append((time.perf_counter(), float(found[1])))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if status or len(seen) < 2:
        raise SystemExit("".join(text[-9:]))
    timed = -(-IMAGES // batch) * (epochs - 1)  # steps; the first epoch includes the start
    return {
        "parameters": parameters,
        "side": SIDES[name],
        "steps": -(-IMAGES // batch) * epochs,
        "seconds_each_step": round((seen[-1][0] - seen[0][0]) / timed, 2),
        "peak_gib": round(usage.ru_maxrss / 2**20, 2),
        "loss": [seen[0][1], seen[-1][1]],
    }


def write_images(folder: Path, side: int) -> None:
    """Images of noise with their tags, and the list of all tags."""
    from PIL import Image

    folder.mkdir()
    rng = np.random.default_rng(0)
    names = [f"tag {number}" for number in range(TAGS)]
    shares = 1 / np.arange(1, TAGS + 1)
    shares /= shares.sum()
    for number in range(IMAGES):
        pixels = rng.integers(0, 256, (side, side, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
        drawn = rng.choice(TAGS, TAGS_EACH, replace=False, p=shares)
        (folder / f"{number:03d}.png.txt").write_text("\n".join(names[tag] for tag in drawn))
    with (folder / "tags.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["name"], *([name] for name in names)])


def write_model(folder: Path, name: str) -> int:
    """A model of its usual size with random weights; how many parameters it has."""
    import torch

    torch.manual_seed(0)
    folder.mkdir()
    model = _of_timm(folder, name) if name == "nfnet_f0" else _of_transformers(folder, name)
    return sum(weights.numel() for weights in model.parameters())


def _of_transformers(folder: Path, name: str) -> Any:
    import transformers

    transformers.logging.disable_progress_bar()
    kinds: dict[str, tuple[Any, dict[str, Any]]] = {
        "convnext": (transformers.ConvNextConfig, {}),  # tiny
        "vit": (transformers.ViTConfig, {}),  # base, patches of 16
        "swinv2": (transformers.Swinv2Config, {"image_size": 256, "window_size": 8}),  # tiny
        "efficientnet": (  # b0
            transformers.EfficientNetConfig,
            {"width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280},
        ),
    }
    kind, sizes = kinds[name]
    model = transformers.AutoModelForImageClassification.from_config(kind(num_labels=TAGS, **sizes))
    model.save_pretrained(folder)
    side = {"height": SIDES[name], "width": SIDES[name]}
    processor = {"image_processor_type": "ViTImageProcessor", "do_resize": True, "size": side}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return model


def _of_timm(folder: Path, name: str) -> Any:
    import timm
    from safetensors.torch import save_file

    model = timm.create_model(name, num_classes=TAGS)
    save_file(model.state_dict(), folder / "model.safetensors")
    described = {"input_size": [3, SIDES[name], SIDES[name]], "crop_pct": 1.0}
    config = {"architecture": name, "num_classes": TAGS, "pretrained_cfg": described}
    (folder / "config.json").write_text(json.dumps(config))
    return model


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if sys.argv[1:] else 8,
        int(sys.argv[2]) if sys.argv[2:] else 3,
        sys.argv[3:] or [*SIDES],
    )
