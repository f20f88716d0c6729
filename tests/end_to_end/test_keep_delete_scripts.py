"""Keep and delete as a user goes through it: train, look, put labels right, score, take back."""

import csv
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tests.conftest import make_images

ROOT = Path(__file__).parents[2]


def run(cwd: Path, script: str, *words: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / f"{script}.py"), *map(str, words)],
        cwd=cwd, capture_output=True, text=True, timeout=250, check=False, encoding="utf-8",
        env=os.environ | {"PYTHONUTF8": "1"},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done


def test_from_folders_to_a_sorted_folder(tmp_path):
    images, new = tmp_path / "images", tmp_path / "new"
    paths = make_images(tmp_path / "all", 100, seed=4)
    light = {}
    for path in paths:
        with Image.open(path) as image:
            light[path] = np.asarray(image, float).mean()
    paths.sort(key=light.__getitem__)
    (images / "keep").mkdir(parents=True)
    (images / "delete").mkdir()
    new.mkdir()
    for rank, path in enumerate(paths):
        kind = new if rank % 5 == 0 else images / ("keep" if rank > 49 else "delete")
        path.rename(kind / path.name)
    slip = images / "keep" / paths[1].name  # the darkest one, kept by a slip of the finger
    (images / "delete" / paths[1].name).rename(slip)

    train = ["aesthetic_predictor_training", "--top_level_image_directory=images",
             "--feature_extractor=builtin", "--loss_model=bce", "--head=logistic"]  # fmt: skip
    done = run(tmp_path, *train, "--save_model=model")
    assert done.returncode == 0, done.stderr
    assert "AUC" in done.stdout and "suspects.html" in done.stdout
    assert (tmp_path / "model" / "report.html").is_file()
    with (tmp_path / "model" / "suspected_labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "decisions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow(row | {"decision": "wrong" * (row["path"] == f"keep/{slip.name}")})
    review = ["review_labels", "--top_level_image_directory=images",
              "--decisions=decisions.csv"]  # fmt: skip
    assert "dry run" in run(tmp_path, *review).stdout and slip.is_file()
    done = run(tmp_path, *review, "--dry_run=False")
    assert not slip.exists() and (images / "delete" / slip.name).is_file()
    (line,) = [line for line in done.stdout.splitlines() if "--undo=" in line]
    assert run(tmp_path, "review_labels", shlex.split(line)[-1]).returncode == 0
    assert slip.is_file()

    done = run(tmp_path, "score_images", "--top_level_image_directory=new", "--load_model=model",
               "--first=worst", "--gallery=off", "--action=move",
               "--cut_by=probability", "--cuts=[0.5]", "--into=sorted",
               '--folders=["to delete", ""]', "--dry_run=False")  # fmt: skip
    assert done.returncode == 0, done.stderr
    with (tmp_path / "scored" / "new" / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chances = [float(row["probability"]) for row in rows]
    assert chances == sorted(chances) and 0 < chances[0] < 0.5 < chances[-1] < 1
    moved = {path.name for path in (tmp_path / "sorted" / "to delete").iterdir()}
    assert moved == {row["path"] for row in rows if float(row["probability"]) < 0.5}

    done = run(tmp_path, "find_duplicates", "--top_level_image_directory=images")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "duplicates" / "images" / "duplicates.html").is_file()


def split_of(folder: Path) -> dict[str, str]:
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return {Path(row["relative_path"]).name: row["split"] for row in csv.DictReader(file)}


def test_what_a_model_has_seen_is_never_a_test_again(tmp_path):
    """Evaluating and going on under another seed; another folder with copies saved again."""
    images = tmp_path / "images"
    for seed, kind in enumerate(("keep", "delete")):
        make_images(images / kind / str(seed), 26, seed=seed)
        for path in list((images / kind / str(seed)).iterdir()):
            path.rename(path.with_name(f"{seed}-{path.name}"))
    words = ["aesthetic_predictor_training", "--feature_extractor=builtin", "--loss_model=bce",
             "--head=logistic", "--evaluation_args.report_images=0"]  # fmt: skip
    first = [*words, "--top_level_image_directory=images", "--save_model=first"]
    done = run(tmp_path, *first)
    assert done.returncode == 0, done.stderr
    split = split_of(tmp_path / "first")
    seen = {name for name, kind in split.items() if kind == "train"}
    before = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()}

    measure = [*words, "--mode=evaluate", "--load_model=first", "--test_pick_seed=7"]
    done = run(tmp_path, *measure, "--top_level_image_directory=images")
    assert done.returncode == 0, done.stderr
    here = json.loads((tmp_path / "first/evaluation-images/metrics.json").read_text("utf-8"))
    there = json.loads((tmp_path / "first/metrics.json").read_text("utf-8"))
    assert here["task"] == "keep_delete" and here["test"] == there["test"]
    assert here["test"]["auc_interval"]

    other = tmp_path / "other"
    for kind, seed in (("keep", 8), ("delete", 9)):
        make_images(other / kind, 12, seed=seed)
        for path in sorted((images / kind).rglob("*.png"))[:6]:
            with Image.open(path) as image:
                image.convert("RGB").save(other / kind / f"{path.stem}.jpg", quality=85)
    done = run(tmp_path, *measure, "--top_level_image_directory=other")
    assert done.returncode == 0, done.stderr
    copies = {f"{Path(name).stem}.jpg" for name in seen}
    tested = {name for name, kind in split_of(tmp_path / "first/evaluation-other").items()
              if kind == "test"}  # fmt: skip
    assert len(tested) >= 12 and not tested & copies
    files = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()
             if path.is_file()}  # fmt: skip
    assert files == before

    done = run(tmp_path, *words, "--top_level_image_directory=images", "--load_model=first",
               "--save_model=second", "--test_pick_seed=7")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert split_of(tmp_path / "second") == split


def test_settings_that_do_not_go_together(tmp_path):
    for words, part in (
        (["--head=logistic"], "needs loss_model 'bce'"),
        (["--loss_model=bce", "--head=pairwise"], "pairwise"),
        (["--loss_model=bce", "--mode=train,spotlight"], "spotlight"),
    ):
        done = run(tmp_path, "aesthetic_predictor_training", *words)
        assert done.returncode == 2 and part in done.stderr
    assert "suspects.html" in run(tmp_path, "review_labels").stderr
