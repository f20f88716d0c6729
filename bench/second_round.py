"""Whether figures stay true round after round: reported against true, on photographs kept away.

    REAL_ASSETS=... python -m bench.second_round [--seeds=20] [--head=kernel] [--cache=FOLDER]

Of 330 rated photographs 240 are in the folder and 90 never are. Choices: a simulated person (the
mean rating of many people; a random pair shown again is answered alike 75 % of the time) compares
the 240 in the rating window, one or two choices an image, with and without features; the model's
share of foretold choices and its interval stand beside its true share on pairs of the 90. Ratings:
a model is trained on the mean ratings, measured with `mode=evaluate` under another seed, and gone
on from with `load_model` under a third; each test AB stands beside the AB on the 90. Prints one
JSON line: means of reported minus true with their standard errors, and how often the 95 % interval
held the truth.
"""

import argparse
import json
import logging
import os
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bench.needs import real_assets
from bench.rating_simulation import steepness
from src.aesthetic.choices import read_choice_data
from src.aesthetic.evaluate import evaluate_scores
from src.aesthetic.predictor import Predictor
from src.aesthetic.rated_features import RatedFeatures, load_rated_features
from src.aesthetic.train import Fitted, fit_predictor
from src.dataset.scores import DataHolder
from src.evaluation.rank_metrics import pairwise_accuracy
from src.features import open_extractors
from src.rating.session import RatingDatabase
from src.settings.aesthetic_training import AestheticTraining

FAST_DISK = "/dev/shm" if os.path.isdir("/dev/shm") else None  # every choice is synced
INSIDE = 240
SETTINGS = AestheticTraining()
Figure = tuple[float, tuple[float, float], float]  # reported, its interval, true


def part(data: RatedFeatures, rows: np.ndarray) -> RatedFeatures:
    """Some of the images, by sorted rows, as a folder of their own."""
    return replace(
        data,
        holder=data.holder.only([data.holder.paths[row] for row in rows]),
        features=data.features[rows],
        sha256s=[data.sha256s[row] for row in rows],
        hashes=data.hashes[rows],
        groups=data.groups[rows],
        test=data.test[rows],
        seen=data.seen[rows],
        seen_by_features=data.seen_by_features[rows],
    )


def train(data: RatedFeatures, head: str, seed: int, **more: object) -> Fitted:
    args = SETTINGS.training_args.model_copy(update={"seed": seed})
    mlp = SETTINGS.model_copy(update={"training_args": args})
    return fit_predictor(data, head, extractors=[], mlp=mlp, **more)  # type: ignore[arg-type]


def choices(
    inside: RatedFeatures, outside: RatedFeatures, head: str, seed: int, each: int, features: bool
) -> Figure:
    """Rate, train, and look at the figure of choices."""
    paths, rng = inside.holder.paths, np.random.default_rng(seed)
    taste = dict(zip(paths, inside.holder.scores, strict=True))
    everything = np.concatenate([inside.holder.scores, outside.holder.scores])
    factor = steepness(everything, 0.75)
    vectors = dict(zip(paths, inside.features, strict=True)) if features else {}
    with tempfile.TemporaryDirectory(dir=FAST_DISK) as name:
        folder = Path(name)
        for path in paths:  # the database looks whether an image is still there
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
        with RatingDatabase(folder, images=paths, seed=seed) as database:
            if vectors:
                database.set_features(vectors)
            for _ in range(each * len(paths)):
                left, right = database.next_set()
                p = 1 / (1 + np.exp(-factor * (taste[left] - taste[right])))
                database.record(left, right, "left" if rng.random() < p else "right")
        holder = DataHolder.from_folder(folder)
        rated = np.flatnonzero(np.isin(paths, holder.paths))
        data = replace(part(inside, rated), holder=holder)
        found = read_choice_data(data)
        fitted = train(data, head, seed, choices=found)
    assert fitted.foretold is not None
    said = fitted.foretold.random
    score, y = fitted.predictor.predict(outside.features), factor * outside.holder.scores
    i, j = np.triu_indices(len(y), 1)
    chance = 1 / (1 + np.exp(y[j] - y[i]))
    true = float(np.mean(np.where(score[i] > score[j], chance, 1 - chance)))
    return said.value or 0.0, said.interval, true


def rounds(
    inside: RatedFeatures, outside: RatedFeatures, head: str, seed: int
) -> dict[str, Figure]:
    """Train, evaluate under another seed, go on under a third."""
    first = inside.split(0.25, seed)
    model = train(first, head, seed)
    seen = first.trained_on().seen(inside.sha256s, inside.hashes, inside.groups)
    measured = replace(inside, seen=seen, test=~seen)
    again = replace(inside, seen=seen).split(0.25, seed + 1000)
    second = train(again, head, seed, prior=model.predictor)
    return {
        "first": figure(first, model, outside),
        "evaluate": figure(measured, Fitted(model.predictor), outside),
        "load_model": figure(again, second, outside),
    }


def figure(data: RatedFeatures, fitted: Fitted, outside: RatedFeatures) -> Figure:
    test = evaluate_scores(data, fitted, 500).metrics["test"]
    return test["ab"], tuple(test["ab_interval"]), true_ab(fitted.predictor, outside)


def true_ab(model: Predictor, outside: RatedFeatures) -> float:
    return pairwise_accuracy(outside.holder.scores, model.predict(outside.features)) or 0.5


def summary(figures: list[Figure]) -> dict[str, float]:
    error = np.array([reported - true for reported, _, true in figures])
    return {
        "true": round(float(np.mean([true for *_, true in figures])), 4),
        "reported_minus_true": round(float(error.mean()), 4),
        "standard_error": round(float(error.std(ddof=1) / len(error) ** 0.5), 4),
        "interval_holds": round(
            float(np.mean([low <= true <= high for _, (low, high), true in figures])), 3
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--head", default="kernel")
    parser.add_argument("--cache", type=Path)
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    assets = real_assets()
    figures: dict[str, list[Figure]] = {}
    with ExitStack() as stack:
        cache = args.cache or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(threadpool_limits(1, "blas"))
        extractors = open_extractors(str(assets / "backbones" / "mobilenet_v2"), device="cpu")
        holder = DataHolder.from_folder(assets / "rated-photos")
        data = load_rated_features(holder, extractors, store_folder=cache)
        for seed in range(args.first, args.first + args.seeds):
            order = np.random.default_rng(seed).permutation(len(data.holder))
            inside, outside = (part(data, np.sort(o)) for o in np.split(order, [INSIDE]))
            for each in (1, 2):
                for features in (False, True):
                    name = f"{each} an image, {'with' if features else 'without'} features"
                    found = choices(inside, outside, args.head, seed, each, features)
                    figures.setdefault(name, []).append(found)
            for name, found in rounds(inside, outside, args.head, seed).items():
                figures.setdefault(name, []).append(found)
    result = {name: summary(found) for name, found in figures.items()}
    print(json.dumps({"bench": "second_round", "head": args.head, "seeds": args.seeds, **result}))


if __name__ == "__main__":
    main()
