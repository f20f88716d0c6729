"""Real choices of many people: how well scores learned from some people's predict others'.

    REAL_ASSETS=... python -m bench.real_votes [SEEDS [FIRST]]

100 pictures of web pages. For each seed, half of the sessions train and half test; 100 to 1,000 of
the training sessions' choices are learned. Printed: the share of the test sessions' choices that
the scores of the rating window predict, with features of MobileNetV2 and without, and those of
Bradley-Terry with the penalty that is the best on the test choices themselves.
"""

import csv
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from bench.needs import real_assets
from bench.rating_simulation import features
from src.rating.models.answer import Answer
from src.rating.models.feature_space import feature_space, without_features
from src.rating.models.initial_scores import InitialScores
from src.rating.models.scoring import PosteriorScoring

VOTES = (100, 200, 500, 1000)
PENALTIES = np.geomspace(0.01, 100, 13)


def share(scores: np.ndarray, answers: list[Answer]) -> float:
    """Of the answers that are not ties, how many the scores predict."""
    margins = [(scores[a.left] - scores[a.right]) * (1 if a.outcome == "left" else -1)
               for a in answers if a.outcome != "tie"]  # fmt: skip
    return float(np.mean(np.sign(margins) / 2 + 0.5))


def bradley_terry(answers: list[Answer], count: int, penalty: float) -> np.ndarray:
    rows = [a for a in answers if a.outcome != "tie"]
    x = np.zeros((2 * len(rows), count))
    for row, (left, right, outcome, _) in enumerate(rows):
        sign = 1 if outcome == "left" else -1
        x[row, [left, right]] = sign, -sign
        x[len(rows) + row] = -x[row]
    y = np.repeat([1, 0], len(rows))
    model = LogisticRegression(C=0.5 / penalty, fit_intercept=False, max_iter=1000)
    return np.asarray(model.fit(x, y).coef_[0])


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    assets = real_assets()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "votes"
        shutil.copytree(assets / "real-votes", folder)
        vectors = features(folder, str(assets / "backbones" / "mobilenet_v2"))
    names = sorted(vectors)
    number = {name: index for index, name in enumerate(names)}
    sessions: dict[str, list[Answer]] = {}
    with (assets / "real-votes" / "votes.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            answer = Answer(number[row["left"]], number[row["right"]], row["outcome"])
            sessions.setdefault(row["session"], []).append(answer)
    nothing = InitialScores(*np.zeros((3, len(names))))
    spaces = {"features": feature_space(names, vectors), "none": without_features(len(names))}
    begins = {kind: PosteriorScoring.begin(nothing, space) for kind, space in spaces.items()}
    found: dict[int, list[list[float]]] = {votes: [] for votes in VOTES}
    for seed in range(first, first + count):
        rng = np.random.default_rng(seed)
        order = rng.permutation(sorted(sessions))
        half = len(order) // 2
        train = [answer for session in order[:half] for answer in sessions[session]]
        test = [answer for session in order[half:] for answer in sessions[session]]
        train = [train[index] for index in rng.permutation(len(train))]
        for votes in VOTES:
            given = train[:votes]
            ours = [share(begin.refitted(given).scores(), test) for begin in begins.values()]
            scores = [bradley_terry(given, len(names), penalty) for penalty in PENALTIES]
            found[votes].append([*ours, max(share(one, test) for one in scores)])
    for votes, rows in found.items():
        with_features, without, reference = np.mean(rows, axis=0).round(4).tolist()
        gain = np.array(rows)[:, 0] - np.array(rows)[:, 2]
        line = {"bench": "real_votes", "seeds": [first, count], "votes": votes,
                "with features": with_features, "without": without,
                "Bradley-Terry, best on the test": reference,
                "gain": round(float(gain.mean()), 4),
                "standard error": round(float(gain.std() / len(gain) ** 0.5), 4)}  # fmt: skip
        print(json.dumps(line))


if __name__ == "__main__":
    main()
