"""Keep and delete on the rated photographs: best third against worst third.

    REAL_ASSETS=... python -m bench.keep_delete

Features of the mobilenet_v2 folder; a stratified quarter is tested on, for five seeds. Prints the
test AUC of each head and of the automatic choice, and for the latter average precision of the
delete pile, log-loss and calibration error of the probabilities.
"""

import csv
import json
import logging
import statistics
import tempfile
from pathlib import Path

import numpy as np

from bench.needs import real_assets
from src.aesthetic.rated_features import load_rated_features
from src.aesthetic.train import fit_predictor
from src.dataset.keep_delete import labelled_images
from src.evaluation.binary_metrics import evaluate_binary
from src.features import open_extractors
from src.settings.mlp import Mlp

SEEDS = range(42, 47)


def label_thirds(photographs: Path, table: Path) -> None:
    """A table of ones for the best third, zeros for the worst; the middle is left out."""
    with (photographs / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["relative_path"], float(row["score"])) for row in csv.DictReader(file)]
    low, high = np.quantile([score for _, score in rows], [1 / 3, 2 / 3])
    labelled = [(path, int(score >= high)) for path, score in rows if not low < score < high]
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("relative_path", "score"), *labelled])


def main() -> None:
    logging.disable(logging.CRITICAL)
    assets = real_assets()
    extractors = open_extractors(str(assets / "backbones" / "mobilenet_v2"), device="cpu")
    descriptions = [extractor.describe() for extractor in extractors]
    result: dict[str, object] = {"bench": "keep_delete"}
    with tempfile.TemporaryDirectory() as temporary:
        images = Path(temporary) / "photographs"
        images.mkdir()
        (images / "all").symlink_to(assets / "rated-photos")
        label_thirds(assets / "rated-photos", images / "labels.csv")
        text = (images / "labels.csv").read_text(encoding="utf-8").splitlines()
        text[1:] = [f"all/{line}" for line in text[1:]]
        (images / "labels.csv").write_text("\n".join(text), encoding="utf-8")
        holder = labelled_images(images, ("keep",), ("delete",), "labels.csv")
        figures: dict[str, list[dict[str, float]]] = {}
        for seed in SEEDS:
            data = load_rated_features(holder, extractors, binary=True).split(0.25, seed)
            for head in ("auto", "logistic", "ridge", "kernel"):
                fitted = fit_predictor(
                    data, head, extractors=descriptions, mlp=Mlp(loss_model="bce")
                )
                scores = fitted.predictor.predict(data.features[data.test])
                probabilities = fitted.predictor.probability(scores)
                assert probabilities is not None
                labels = data.holder.scores[data.test]
                figures.setdefault(head, []).append(evaluate_binary(labels, probabilities))
    for head, rows in figures.items():
        result[head] = {"auc": round(statistics.mean(row["auc"] for row in rows), 4)}
    result["auto"] = {
        name: round(statistics.mean(row[name] for row in figures["auto"]), 4)
        for name in ("auc", "average_precision_delete", "log_loss", "calibration_error")
    } | {"auc_each": [round(row["auc"], 4) for row in figures["auto"]]}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
