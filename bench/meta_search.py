"""Speed of mode meta: the first trainer's grid of 27 combinations on rated photographs.

    REAL_ASSETS=... python -m bench.meta_search [--epochs=50,100,200]

Features of MobileNetV2; 240 of the photographs are searched on, in three inner folds. Prints the
optimizer steps a second summed over the grid (on a machine that does other things as well, look at
those a processor second, times the cores), how many times those of a plain torch training loop on
this machine they are (the old trainer did 65), what the winner gives on the other photographs, and
whether the rows of some combinations are the same when each is trained alone.
"""

import argparse
import itertools
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.heads import load
from bench.needs import real_assets
from src.aesthetic.meta_search import grid_search
from src.aesthetic.metrics import pairwise_accuracy
from src.aesthetic.stacks import Job
from src.aesthetic.trainer import train_mlps
from src.aesthetic.trials import InnerFolds, Score, Trial

OLD_STEPS_PER_SECOND = 65  # of the first custom trainer
LR, BATCH = (5e-5, 1e-4, 2e-4), (4, 8, 16)
TRAINING = 240


def grid_steps(images: InnerFolds, base: Trial, rows: list[dict[str, str]]) -> int:
    """Optimizer steps of all trainings of the grid."""
    steps = 0
    for row in rows:
        for fold in range(images.folds):
            n = int((images.fold != fold).sum())
            steps += round(float(row["epochs"])) * max(1, n // int(row["batch"]))
    return steps


def plain_steps_per_second(x: np.ndarray, y: np.ndarray, steps: int = 200) -> float:
    """The usual loop: modules, autograd, torch's AdamW, pairs drawn one by one."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    sizes = (x.shape[1], 1024, 128, 64, 16, 1)
    layers: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        layers.append(nn.Linear(inputs, outputs))
        if number < 3:
            layers.append(nn.Dropout((0.2, 0.2, 0.1)[number]))
    model = nn.Sequential(*layers)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0)
    loss_function = nn.MarginRankingLoss(margin=1.0)
    rng = np.random.default_rng(0)
    features, scores = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    start = 0.0
    for step in range(steps + 20):
        if step == 20:
            start = time.perf_counter()
        left, right = rng.permutation(len(y))[:8].reshape(2, 4)
        target = torch.sign(scores[left] - scores[right]).float()
        optimizer.zero_grad()
        loss = loss_function(model(features[left])[:, 0], model(features[right])[:, 0], target)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return steps / (time.perf_counter() - start)


def alone(images: InnerFolds, trial: Trial) -> Score:
    """A combination whose folds are trained one after another, nothing beside them."""
    scores = []
    for fold in range(images.folds):
        (result,) = train_mlps([images.training(*Job(trial, fold))])
        assert not isinstance(result, Exception)
        scores.append(images.score_training(trial, result, fold))
    return Score.mean(scores)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", default="50,100,200")
    epochs = [int(word) for word in parser.parse_args().epochs.split(",")]
    assets = real_assets()
    with tempfile.TemporaryDirectory() as temporary:
        features, y, _ = load(assets, Path(temporary))
        x = features["pooled"]
        y = (y - y.mean()) / y.std()
        order = np.random.default_rng(0).permutation(len(y))
        train, test = order[:TRAINING], order[TRAINING:]
        images, base = InnerFolds(x[train], y[train], seed=42), Trial()
        plain = plain_steps_per_second(x[train], y[train])
        start, start_cpu = time.perf_counter(), time.process_time()
        values = {"epochs": epochs, "lr": LR, "batch": BATCH}
        result = grid_search(images, base, values, Path(temporary) / "meta.txt")
        seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    steps = grid_steps(images, base, result.rows)
    by_ab = sorted(result.rows, key=lambda row: -float(row["ab"]))
    shortest = {"epochs": min(epochs), "lr": max(LR), "batch": max(BATCH)}
    checked = [shortest] if result.setting["epochs"] > 100 else [shortest, dict(result.setting)]
    difference = 0.0
    for setting in checked:
        score = alone(images, base.with_setting(setting))
        (row,) = [
            r for r in by_ab if all(float(r[name]) == value for name, value in setting.items())
        ]
        difference = max(difference, abs(score.ab - float(row["ab"])))
    (winner,) = train_mlps([images.training(result.trial)])
    assert not isinstance(winner, Exception)
    print(
        json.dumps(
            {
                "bench": "meta_search",
                "cores": os.cpu_count(),
                "combinations": len(result.rows),
                "trainings": len(result.rows) * images.folds,
                "steps": steps,
                "seconds": round(seconds, 1),
                "steps_per_second": round(steps / seconds),
                "steps_per_processor_second": round(steps / cpu),
                "times_the_old_trainer": round(steps / seconds / OLD_STEPS_PER_SECOND, 1),
                "times_a_plain_loop_here": round(steps / seconds / plain, 1),
                "winner": dict(result.setting),
                "winner_ab_inner": round(result.score.ab, 4),
                "runner_up_ab_inner": round(float(by_ab[1]["ab"]), 4),
                "winner_ab_test": round(
                    pairwise_accuracy(y[test], winner.head.predict(x[test])) or 0.5, 4
                ),
                "ab_difference_to_training_alone": difference,
            }
        )
    )


if __name__ == "__main__":
    main()
