"""How many clicks a good order takes: simulated raters over the rated photographs.

    REAL_ASSETS=... python -m bench.rating_simulation [SEEDS [FIRST [CLICKS]]]

The true order is the mean rating that many people gave 330 photographs. A rater compares two
photographs by their true scores plus noise, such that a random pair shown again is answered the
same way in 65, 75 or 85 % of cases. Printed: Spearman's correlation of the scores with the truth,
mean over the seeds, at 0.5 to 5 clicks per image or fewer, for each kind of features and for the
old way.
"""

import csv
import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import brentq
from scipy.stats import spearmanr

from bench.needs import real_assets
from src.features import compute_features, open_extractors, open_store
from src.images import scan_images
from src.rating.models.feature_space import FeatureSpace, feature_space, without_features
from src.rating.models.initial_scores import InitialScores
from src.rating.models.live_scores import LiveScores
from src.rating.models.scoring import Answer, EloScoring, PosteriorScoring, Scoring
from src.rating.pairs.schedule import Schedule, Selection

CLICKS = (0.5, 1, 1.5, 2, 3, 5)
SIZE_OF_RANDOM_FEATURES = 64


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


def rate(
    truth: np.ndarray,
    begin: Scoring,
    consistency: float,
    seed: int,
    stops: Sequence[int],
    selection: Selection = "active",
) -> Iterator[LiveScores]:
    """A session without files, as it is fitted after each of these numbers of choices."""
    rng, factor = np.random.default_rng(seed), steepness(truth, consistency)
    live = LiveScores(begin, [], threading.RLock())
    schedule, everyone = Schedule(len(truth), selection, seed), np.arange(len(truth))
    for click in range(1, stops[-1] + 1):
        (left, right), kind = schedule.draw(live.scoring, everyone, click)
        won = rng.random() < 1 / (1 + np.exp(-factor * (truth[left] - truth[right])))
        live.add(Answer(left, right, "left" if won else "right"))
        schedule.note((left, right), kind)
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
    stops = [round(clicks * len(truth)) for clicks in CLICKS if clicks <= most]
    arms: list[tuple[str, Scoring, float, Selection]] = [
        (kind, begin, 0.75, "active") for kind, begin in begins.items()
    ]
    arms += [("mobilenet_v2", begins["mobilenet_v2"], c, "active") for c in (0.65, 0.85)]
    arms.append(("elo", EloScoring.begin(nothing), 0.75, "random"))
    for name, begin, consistency, selection in arms:
        runs = [
            [
                spearmanr(truth, live.scoring.scores())[0]
                for live in rate(truth, begin, consistency, seed, stops, selection)
            ]
            for seed in range(first, first + count)
        ]
        means = dict(zip(CLICKS, np.mean(runs, axis=0).round(3).tolist(), strict=False))
        line = {"bench": "rating_simulation", "seeds": [first, count], "features": name}
        print(json.dumps(line | {"consistency": consistency, "spearman": means}), flush=True)


if __name__ == "__main__":
    main()
