"""How well the heads order rated photographs: the table of docs/heads.md.

    REAL_ASSETS=... python -m bench.heads [--cache=FOLDER] [--methods="ridge;auto"] [--first=7000]
                            [--splits=20] [--only=heads|speed] [--write]

Features of MobileNetV2, pooled and with the means of all hidden states; random splits of the 330
photographs with 120 and 240 for training; each method on the same features and splits. Rows are
shown as they come. With a cache, what was measured once is not measured again; `--write` puts the
table into the page.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student_t
from threadpoolctl import threadpool_limits

from bench.aesthetic_training import seed_recipe_steps_per_second
from bench.needs import real_assets
from src.aesthetic.heads import Head, fit_head
from src.aesthetic.heads.training_set import TrainingSet
from src.aesthetic.rated_features import load_rated_features
from src.aesthetic.select import fit_auto, fit_networks
from src.dataset.scores import DataHolder
from src.evaluation.rank_metrics import interval_coverage, pairwise_accuracy
from src.features import open_extractors

ROOT = Path(__file__).parents[1]
TRAINING_SIZES = (120, 240)
LEVELS = (0.5, 0.8, 0.95)
HIDDEN_STATES = tuple(range(16))
SEED_RECIPE = "MLP, original recipe"
Row = dict[str, Any]


def train_seed_mlp(*, relu: bool, **options: Any) -> Callable[[np.ndarray, np.ndarray], Head]:
    """The published architecture from scratch: margin ranking loss, batches of 8, 100 epochs."""

    def fit(features: np.ndarray, scores: np.ndarray) -> Head:
        from src.aesthetic.mlp.fitting import fit_ensemble
        from src.settings.mlp import Mlp, PredictorTrainingArgs

        args = PredictorTrainingArgs(**options)
        mlp = Mlp(aesthetic_model_relu=relu, training_args=args, device="cpu")
        return fit_ensemble(TrainingSet.of(features, scores), mlp).head

    return fit


SEED_OPTIONS = {"learning_rate": 4e-3, "lr_scheduler_type": "cosine", "warmup_ratio": 0.1}
METHODS: dict[str, Callable[[np.ndarray, np.ndarray], Head]] = {
    SEED_RECIPE: train_seed_mlp(relu=False, **SEED_OPTIONS),
    "MLP, original recipe with ReLU": train_seed_mlp(relu=True, **SEED_OPTIONS),
    "MLP, our default training_args": train_seed_mlp(relu=False),
    "ridge": lambda x, y: fit_head("ridge", x, y),
    "kernel": lambda x, y: fit_head("kernel", x, y),
    "networks": lambda x, y: fit_networks(TrainingSet.of(x, y)).head,
    "auto": lambda x, y: fit_auto(TrainingSet.of(x, y), networks=True).head,
}


class Cache:
    """Results by key, kept in a JSON file if there is a folder for it."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / "heads.json" if folder else None
        self._values: dict[str, Row] = {}
        if self._path and self._path.exists():
            self._values = json.loads(self._path.read_text(encoding="utf-8"))

    def get(self, key: str, compute: Callable[[], Row]) -> Row:
        if key not in self._values:
            self._values[key] = compute()
            if self._path:
                self._path.write_text(json.dumps(self._values), encoding="utf-8")
        return self._values[key]


def load(assets: Path, cache: Path) -> tuple[dict[str, np.ndarray], np.ndarray, list[str]]:
    """Features by name, mean scores, and paths of the photographs."""
    extractors = open_extractors(
        str(assets / "backbones" / "mobilenet_v2"), device="cpu", hidden_states=HIDDEN_STATES
    )
    holder = DataHolder.from_folder(assets / "rated-photos")
    data = load_rated_features(holder, extractors, store_folder=cache)
    pooled = data.features[:, :1280]
    features = {"pooled": pooled, "pooled and hidden states": data.features}
    return features, data.holder.scores, list(data.holder.paths)


def measure(fit: Callable[..., Head], x: np.ndarray, y: np.ndarray, n: int, split: int) -> Row:
    """AB on the photographs that a split keeps back, and where intervals hold them."""
    order = np.random.default_rng(split).permutation(len(y))
    train, test = order[:n], order[n:]
    start = time.perf_counter()
    head = fit(x[train], y[train])
    seconds = time.perf_counter() - start
    predicted, std = head.predict(x[test]), head.predict_std(x[test])
    row: Row = {"ab": pairwise_accuracy(y[test], predicted), "seconds": seconds}
    if std is not None:
        covered = interval_coverage(y[test], predicted, std, LEVELS)
        row["coverage"] = [entry["coverage"] for entry in covered]
    return row


