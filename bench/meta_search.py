"""Speed of mode meta: the first trainer's grid of 27 combinations on rated photographs.

    REAL_ASSETS=... python -m bench.meta_search [--epochs=50,100,200]

Features of MobileNetV2; 240 of the photographs are searched on, in three inner folds. Prints the
optimizer steps a second summed over the grid (on a machine that does other things as well, look at
those a processor second, times the cores), how many times those of a plain torch training loop on
this machine they are (the old trainer did 65), and what the winner gives on the other photographs.
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
from src.aesthetic.heads.training_set import TrainingSet
from src.aesthetic.mlp.fitting import fit_ensemble
from src.aesthetic.rated_features import RatedFeatures
from src.aesthetic.search.folds import FOLDS
from src.aesthetic.search.run import search_settings
from src.dataset.scores import DataHolder
from src.evaluation.rank_metrics import pairwise_accuracy
from src.settings.aesthetic_training import AestheticTraining

OLD_STEPS_PER_SECOND = 65  # of the first custom trainer
LR, BATCH = (5e-5, 1e-4, 2e-4), (4, 8, 16)
TRAINING = 240


def grid_steps(rows: list[dict[str, str]]) -> int:
    """Optimizer steps of all trainings of the grid."""
    n = TRAINING * (FOLDS - 1) // FOLDS
    return sum(FOLDS * round(float(row["epochs"])) * max(1, n // int(row["batch"])) for row in rows)


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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", default="50,100,200")
    epochs = [int(word) for word in parser.parse_args().epochs.split(",")]
    assets = real_assets()
    with tempfile.TemporaryDirectory() as temporary:
        features, y, _ = load(assets, Path(temporary))
        x = features["pooled"]
        test = np.ones(len(y), dtype=bool)
        test[np.random.default_rng(0).permutation(len(y))[:TRAINING]] = False
        scores = (y - y[~test].mean()) / y[~test].std()
        none, groups = np.zeros(len(y), dtype=bool), np.arange(len(y))
        holder = DataHolder(Path(temporary), (), y, np.ones(len(y)), (), "", (), ())
        data = RatedFeatures(holder, x, (x.shape[1],), (), np.empty(0), groups, test, none, none)
        settings = AestheticTraining.model_validate(
            {"mode": "meta", "meta_epochs": epochs, "meta_lr": LR, "meta_batch": BATCH,
             "device": "cpu", "meta_storage": f"sqlite:///{temporary}/meta.db"}
        )  # fmt: skip
        plain = plain_steps_per_second(x[~test], scores[~test])
        start, start_cpu = time.perf_counter(), time.process_time()
        found = search_settings(data, settings, file=Path(temporary) / "meta.txt")
        seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    steps = grid_steps(found.rows)
    winner = fit_ensemble(TrainingSet.of(x[~test], scores[~test]), found.mlp).head
    test_ab = pairwise_accuracy(scores[test], winner.predict(x[test])) or 0.5
    print(
        json.dumps(
            {
                "bench": "meta_search",
                "cores": os.cpu_count(),
                "combinations": len(found.rows),
                "trainings": len(found.rows) * FOLDS,
                "steps": steps,
                "seconds": round(seconds, 1),
                "steps_per_second": round(steps / seconds),
                "steps_per_processor_second": round(steps / cpu),
                "times_the_old_trainer": round(steps / seconds / OLD_STEPS_PER_SECOND, 1),
                "times_a_plain_loop_here": round(steps / seconds / plain, 1),
                "winner": dict(found.setting),
                "winner_ab_inner": round(found.ab, 4),
                "winner_ab_test": round(test_ab, 4),
            }
        )
    )


if __name__ == "__main__":
    main()
