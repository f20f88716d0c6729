"""One person's taste from few ratings: what a model of other people's taste is worth as a start.

    REAL_ASSETS=... python -m bench.personal_taste [--people=120] [--first=400] [--networks]
                            [--features="pooled"] [--write]

Each of the people rated 80 to 88 of the 330 photographs (OASIS). The generic model (head `kernel`,
MobileNetV2) learns the mean rating of everybody else on the photographs that this person did not
rate: as a published head, it knows none of the person's. Twenty of the person's are the test. The
ratings of 15, 30 or 60 others are learnt alone, or as a correction of the generic model
(`base_model`). With choices, the person instead chooses between so many random pairs of these 60,
in a window that starts from nothing, or from the generic model (`load_model`); its scores of the
twenty, which it never showed, are measured, and so is the head that is trained on the others.
Spearman's rho, its mean over people; intervals are over people. With `--networks`, the small
networks of `auto` are measured as well; `--write` puts the table into docs/heads.md.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from threadpoolctl import threadpool_limits

from bench.heads import ROOT, load, mean_and_interval, shown
from bench.needs import real_assets
from src.aesthetic.heads import Head, fit_head
from src.aesthetic.heads.combined import fit_residual
from src.aesthetic.heads.training_set import TrainingSet
from src.aesthetic.select import fit_networks
from src.rating.models.answer import Answer
from src.rating.models.feature_space import feature_space
from src.rating.models.initial_scores import InitialScores
from src.rating.models.scoring import PosteriorScoring

RATINGS = (15, 30, 60)
TESTED = 20
SPLITS = 2  # for each person
GENERIC = "generic"


def window_scores(
    x: np.ndarray, y: np.ndarray, pool: int, choices: int, expected: np.ndarray | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of all images after choices between random pairs of the first `pool`; their ends."""
    names, rng = [str(number) for number in range(len(y))], np.random.default_rng(seed)
    space = feature_space(names, dict(zip(names, x, strict=True)))
    nothing = InitialScores(*(np.zeros(len(y)) for _ in range(3)))
    pairs = [rng.choice(pool, size=2, replace=False) for _ in range(choices)]
    outcomes = {1: "left", -1: "right", 0: "tie"}
    answers = [Answer(int(i), int(j), outcomes[int(np.sign(y[i] - y[j]))]) for i, j in pairs]
    scoring = PosteriorScoring.begin(nothing, space)
    if expected is not None:
        scoring = scoring.with_model(expected)
    return scoring.refitted(answers).scores().astype(float), np.unique(pairs)


def with_networks(x: np.ndarray, y: np.ndarray, prior: Head | None, seed: int) -> Head:
    def fit(data: TrainingSet) -> Head:
        return fit_networks(data, seed).head

    data = TrainingSet.of(x, y)
    return fit(data) if prior is None else fit_residual(prior, data, fit)


def one_split(
    x: np.ndarray, truth: np.ndarray, generic: Head, split: list[int], *, networks: bool
) -> dict[int, dict[str, float]]:
    """Spearman's rho by number of ratings and method; `truth` is NaN where nothing was rated."""
    rng = np.random.default_rng(split)
    own = rng.permutation(np.flatnonzero(~np.isnan(truth)))
    test, pool = own[:TESTED], own[TESTED:]
    shown, found = np.concatenate([pool, test]), {}

    def rho(predicted: np.ndarray) -> float:
        if np.ptp(truth[test]) == 0 or np.ptp(predicted) == 0:
            return 0.0  # nothing is ordered
        return float(spearmanr(truth[test], predicted).statistic)

    for n in RATINGS:
        rows, predicted = pool[:n], {GENERIC: generic.predict(x[test])}
        for before, prior in {"": None, f"{GENERIC} + ": generic}.items():
            expected = prior.predict(x[shown]) if prior else None
            args = x[shown], truth[shown], len(pool), n, expected, split[0] + n
            scores, compared = window_scores(*args)
            predicted[f"{before}choices in the window"] = scores[len(pool) :]
            learnt = {"ratings": (rows, truth[rows]), "choices": (pool[compared], scores[compared])}
            for kind, (images, y) in learnt.items():
                if np.ptp(y) == 0:
                    continue
                for method in ("kernel", "ridge") if kind == "ratings" else ("kernel",):
                    head = fit_head(method, x[images], y, prior=prior)
                    predicted[f"{before}{method}, {kind}"] = head.predict(x[test])
                if networks and kind == "ratings":
                    head = with_networks(x[images], y, prior, split[0])
                    predicted[f"{before}networks, {kind}"] = head.predict(x[test])
        found[n] = {name: rho(values) for name, values in predicted.items()}
    return found


def runs_of(
    x: np.ndarray, given: np.ndarray, person: int, *, networks: bool
) -> list[dict[int, dict[str, float]]]:
    own = ~np.isnan(given[person])
    others = np.nanmean(np.delete(given, person, axis=0), axis=0)
    generic = fit_head("kernel", x[~own], others[~own])
    return [
        one_split(x, given[person], generic, [split, person], networks=networks)
        for split in range(SPLITS)
    ]


def rows_of(features: str, runs: list[list[dict[int, dict[str, float]]]]) -> list[dict[str, Any]]:
    """One row for each number and method; `runs` by person and split."""
    rows = []
    for n in RATINGS:
        for method in dict.fromkeys(name for splits in runs for run in splits for name in run[n]):
            having = [s for s in runs if all(method in run[n] and GENERIC in run[n] for run in s)]
            values, over = (
                np.array([np.mean([run[n][name] for run in splits]) for splits in having])
                for name in (method, GENERIC)
            )
            row = {"features": features, "ratings": n, "method": method, "people": len(having)}
            row |= {"spearman": mean_and_interval(values)}
            if method != GENERIC:
                row["above generic"] = mean_and_interval(values - over)
            rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| features | ratings or choices | model | Spearman (95% interval) | above generic |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        gain = shown(row["above generic"], sign=True) if "above generic" in row else "–"
        spearman = shown(row["spearman"])
        cells = [row["features"], str(row["ratings"]), row["method"], spearman, gain]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=120)
    parser.add_argument("--first", type=int, default=400)
    parser.add_argument("--features", default="pooled;pooled and hidden states")
    parser.add_argument("--networks", action="store_true")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    assets = real_assets()
    with np.load(assets / "rated-photos" / "rater_matrix.npz") as file:
        files, given = file["files"].tolist(), file["ratings"].astype(float)
    given[given == 0] = np.nan
    with threadpool_limits(1, "blas"), tempfile.TemporaryDirectory() as temporary:
        features, _, paths = load(assets, Path(temporary))
        given = given[:, [files.index(path) for path in paths]]
        several = np.flatnonzero(np.nanstd(given, axis=1) > 0)
        people = np.random.default_rng(1).permutation(several)[args.first :][: args.people]
        rows = []
        for name in args.features.split(";"):
            measured = [
                runs_of(features[name], given, int(p), networks=args.networks) for p in people
            ]
            rows += rows_of(name, measured)
    if args.write:
        page = ROOT / "docs" / "heads.md"
        begin, end = "<!-- taste: written by bench/personal_taste.py -->\n", "<!-- end of taste -->"
        before, _, rest = page.read_text(encoding="utf-8").partition(begin)
        page.write_text(before + begin + table(rows) + end + rest.partition(end)[2], "utf-8")
    print(json.dumps({"bench": "personal_taste", "rows": rows}))


if __name__ == "__main__":
    main()
