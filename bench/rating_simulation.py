"""How many clicks a good order takes: simulated raters over the rated photographs.

    REAL_ASSETS=... python -m bench.rating_simulation [SEEDS [FIRST [CLICKS]]]

The true order is the mean rating that many people gave 330 photographs. A rater compares two
photographs by their true scores plus noise, such that a random pair shown again is answered the
same way in 65, 75 or 85 % of cases; among four, by Plackett and Luce's model, for the worst of the
others likewise. Printed: Spearman's correlation of the scores with the truth, mean over the
seeds, at 0.25 to 5 screens per image or fewer, for each kind of features and for the old way; and
how many screens an image and seconds an image it takes to reach .85, by the times below.
"""

import csv
import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from scipy.optimize import brentq
from scipy.stats import spearmanr

from bench.needs import real_assets
from src.features import compute_features, open_extractors, open_store
from src.images import scan_images
from src.rating.models.answer import Answer
from src.rating.models.feature_space import FeatureSpace, feature_space, without_features
from src.rating.models.initial_scores import InitialScores
from src.rating.models.live_scores import LiveScores
from src.rating.models.scoring import EloScoring, PosteriorScoring, Scoring
from src.rating.pairs.schedule import Schedule, Selection

CLICKS = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1, 1.25, 1.5, 1.75, 2, 3, 5)
SIZE_OF_RANDOM_FEATURES = 64
GOOD = 0.85
# Seconds: with a pair they make 1.5, the pace of 40 choices a minute.
PRESS = 0.5  # to decide and press a key, once for the best and once for the worst
LOOK = 0.5  # at each picture


class Arm(NamedTuple):
    features: str
    begin: Scoring
    consistency: float = 0.75
    selection: Selection = "active"
    at_once: int = 2
    worst: bool = False

    def run(self, truth: np.ndarray, seed: int, clicks: Sequence[float]) -> list[float]:
        """Spearman's correlation at so many clicks an image."""
        stops = [round(one * len(truth)) for one in clicks]
        _, begin, consistency, selection, at_once, worst = self
        session = rate(
            truth, begin, consistency, seed, stops, selection, at_once=at_once, worst=worst
        )
        return [float(spearmanr(truth, live.scoring.scores())[0]) for live in session]


def spaces() -> tuple[np.ndarray, dict[str, FeatureSpace]]:
    """The true scores, and the photographs in each kind of features."""
    assets = real_assets()
    with tempfile.TemporaryDirectory() as temporary:
        photographs = Path(temporary) / "photographs"
        shutil.copytree(assets / "rated-photos", photographs)
        with (photographs / "scores.csv").open(encoding="utf-8") as file:
            truth = {row["relative_path"]: float(row["score"]) for row in csv.DictReader(file)}
        useless = np.random.default_rng(0).normal(size=(len(truth), SIZE_OF_RANDOM_FEATURES))
        vectors = {
            "mobilenet_v2": features(photographs, str(assets / "backbones" / "mobilenet_v2")),
            "builtin": features(photographs, "builtin"),
            "random": dict(zip(truth, useless, strict=True)),
        }
    found = {kind: feature_space(list(truth), table) for kind, table in vectors.items()}
    return np.array(list(truth.values())), found | {"none": without_features(len(truth))}


def features(photographs: Path, extractor: str) -> dict[str, np.ndarray]:
    with open_store(photographs) as store:
        table = compute_features(
            photographs, scan_images(photographs), open_extractors(extractor, device="cpu"), store
        )
    return dict(zip(table.paths, table.vectors, strict=True))


def steepness(scores: np.ndarray, consistency: float) -> float:
    """Factor on score differences at which the logistic rater has the wanted consistency."""
    gaps = np.abs(np.subtract.outer(scores, scores)[np.triu_indices(len(scores), 1)])

    def excess(factor: float) -> float:
        p = 1 / (1 + np.exp(-factor * gaps))
        return float(np.mean(p**2 + (1 - p) ** 2)) - consistency

    return float(brentq(excess, 1e-3, 1000))


def answered(scores: np.ndarray, images: tuple[int, ...], worst: bool, rng: Generator) -> Answer:
    """What a rater of these scores, in logits, says of the images."""
    chances = np.exp(scores[list(images)] - scores[list(images)].max())
    best = int(rng.choice(len(images), p=chances / chances.sum()))
    outcome = ("left", "right")[best] if len(images) == 2 else f"{best + 1}"
    if worst:
        chances = np.where(np.arange(len(images)) == best, 0, 1 / chances)
        outcome += f"/{int(rng.choice(len(images), p=chances / chances.sum())) + 1}"
    answer = Answer.of(outcome, images)
    assert answer is not None
    return answer


def rate(
    truth: np.ndarray,
    begin: Scoring,
    consistency: float,
    seed: int,
    stops: Sequence[int],
    selection: Selection = "active",
    *,
    at_once: int = 2,
    worst: bool = False,
) -> Iterator[LiveScores]:
    """A session without files, as it is fitted after each of these numbers of choices.

    As in the window, what comes next is chosen before the answer.
    """
    rng, factor = np.random.default_rng(seed), steepness(truth, consistency)
    live = LiveScores(begin, [], threading.RLock())
    schedule, everyone = (
        Schedule(len(truth), selection, seed, at_once=at_once),
        np.arange(len(truth)),
    )
    following = schedule.draw(live.scoring, everyone, 1)
    for click in range(1, stops[-1] + 1):
        shown = following
        following = schedule.draw(live.scoring, everyone, click + 1, shown.images)
        live.add(answered(factor * truth, shown.images, worst, rng))
        schedule.note(*shown)
        if live.due or click in stops:
            live.refit()
        if click in stops:
            yield live


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    most = float(sys.argv[3]) if len(sys.argv) > 3 else CLICKS[-1]
    truth, kinds = spaces()
    nothing = InitialScores(*np.zeros((3, len(truth))))
    begins: dict[str, Scoring] = {
        kind: PosteriorScoring.begin(nothing, space) for kind, space in kinds.items()
    }
    mobilenet = begins["mobilenet_v2"]
    arms = [Arm(kind, begin) for kind, begin in begins.items()]
    arms += [Arm("mobilenet_v2", mobilenet, consistency=one) for one in (0.65, 0.85)]
    arms += [Arm("elo", EloScoring.begin(nothing), selection="random")]
    arms += [Arm("mobilenet_v2", mobilenet, at_once=4, worst=worst) for worst in (False, True)]
    for arm in arms:
        clicks = [one for one in CLICKS if one <= min(most, 2 if arm.at_once > 2 else most)]
        runs = [arm.run(truth, seed, clicks) for seed in range(first, first + count)]
        means = np.mean(runs, axis=0)
        line: dict[str, Any] = {"bench": "rating_simulation", "seeds": [first, count]}
        line |= {"features": arm.features, "consistency": arm.consistency}
        line |= {"at_once": arm.at_once, "worst": arm.worst}
        line["spearman"] = dict(zip(clicks, means.round(3).tolist(), strict=True))
        if means[-1] >= GOOD:
            screens = float(np.interp(GOOD, means, clicks))
            seconds = screens * (PRESS * (1 + arm.worst) + LOOK * arm.at_once)
            line |= {"screens to .85": round(screens, 2), "seconds to .85": round(seconds, 2)}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
