"""aesthetic_predictor_training.py as a user runs it, and what it wrote."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.scripts import run_script

ROOT = Path(__file__).parents[1]
SCRIPT = "aesthetic_predictor_training.py"


def command(*words: object) -> list[str]:
    return [sys.executable, str(ROOT / SCRIPT), *map(str, words)]


def run(cwd: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """In this process, where that is quicker; with an environment in one of its own."""
    if not environment:
        return run_script(Path(SCRIPT).stem, *words, cwd=cwd)
    return subprocess.run(
        command(*words), cwd=cwd, env=os.environ | environment, capture_output=True, text=True,
        timeout=250, check=False,
    )  # fmt: skip


def read(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def split_of(folder: Path) -> dict[str, str]:
    with (folder / "predictions.csv").open(encoding="utf-8") as file:
        return {row["relative_path"]: row["split"] for row in csv.DictReader(file)}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def settings(folder: Path, *more: str) -> list[str]:
    return [
        f"--top_level_image_directory={folder}",
        "--feature_extractor=builtin",
        "--save_model=model",
        *more,
    ]
