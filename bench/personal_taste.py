"""One person's taste from few ratings: what a model of other people's taste is worth as a start.

    REAL_ASSETS=... python -m bench.personal_taste [--people=60] [--first=0] [--networks] [--write]

Each of the people rated 80 to 88 of the 330 photographs (OASIS). Twenty of these are the test. The
generic model (head `kernel`, pooled MobileNetV2) learns the mean rating of everybody else on all
photographs but those twenty. The person's own ratings of 15, 30 or 60 of the others are then learnt
alone, or as a correction of the generic model (`base_model`). With choices, the person instead
chooses between so many random pairs of these 60, and the scores that the rating window would write
are learnt. Spearman's rho on the test, its mean over people; intervals are over people. With
`--networks`, the small networks of `auto` are measured as well; `--write` puts the table into
docs/heads.md.
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


def from_choices(
    x: np.ndarray, y: np.ndarray, choices: int, rng: np.random.Generator
) -> np.ndarray:
    """The scores that choices between random pairs give, NaN for images in none of them."""
    names = [str(number) for number in range(len(y))]
    space = feature_space(names, dict(zip(names, x, strict=True)))
    nothing = InitialScores(*(np.zeros(len(y)) for _ in range(3)))
    pairs = [rng.choice(len(y), size=2, replace=False) for _ in range(choices)]
    outcomes = {1: "left", -1: "right", 0: "tie"}
    answers = [Answer(int(i), int(j), outcomes[int(np.sign(y[i] - y[j]))]) for i, j in pairs]
    scores = PosteriorScoring.begin(nothing, space).refitted(answers).scores().astype(float)
    scores[np.setdiff1d(np.arange(len(y)), np.concatenate(pairs))] = np.nan
    return scores


def one_split(
    x: np.ndarray, given: np.ndarray, person: int, split: int, *, networks: bool
) -> dict[int, dict[str, float]]:
    """Spearman's rho by number of ratings and method."""
    rng = np.random.default_rng([split, person])
    own = rng.permutation(np.flatnonzero(~np.isnan(given[person])))
    test, pool = own[:TESTED], own[TESTED:]
    others = np.nanmean(np.delete(given, person, axis=0), axis=0)
    train = np.setdiff1d(np.arange(len(x)), test)
    generic = fit_head("kernel", x[train], others[train])
    truth, found = given[person], {}

    def rho(predicted: np.ndarray) -> float:
        if np.ptp(truth[test]) == 0 or np.ptp(predicted) == 0:
            return 0.0  # nothing is ordered
        return float(spearmanr(truth[test], predicted).statistic)

    for n in RATINGS:
        rated = pool[:n]
        compared = from_choices(x[pool], truth[pool], n, rng)
        chosen = pool[np.isfinite(compared)], compared[np.isfinite(compared)]
        heads: dict[str, Head] = {GENERIC: generic}
        for kind, (rows, y) in {"ratings": (rated, truth[rated]), "choices": chosen}.items():
            if np.ptp(y) == 0:
                continue
            for method in ("kernel", "ridge"):
                heads[f"{method}, {kind}"] = fit_head(method, x[rows], y)
                heads[f"{GENERIC} + {method}, {kind}"] = fit_head(method, x[rows], y, prior=generic)
            if networks and kind == "ratings":
                heads["networks, ratings"] = fit_networks(TrainingSet.of(x[rows], y), split).head
        found[n] = {name: rho(head.predict(x[test])) for name, head in heads.items()}
    return found


def rows_of(runs: list[list[dict[int, dict[str, float]]]]) -> list[dict[str, Any]]:
    """One row for each number and method; `runs` by person and split."""
    rows = []
    for n in RATINGS:
        for method in dict.fromkeys(name for splits in runs for run in splits for name in run[n]):
            having = [s for s in runs if all(method in run[n] and GENERIC in run[n] for run in s)]
            values, over = (
                np.array([np.mean([run[n][name] for run in splits]) for splits in having])
                for name in (method, GENERIC)
            )
            row = {"ratings": n, "method": method, "people": len(having)}
            row |= {"spearman": mean_and_interval(values)}
            if method != GENERIC:
                row["above generic"] = mean_and_interval(values - over)
            rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| ratings or choices | model | Spearman (95% interval) | above the generic model |",
        "|---|---|---|---|",
    ]
    for row in rows:
        gain = shown(row["above generic"], sign=True) if "above generic" in row else "–"
        spearman = shown(row["spearman"])
        lines.append(f"| {row['ratings']} | {row['method']} | {spearman} | {gain} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--networks", action="store_true")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    assets = real_assets()
    with np.load(assets / "rated-photos" / "rater_matrix.npz") as file:
        files, given = file["files"].tolist(), file["ratings"].astype(float)
    given[given == 0] = np.nan
    with threadpool_limits(1, "blas"), tempfile.TemporaryDirectory() as temporary:
        features, _, paths = load(assets, Path(temporary))
        x, given = features["pooled"], given[:, [files.index(path) for path in paths]]
        several = np.flatnonzero(np.nanstd(given, axis=1) > 0)
        people = np.random.default_rng(1).permutation(several)[args.first :][: args.people]
        runs = [
            [one_split(x, given, int(p), s, networks=args.networks) for s in range(SPLITS)]
            for p in people
        ]
    rows = rows_of(runs)
    if args.write:
        page = ROOT / "docs" / "heads.md"
        begin, end = "<!-- taste: written by bench/personal_taste.py -->\n", "<!-- end of taste -->"
        before, _, rest = page.read_text(encoding="utf-8").partition(begin)
        page.write_text(before + begin + table(rows) + end + rest.partition(end)[2], "utf-8")
    print(json.dumps({"bench": "personal_taste", "rows": rows}))


if __name__ == "__main__":
    main()
