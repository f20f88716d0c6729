"""Every "Next:" line of every script is a command that can be pasted, and works."""

import shlex
import shutil
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from src.dataset.suspected_labels import SuspectedLabel, write_suspected
from src.text import windows_line
from tests import tiny_models
from tests.conftest import make_images
from tests.scripts import run_script

ARGUMENTS = """
args = {{
    "feature_extractor": "builtin", "head": "ridge", "device": "cpu", "save_model": "taste",
    "custom_classifier_training": {{"base_model": {base!r}, "save_model": "classes"}},
}}
evaluation_args = {{"bootstrap_samples": 20, "report_images": 2}}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Three folders of images, all with a space and an apostrophe in their names."""
    for score in range(3):
        make_images(tmp_path / "it's mine" / str(score), 8, seed=score)
    for seed, name in enumerate(("keep", "delete")):
        make_images(tmp_path / "kept & not" / name, 20, seed=seed)
    shutil.copy(tmp_path / "kept & not/keep/002.png", tmp_path / "kept & not/keep/copy.png")
    shutil.copytree(tmp_path / "it's mine", tmp_path / "tagged images")
    base = str(tiny_models.convnext(tmp_path / "backbone"))
    (tmp_path / "my arguments.py").write_text(ARGUMENTS.format(base=base))
    (tmp_path / ".env").write_text("TRAINING=tagged images\nMODEL=multitag.pth\n")
    monkeypatch.setattr("src.window.app.Window", MagicMock())
    return tmp_path


def run_all(place: Path, *starts: str) -> list[str]:
    """Run these commands, each with all that come next; returns what was run."""
    waiting, done = list(starts)[::-1], list[str]()
    while waiting:
        line = waiting.pop()
        _, _, script, *words = shlex.split(line)
        found = run_script(script, *words, cwd=place)
        assert found.returncode == 0, (line, found.stderr)
        done.append(line)
        following = [
            line.removeprefix("Next: ")
            for line in found.stdout.splitlines()
            if "Next" in line or "next:" in line
        ]
        converted = place / "arguments_from_env.py"
        if converted.is_file():  # its own base model is a large download
            text = converted.read_text("utf-8").replace("microsoft/resnet-101", "backbone")
            converted.write_text(text, "utf-8")
        assert all(line.startswith("python run.py ") for line in following), following
        waiting += [line for line in following if line not in (*waiting, *done)]
    return done


def start(script: str, images: str, *words: str) -> str:
    given = [f"--top_level_image_directory={images}", "--arguments=my arguments.py", *words]
    return shlex.join(["python", "run.py", script, *given])


def suspect(place: Path, *row: str) -> str:
    """A file of decisions on one label, which is wrong."""
    file = place / f"{row[1]} decisions.csv"
    write_suspected(file, [SuspectedLabel(*row, 0.1, 0.9, "wrong")])  # type: ignore[arg-type]
    return f"--decisions={file.name}"


def test_models_of_taste(place):
    kept = suspect(place, "keep/000.png", "keep_delete", "keep", "delete")
    done = run_all(
        place,
        start("aesthetic_ab_scorer", "it's mine"),
        start("aesthetic_predictor_training", "it's mine"),
        start("score_images", "it's mine", "--load_model=taste", "--export=light copy"),
        start("aesthetic_score_from_model", "it's mine", "--load_model=taste", "--dry_run"),
        start("review_labels", "kept & not", kept),
        start("find_duplicates", "kept & not"),
    )
    for part in ("score_images", "--action=xmp --dry_run=False", "aesthetic_predictor_training",
                 "--loss_model=bce", "prune_features", "--load_model=light"):  # fmt: skip
        assert any(all(word in line for word in part.split()) for line in done), part


def test_classifiers_and_taggers(place):
    (place / "it's mine" / "names.txt").touch()
    classes = suspect(place, "1/000.png", "class", "1", "2")
    tags = suspect(place, "1/001.png", "tag", "1", "remove")
    done = run_all(
        place,
        start("prepare_tags", "tagged images", "--tags_from_folders"),
        "python run.py prepare_tags --convert_env=.env",
        start("review_labels", "tagged images", tags),
        start("custom_classifier_training", "it's mine"),
        start("review_labels", "it's mine", classes),
    )
    done += run_all(
        place, start("tag_images", "it's mine", "--load_model=multitag", "--action=export")
    )
    for part in ("--action=copy", "--arguments=arguments_from_env.py", "tag_images",
                 "--label_source=tags", "--backend=onnx", "prepare_tags"):  # fmt: skip
        assert any(all(word in line for word in part.split()) for line in done), part


def test_quoting_on_windows():
    words = ["run.py", r"--load_model=C:\my pics" + "\\", "--into=a&b", r"--undo=C:\x.json"]
    line = r'run.py "--load_model=C:\my pics\\" "--into=a&b" --undo=C:\x.json'
    assert windows_line(words) == line
