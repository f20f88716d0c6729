"""How many choices it takes to find the best 100 of 2,000 images, and whether the share that the
window says it has found is true.

    REAL_ASSETS=... python -m bench.top_images [SEEDS [FIRST [IMAGES [TOP]]]]

There are 330 rated photographs only, so images and tastes are drawn: normal features of the
spectrum that MobileNetV2 has on the photographs, a linear taste whose weights are as large as the
features, and half of the variance of each image's own. Of 330 such images ridge regression
predicts as much as of the photographs (R² .36 in cross-validation). The rater is 75 % consistent.

Printed for picking pairs for the order of all images and for the best: which share of the 100
images of the highest scores are among the true 100 best, by the number of choices; the expected
share minus the true one, and how often its 90 % band holds the true one; where the window says
that one can stop; and at last the choices at which the mean share reaches .8.
"""

import json
import sys
import threading

import numpy as np

from bench.rating_simulation import spaces, steepness
from src.rating.models.answer import Answer
from src.rating.models.feature_space import FeatureSpace
from src.rating.models.initial_scores import InitialScores
from src.rating.models.live_scores import LiveScores
from src.rating.models.order import order_quality
from src.rating.models.scoring import PosteriorScoring
from src.rating.pairs.schedule import Schedule

OWN = 0.5  # share of the variance of taste that features do not explain
CONSISTENCY, WANTED = 0.75, 0.8
LONGEST = 3  # choices an image
STOPS = 12


def draw_world(power: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, FeatureSpace]:
    """True scores of images, and their features."""
    rng = np.random.default_rng([seed, 1])
    x = rng.normal(size=(count, len(power))) * np.sqrt(power)
    w = rng.normal(size=len(power)) * np.sqrt(power)
    explained = x @ w / np.sqrt(w**2 @ power)
    truth = np.sqrt(1 - OWN) * explained + np.sqrt(OWN) * rng.normal(size=count)
    return truth, FeatureSpace(x.astype(np.float32), np.ones(count, bool))


def session(truth: np.ndarray, space: FeatureSpace, seed: int, top: int, aimed: bool) -> np.ndarray:
    """(stops, 5): choices, true precision, expected precision, band holds, one can stop."""
    everyone, rows = np.arange(len(truth)), []
    stops = np.linspace(0, LONGEST * len(truth), STOPS + 1).astype(int)[1:].tolist()
    begin = PosteriorScoring.begin(InitialScores(*np.zeros((3, len(truth)))), space)
    live = LiveScores(begin, [], threading.RLock())
    schedule = Schedule(len(truth), "active", seed, top=top if aimed else 0)
    schedule.aim(live.scoring, everyone)
    rng, factor = np.random.default_rng(seed), steepness(truth[:1000], CONSISTENCY)
    best = set(np.argsort(-truth)[:top].tolist())
    for click in range(1, stops[-1] + 1):
        (left, right), kind = schedule.draw(live.scoring, everyone, click)
        won = rng.random() < 1 / (1 + np.exp(-factor * (truth[left] - truth[right])))
        live.add(Answer(left, right, "left" if won else "right"))
        schedule.note((left, right), kind)
        if live.due or click in stops:
            live.refit()
            schedule.aim(live.scoring, everyone)
        if click in stops:
            assert isinstance(live.scoring, PosteriorScoring)
            found = best.intersection(np.argsort(-live.scoring.scores())[:top].tolist())
            quality = order_quality(live.scoring, live.answers, everyone, top)
            assert quality is not None
            true = len(found) / top
            holds = quality.low <= true <= quality.high
            rows.append((click, true, quality.now, holds, quality.can_stop))
    return np.array(rows, float)


def main() -> None:
    given = [int(word) for word in sys.argv[1:]]
    count, first, images, top = [*given, *(5, 0, 2000, 100)[len(given) :]]
    power = spaces()[1]["mobilenet_v2"].power
    reached = {}
    for name, aimed in (("top", True), ("order", False)):
        runs = []
        for seed in range(first, first + count):
            truth, space = draw_world(power, images, seed)
            runs.append(session(truth, space, seed, top, aimed))
            table = np.array(runs)
            clicks, true, expected, holds = np.moveaxis(table, 2, 0)[:4]
            mean = true.mean(axis=0)
            stop = [row[0][row[4] > 0].min(initial=clicks[0, -1]) for row in table.swapaxes(1, 2)]
            reached[name] = float(np.interp(WANTED, np.maximum.accumulate(mean), clicks[0]))
            line = {
                "bench": "top_images", "seeds": [first, len(runs)], "images": images, "top": top,
                "pairs for": name, "choices": clicks[0].astype(int).tolist(),
                "precision": mean.round(3).tolist(),
                "expected minus true": (expected - true).mean(axis=0).round(3).tolist(),
                "band holds": round(float(holds.mean()), 3),
                "stops at": round(float(np.mean(stop))),
            }  # fmt: skip
            print(json.dumps(line), flush=True)
    line = {
        "bench": "top_images",
        f"choices to {WANTED}": {k: round(v) for k, v in reached.items()},
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
