"""Whether "the order is about 84% there" is true, and "you can stop here" in time.

    REAL_ASSETS=... python -m bench.stop_here [SEEDS [FIRST]]

The raters and features of bench.rating_simulation, up to three choices an image. Printed for each
kind of rater and features: how often the 90 % band holds the true rank correlation; the mean of
expected minus true; at which number of choices the window says stop, on average; at which an oracle
would, that knows the mean true curve of that kind, smoothed by a parabola of the logarithms of
signal to noise and of choices; and how much better the order is at the oracle's.
"""

import json
import sys
from collections.abc import Callable

import numpy as np
from scipy.stats import spearmanr

from bench.rating_simulation import rate, spaces
from src.rating.models.initial_scores import InitialScores
from src.rating.models.order import WORTHWHILE, order_quality
from src.rating.models.scoring import PosteriorScoring

CONSISTENCIES = (0.65, 0.75, 0.85)
KINDS = ("mobilenet_v2", "builtin", "none")
LONGEST = 3  # choices an image


def smooth(stops: np.ndarray, true: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The curve of correlations by the number of choices, without the noise of a few sessions."""
    signal = np.log(true**2 / (1 - true**2))
    fitted = np.polyfit(np.log(stops), signal, 2)
    return lambda choices: 1 / np.sqrt(1 + np.exp(-np.polyval(fitted, np.log(choices))))


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 23
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    truth, kinds = spaces()
    n = len(truth)
    nothing, everyone = InitialScores(*np.zeros((3, n))), np.arange(n)
    step = int(round(n / 5, -1))
    stops = np.arange(step, LONGEST * n + 1, step).tolist()
    every = []
    for kind in KINDS:
        for consistency in CONSISTENCIES:
            begin = PosteriorScoring.begin(nothing, kinds[kind])
            true, expected, held, stopped = [], [], [], []
            for seed in range(first, first + count):
                rows, stop = [], stops[-1]
                for live in rate(truth, begin, consistency, seed, stops):
                    assert isinstance(live.scoring, PosteriorScoring)
                    quality = order_quality(live.scoring, live.answers, everyone)
                    assert quality is not None
                    real = spearmanr(truth, live.scoring.scores())[0]
                    rows.append((real, quality.now, quality.low <= real <= quality.high))
                    if quality.can_stop:
                        stop = min(stop, len(live.answers))
                table = np.array(rows)
                true.append(table[:, 0])
                expected.append(table[:, 1])
                held.append(table[:, 2])
                stopped.append(stop)
            curve = smooth(np.array(stops), np.mean(true, axis=0))
            choices = np.arange(stops[0], stops[-1] + 1)
            little = curve(choices + step) - curve(choices) < WORTHWHILE
            oracle = int(choices[np.argmax(little)]) if little.any() else stops[-1]
            better = curve(np.array(oracle)) - np.mean(curve(np.array(stopped)))
            every.append(np.mean(held))
            line = {
                "bench": "stop_here", "seeds": [first, count], "features": kind,
                "consistency": consistency, "band holds": round(float(np.mean(held)), 3),
                "expected minus true": round(float(np.mean(expected) - np.mean(true)), 3),
                "stops at": round(float(np.mean(stopped))), "oracle": oracle,
                "better there": round(float(better), 3),
            }  # fmt: skip
            print(json.dumps(line), flush=True)
    print(json.dumps({"bench": "stop_here", "band holds": round(float(np.mean(every)), 3)}))


if __name__ == "__main__":
    main()
