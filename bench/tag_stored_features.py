"""The multitag job, a head on a ResNet-101 for 10 epochs: stored features against recomputing.

    python -m bench.tag_stored_features [ROUNDS [TRAINING_IMAGES [SIDE]]]

Arms, each in a process of its own, in turn:
    old      as multitag-trainer's script: the whole model forward and backward in every epoch
    frozen   the same with the backbone's gradients off: forward only
    stored   this project, with the features in the store from an earlier run
    first    this project with an empty store: the features are computed, then used
Seconds and memory are those of the job after imports, loading of models included: memory is the
process's peak above its size after imports. As many images again are measured after each epoch.
The backbone has random weights, tempered so that the tags can be seen in its features; F1 is at
the threshold where precision equals recall.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench import needs

EPOCHS, BATCH, RATE = 10, 32, 1e-3
TAGS, CELL, TILES, SHARE = 16, 8, 4, 0.3  # each tag: so many tiles of so many pixels
DAMPING = 0.1  # of what each block of the network adds
ARMS = ("old", "frozen", "stored", "first")


def main(rounds: int, train: int, side: int) -> None:
    needs.linux()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, 2 * train, side)
        results: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
        for turn in range(rounds):
            for arm in ARMS:
                out = subprocess.run(
                    [sys.executable, "-m", "bench.tag_stored_features", arm, name, str(turn)],
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                ).stdout
                results[arm].append(json.loads(out.splitlines()[-1]))
    row: dict[str, Any] = {
        "bench": "tag_stored_features",
        "epochs": EPOCHS,
        "training_images": train,
        "validation_images": train,
        "side": side,
        "rounds": rounds,
    }
    middle = {
        arm: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for arm, runs in results.items()
    }
    for arm in ARMS:
        row |= {f"{arm}_{key}": round(value, 4) for key, value in middle[arm].items()}
    for ours in ("stored", "first"):
        for theirs in ("old", "frozen"):
            pairs = list(zip(results[ours], results[theirs], strict=True))
            row[f"{ours}_times_as_fast_as_{theirs}"] = round(
                statistics.median(b["seconds"] / a["seconds"] for a, b in pairs), 1
            )
            row[f"{ours}_memory_of_{theirs}"] = round(
                statistics.median(a["mib"] / b["mib"] for a, b in pairs), 3
            )
    gaps = [a["f1"] - b["f1"] for a, b in zip(results["stored"], results["old"], strict=True)]
    row["f1_stored_less_old"] = round(statistics.mean(gaps), 4)
    print(json.dumps(row))


def prepare(folder: Path, images: int, side: int) -> None:
    """Images with tags, a ResNet-101 of random weights, and its features in a store."""
    import torch
    import transformers
    from PIL import Image
    from transformers.models.convnext.image_processing_pil_convnext import (
        ConvNextImageProcessorPil,
    )

    from src.tagging.head import Whitening

    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (TAGS, 1, 1, 3))
    patterns = np.clip(colours + rng.integers(-64, 64, (TAGS, CELL, CELL, 3)), 0, 255)
    labels = rng.random((images, TAGS)) < SHARE
    cells = side // CELL
    (folder / "images").mkdir()
    pictures = []
    for index, row in enumerate(labels):
        pixels = np.tile(rng.integers(110, 140, 3), (side, side, 1))
        tiles = np.repeat(np.flatnonzero(row), TILES * (side // 64) ** 2)
        for place, tag in zip(rng.permutation(cells**2), tiles, strict=False):
            top, left = (place // cells) * CELL, (place % cells) * CELL
            pixels[top : top + CELL, left : left + CELL] = patterns[tag]
        pictures.append(pixels.astype(np.uint8))
        Image.fromarray(pictures[-1]).save(folder / "images" / f"{index:04d}.png")
    np.save(folder / "labels.npy", labels)
    torch.manual_seed(0)
    options: dict[str, Any] = {"num_labels": TAGS, "problem_type": "multi_label_classification"}
    config = transformers.ResNetConfig(depths=[3, 4, 23, 3], **options)
    model = transformers.ResNetForImageClassification(config)
    module: Any
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean over what follows
        if type(module).__name__ == "ResNetBottleNeckLayer":
            torch.nn.init.constant_(module.layer[-1].normalization.weight, DAMPING)
    model.train()
    with torch.no_grad():
        model(pixel_values=pixels_of(np.stack(pictures[:32])))
    model.save_pretrained(folder / "model")
    ConvNextImageProcessorPil(
        size={"shortest_edge": side}, crop_pct=1.0, image_mean=[0.5] * 3, image_std=[0.5] * 3
    ).save_pretrained(folder / "model")
    features = stored_features(folder, folder / "store")
    with torch.no_grad():
        theirs = model.eval().resnet(pixels_of(np.stack(pictures[:8]))).pooler_output.flatten(1)
    np.testing.assert_allclose(features[:8], theirs.numpy(), atol=1e-3)  # both arms see the same
    whitening = Whitening.of(features[: images // 2])
    np.savez(folder / "scale.npz", mean=whitening.mean, matrix=whitening.matrix * whitening.seen)


def stored_features(folder: Path, store: Path) -> np.ndarray:
    """What the last layer sees of the images: from a store, or computed."""
    from src.features import compute_features, open_store
    from src.image_models.backbone import HeadInputs
    from src.images import scan_images

    backbone = HeadInputs(str(folder / "model"), device="cpu")
    files = scan_images(folder / "images")
    with open_store(folder / "images", store) as opened:
        return compute_features(folder / "images", files, [backbone], opened).vectors


def pixels_of(batch: np.ndarray) -> Any:
    import torch

    return (torch.from_numpy(batch) / 127.5 - 1).permute(0, 3, 1, 2).contiguous()


def f1(logits: np.ndarray, labels: np.ndarray) -> float:
    from src.tagging.thresholds import balanced_threshold

    given = logits >= balanced_threshold(logits, logits[labels])
    return float(2 * (given & labels).sum() / (given.sum() + labels.sum()))


def arm(name: str, folder: Path, seed: int) -> None:
    import scipy.sparse  # noqa: F401
    import torch
    from PIL import Image  # noqa: F401
    from transformers.models.resnet import modeling_resnet  # noqa: F401

    labels = np.load(folder / "labels.npy")
    half = len(labels) // 2
    before = memory("VmRSS")
    start = time.perf_counter()
    if name in ("stored", "first"):
        store = folder / ("store" if name == "stored" else f"store{seed}")
        logits = on_features(stored_features(folder, store), labels, folder, seed)
    else:
        torch.manual_seed(seed)
        logits = recompute(folder, labels, forward_only=name == "frozen")
    seconds = time.perf_counter() - start
    peak = memory("VmHWM")
    row = {"seconds": seconds, "mib": peak - before, "process_mib": peak}
    print(json.dumps({**row, "f1": f1(logits, labels[half:])}))


def on_features(vectors: np.ndarray, labels: np.ndarray, folder: Path, seed: int) -> np.ndarray:
    """This project's training of a head."""
    from scipy.sparse import csr_array

    from src.image_models.head import LinearHead
    from src.settings.classifier import ClassifierTraining
    from src.tagging.head import fit_head
    from src.tagging.losses import tag_objective

    half = len(labels) // 2
    tags = csr_array(labels.astype(np.uint8))
    settings = ClassifierTraining.model_validate(
        {
            "tag_head_epochs": EPOCHS,
            "tag_head_learning_rate": RATE,
            "eval_every_n_epochs": 1,
            "training_args": {"per_device_train_batch_size": BATCH, "seed": seed},
            "device": "cpu",
        }
    )
    start = LinearHead(np.zeros((TAGS, vectors.shape[1]), np.float32), np.zeros(TAGS, np.float32))
    train, held_out = (vectors[:half], tags[:half]), (vectors[half:], tags[half:])
    fit = fit_head(start, train, held_out, tag_objective(settings), settings)
    return fit.head.logits(vectors[half:])