def head_rows(
    features: dict[str, np.ndarray],
    y: np.ndarray,
    methods: list[str],
    splits: range,
    cache: Cache,
) -> Iterator[Row]:
    """One row per features, training size and method."""
    for name, x in features.items():
        for n in TRAINING_SIZES:
            baseline: np.ndarray | None = None
            for method in methods:
                runs = [
                    cache.get(
                        f"{name}|{n}|{method}|{split}",
                        partial(measure, METHODS[method], x, y, n, split),
                    )
                    for split in splits
                ]
                ab = np.array([run["ab"] for run in runs])
                row = {"table": "heads", "features": name, "train": n, "method": method}
                row |= {"ab": mean_and_interval(ab)}
                if method == SEED_RECIPE:
                    baseline = ab
                elif baseline is not None:
                    row["gain"] = mean_and_interval(ab - baseline)
                if "coverage" in runs[0]:
                    coverage = np.mean([run["coverage"] for run in runs], axis=0)
                    row["coverage"] = [round(float(c), 3) for c in coverage]
                row["seconds"] = round(float(np.median([run["seconds"] for run in runs])), 2)
                yield row


def mean_and_interval(values: np.ndarray) -> list[float]:
    """Mean and the ends of its 95% interval over splits or raters."""
    half = float(student_t.ppf(0.975, len(values) - 1) * values.std(ddof=1)) / len(values) ** 0.5
    mean = float(values.mean())
    return [round(v, 4) for v in (mean, mean - half, mean + half)]


def speed_rows() -> Iterator[Row]:
    """`auto` as a whole process, and training steps."""
    program = (
        "import numpy as np; from src.aesthetic.select import fit_auto;"
        "from src.aesthetic.heads.training_set import TrainingSet;"
        "r = np.random.default_rng(0); x = r.normal(size=(1000, 1280));"
        "y = x[:, :50].sum(axis=1) + r.normal(size=1000);"
        "fit_auto(TrainingSet.of(x, y), networks=True)"
    )
    start = time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, env=environment)
    seconds = time.perf_counter() - start
    yield {
        "table": "speed",
        "what": "auto, 1000 x 1280, whole process",
        "seconds": round(seconds, 1),
    }

    for d in (768, 1280):
        rate = seed_recipe_steps_per_second(d, 1500)
        yield {"table": "speed", "what": f"MLP, batch 8, {d} features", "steps_per_second": rate}


def write_page(rows: list[Row]) -> None:
    """Put the table into docs/heads.md, between its marks."""
    path = ROOT / "docs" / "heads.md"
    text = path.read_text(encoding="utf-8")
    begin, end = "<!-- heads: written by bench/heads.py -->\n", "<!-- end of heads -->"
    before, _, rest = text.partition(begin)
    text = before + begin + heads_table(rows) + end + rest.partition(end)[2]
    path.write_text(text, encoding="utf-8")


def heads_table(rows: list[Row]) -> str:
    lines = [
        "| features | images | head | test AB (95% interval) | above the original recipe "
        "| in 50 / 80 / 95% intervals | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row["table"] == "heads":
            covered = " / ".join(f"{share:.0%}" for share in row.get("coverage", ())) or "–"
            gain = shown(row["gain"], sign=True) if "gain" in row else "–"
            lines.append(
                f"| {row['features']} | {row['train']} | {row['method']} | {shown(row['ab'])} "
                f"| {gain} | {covered} | {row['seconds']} |"
            )
    return "\n".join(lines) + "\n"


def shown(value: list[float], *, sign: bool = False) -> str:
    form = "+.3f" if sign else ".3f"
    return f"{value[0]:{form}} ({value[1]:{form}} … {value[2]:{form}})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--methods", default=";".join(METHODS))
    parser.add_argument("--first", type=int, default=0, help="seed of the first split")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--only", default="heads,speed")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    wants_photographs = "heads" in args.only
    assets = real_assets() if wants_photographs else Path()
    cache = Cache(args.cache)
    rows: list[Row] = []

    def add(found: Iterator[Row]) -> None:
        for row in found:
            print(json.dumps(row), file=sys.stderr, flush=True)
            rows.append(row)

    with threadpool_limits(1, "blas"), tempfile.TemporaryDirectory() as temporary:
        if wants_photographs:
            features, scores, _ = load(assets, args.cache or Path(temporary))
        if "heads" in args.only:
            splits = range(args.first, args.first + args.splits)
            add(head_rows(features, scores, args.methods.split(";"), splits, cache))
    if "speed" in args.only:
        add(speed_rows())
    if args.write:
        write_page(rows)
    print(json.dumps({"bench": "heads", "rows": rows}))


if __name__ == "__main__":
    main()
