"""The multitag job, a head on a ResNet-101 for 10 epochs: stored features against recomputing.

    python bench/tag_stored_features.py [ROUNDS]

Arms, each in a process of its own, in turn:
    old      as multitag-trainer's script: the whole model forward and backward in every epoch
    frozen   the same with the backbone's gradients off: forward only
    stored   this project: features from the store, transformers' Trainer on the head
Seconds are those of the job after imports and loading; `cold` adds computing the features once.
Memory is the peak of the process above its size after imports.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

SIDE, EPOCHS, BATCH, RATE = 64, 10, 32, 1e-3
TRAIN, HELD_OUT, TAGS = 64, 32, 8
ARMS = ("old", "frozen", "stored")


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        results: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
        for _ in range(rounds):
            for arm in ARMS:
                out = subprocess.run(
                    [sys.executable, __file__, arm, name],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
                results[arm].append(json.loads(out.splitlines()[-1]))
    middle = {
        arm: {key: statistics.median(r[key] for r in runs) for key in runs[0]}
        for arm, runs in results.items()
    }
    stored = middle["stored"]
    row: dict[str, Any] = {
        "what": "10 epochs of a head on ResNet-101",
        "images": TRAIN + HELD_OUT,
        "side": SIDE,
        "rounds": rounds,
    }
    for arm in ARMS:
        row |= {f"{arm}_{key}": round(value, 4) for key, value in middle[arm].items()}
    for arm in ("old", "frozen"):
        row[f"times_as_fast_as_{arm}"] = round(middle[arm]["seconds"] / stored["seconds"], 1)
        row[f"cold_times_as_fast_as_{arm}"] = round(middle[arm]["seconds"] / stored["cold"], 1)
        row[f"memory_of_{arm}"] = round(stored["mib"] / middle[arm]["mib"], 3)
        row[f"whole_process_memory_of_{arm}"] = round(
            stored["process_mib"] / middle[arm]["process_mib"], 3
        )
    print(json.dumps(row))


def prepare(folder: Path) -> None:
    """Images with tags, and a ResNet-101 of random weights with sensible statistics."""
    import torch
    import transformers
    from PIL import Image
    from transformers.models.convnext.image_processing_pil_convnext import (
        ConvNextImageProcessorPil,
    )

    from src.classifier.tag_head_training import Whitening
    from src.features import compute_features, open_store
    from src.images import scan_images

    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 256, (TAGS, 8, 8, 3))
    labels = rng.random((TRAIN + HELD_OUT, TAGS)) < 0.35
    (folder / "images").mkdir()
    pictures = []
    for index, row in enumerate(labels):
        pixels = np.tile(rng.integers(80, 170, 3), (SIDE, SIDE, 1))
        for place, tag in zip(rng.permutation(64), np.flatnonzero(row), strict=False):
            top, left = (place // 8) * 8, (place % 8) * 8
            pixels[top : top + 8, left : left + 8] = patterns[tag]
        pictures.append(pixels.astype(np.uint8))
        Image.fromarray(pictures[-1]).save(folder / "images" / f"{index:04d}.png")
    np.save(folder / "labels.npy", labels)
    torch.manual_seed(0)
    options: dict[str, Any] = {"num_labels": TAGS, "problem_type": "multi_label_classification"}
    config = transformers.ResNetConfig(depths=[3, 4, 23, 3], **options)
    model = transformers.ResNetForImageClassification(config)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for module in norms:
        module.momentum = None  # the mean over what follows
    model.train()
    with torch.no_grad():
        for start in range(0, 32, 16):
            model(pixel_values=pixels_of(np.stack(pictures[start : start + 16])))
    model.save_pretrained(folder / "model")
    ConvNextImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_pct=1.0, resample=3
    ).save_pretrained(folder / "model")
    start_time = time.perf_counter()
    images = scan_images(folder / "images")
    with open_store(folder / "images") as store:
        table = compute_features(folder / "images", images, [extractor(folder)], store)
    (folder / "cold.txt").write_text(str(time.perf_counter() - start_time))
    whitening = Whitening.of(table.vectors[:TRAIN])
    np.savez(folder / "scale.npz", mean=whitening.mean, matrix=whitening.matrix)


def pixels_of(batch: np.ndarray) -> Any:
    import torch

    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((torch.from_numpy(batch) / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()


def extractor(folder: Path) -> Any:
    from src.classifier.backbone import HeadInputs

    return HeadInputs(str(folder / "model"), device="cpu")


def f1(logits: np.ndarray, labels: np.ndarray) -> float:
    given = logits >= 0
    return float(2 * (given & labels).sum() / (given.sum() + labels.sum()))


def arm(name: str, folder: Path) -> None:
    import torch
    import transformers
    from scipy.sparse import csr_array

    from src.classifier import tag_head_training
    from src.classifier.head import LinearHead

    labels = np.load(folder / "labels.npy")
    known = np.load(folder / "scale.npz")
    mean, matrix = known["mean"], known["matrix"]
    model: Any = None
    if name != "stored":
        model = transformers.ResNetForImageClassification.from_pretrained(folder / "model").eval()
        torch.nn.init.zeros_(model.classifier[1].weight)
        torch.nn.init.zeros_(model.classifier[1].bias)
    else:  # what the imports of a training bring in
        import transformers.trainer

        import src.classifier.trainer  # noqa: F401
    before = resident()
    start = time.perf_counter()
    if name == "stored":
        from src.classifier.fine_tune import Recipe
        from src.classifier.losses import MultilabelLoss
        from src.classifier.multilabel_objective import objective
        from src.features import compute_features, open_store
        from src.images import scan_images

        with open_store(folder / "images") as store:
            files = scan_images(folder / "images")
            vectors = compute_features(folder / "images", files, [extractor(folder)], store).vectors
        tags = csr_array(labels.astype(np.uint8))
        recipe = Recipe(
            training_args={
                "num_train_epochs": EPOCHS,
                "learning_rate": RATE,
                "lr_scheduler_type": "constant",
                "per_device_train_batch_size": BATCH,
                "report_to": [],
            },
            device="cpu",
        )
        _, head = tag_head_training.train_tag_head(
            LinearHead(np.zeros((TAGS, vectors.shape[1]), np.float32), np.zeros(TAGS, np.float32)),
            (vectors[:TRAIN], tags[:TRAIN]),
            (vectors[TRAIN:], tags[TRAIN:]),
            objective(MultilabelLoss()),
            recipe,
            Path(tempfile.mkdtemp(dir=folder)),
        )
        logits = head.logits(vectors[TRAIN:])
    else:
        logits = recompute(model, folder, labels, mean, matrix, forward_only=name == "frozen")
    seconds = time.perf_counter() - start
    cold = float((folder / "cold.txt").read_text()) if name == "stored" else 0.0
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cold": seconds + cold,
                "mib": peak() - before,
                "process_mib": peak(),
                "f1": f1(logits, labels[TRAIN:]),
            }
        )
    )


def recompute(
    model: Any,
    folder: Path,
    labels: np.ndarray,
    mean: np.ndarray,
    matrix: np.ndarray,
    *,
    forward_only: bool,
) -> np.ndarray:
    """The old script's loop; features are whitened as in the other arm: the job is the same."""
    import torch
    from PIL import Image

    paths = sorted((folder / "images").glob("*.png"))
    truth = torch.from_numpy(labels.astype(np.float32))
    head = model.classifier[1]
    optimiser = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=0.0)
    centre, whiten = torch.from_numpy(mean), torch.from_numpy(matrix)
    torch.manual_seed(0)

    def logits_of(rows: list[int], gradients: bool) -> Any:
        batch = pixels_of(np.stack([np.asarray(Image.open(paths[i]).convert("RGB")) for i in rows]))
        with torch.set_grad_enabled(gradients):
            features = model.resnet(batch).pooler_output.flatten(1)
        return head((features - centre) @ whiten)

    best, kept = np.inf, np.zeros(0)
    for _ in range(EPOCHS):
        order = torch.randperm(TRAIN).tolist()
        for first in range(0, TRAIN, BATCH):
            rows = order[first : first + BATCH]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                logits_of(rows, not forward_only), truth[rows]
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            rows = list(range(TRAIN, TRAIN + HELD_OUT))
            parts = [logits_of(rows[i : i + BATCH], False) for i in range(0, HELD_OUT, BATCH)]
            logits = torch.cat(parts)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth[TRAIN:])
        if loss.item() < best:
            best, kept = loss.item(), logits.numpy()
    return kept


def resident() -> float:
    """MiB in memory now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if len(sys.argv) == 3:
        arm(sys.argv[1], Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