def recompute(folder: Path, labels: np.ndarray, *, forward_only: bool) -> np.ndarray:
    """The old script's loop; features are whitened as in the other arms: the job is the same."""
    import torch
    import transformers
    from PIL import Image

    half = len(labels) // 2
    paths = sorted((folder / "images").glob("*.png"))
    model: Any = transformers.ResNetForImageClassification.from_pretrained(folder / "model").eval()
    head = model.classifier[1]
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    known = np.load(folder / "scale.npz")
    centre, whiten = torch.from_numpy(known["mean"]), torch.from_numpy(known["matrix"])
    truth = torch.from_numpy(labels.astype(np.float32))
    optimiser = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=0.0)

    def logits_of(rows: list[int], gradients: bool) -> Any:
        batch = pixels_of(np.stack([np.asarray(Image.open(paths[i]).convert("RGB")) for i in rows]))
        with torch.set_grad_enabled(gradients):
            features = model.resnet(batch).pooler_output.flatten(1)
        return head((features - centre) @ whiten)

    best, kept = np.inf, np.zeros(0)
    loss_of = torch.nn.functional.binary_cross_entropy_with_logits
    for _ in range(EPOCHS):
        order = torch.randperm(half).tolist()
        for first in range(0, half, BATCH):
            rows = order[first : first + BATCH]
            loss = loss_of(logits_of(rows, not forward_only), truth[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            model.zero_grad()
        with torch.no_grad():
            held_out = list(range(half, 2 * half))
            parts = [logits_of(held_out[i : i + BATCH], False) for i in range(0, half, BATCH)]
            logits = torch.cat(parts)
            loss = loss_of(logits, truth[half:])
        if loss.item() < best:
            best, kept = loss.item(), logits.numpy()
    return kept


def memory(what: str) -> float:
    """MiB of this process: VmRSS now, VmHWM at its peak.

    getrusage would tell the peak of the process that started this one, if that was higher.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status does not tell {what}")


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in ARMS:
        arm(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    else:
        given = [int(word) for word in sys.argv[1:]]
        main(*given, *(2, 384, 64)[len(given) :])
