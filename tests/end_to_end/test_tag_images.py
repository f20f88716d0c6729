"""Tagging a folder as a user does it, and correcting its tags."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.tagging import COLOURS, run, tagged
from tests.wd_tagger import plain_probabilities, plain_tags, write_folder

ROOT = Path(__file__).parents[2]


def test_tagging_a_folder_without_torch_gives_what_torch_gives(trained_tagger, tmp_path):
    base, _ = trained_tagger
    folders = {}
    for backend in ("onnx", "torch"):
        folders[backend] = tmp_path / backend
        folders[backend].mkdir()
        for index in range(20, 32):
            shutil.copy(base / "images" / f"{index:03d}.png", folders[backend])
    words = [f"--load_model={base / 'model'}", "--device=cpu", "--whitelist=", "--dry_run=False"]
    program = (
        "import runpy, sys\n"
        f"sys.argv = ['tag_images.py', *{[*words, '--backend=onnx']!r}, "
        f"'--top_level_image_directory={folders['onnx']}', "
        f"'--probabilities={tmp_path / 'p.csv'}']\n"
        "try:\n"
        f"    runpy.run_path({str(ROOT / 'tag_images.py')!r}, run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "assert not sys.modules.keys() & {'torch', 'transformers', 'sklearn', 'scipy'}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "12 tag files written" in done.stdout
    run("tag_images", *words, "--backend=torch", f"--top_level_image_directory={folders['torch']}")
    truth, ours, theirs = (
        tagged(folder) for folder in (base / "images", folders["onnx"], folders["torch"])
    )
    assert ours.keys() == theirs.keys()
    assert sum(set(names) == set(truth[file]) for file, names in ours.items()) >= 6
    with (tmp_path / "p.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 12
    # The threshold is some validation image's own score: rounding may decide there.
    threshold = json.loads((base / "model" / "thresholds.json").read_text("utf-8"))["global"]
    for row in rows:
        shares = [float(row[name]) for name in COLOURS]
        assert all(0 <= share <= 1 for share in shares)
        if min(abs(share - threshold) for share in shares) > 1e-4:
            assert ours[f"{row['path']}.txt"] == theirs[f"{row['path']}.txt"]


def test_whitelist_top_k_and_list(trained_tagger, tmp_path):
    base, _ = trained_tagger
    for index in range(3):
        shutil.copy(base / "images" / f"{index:03d}.png", tmp_path)
    (tmp_path / "white.txt").write_text("\ufeffred\r\nblue\r\n", encoding="utf-8")
    words = [f"--load_model={base / 'model'}", f"--top_level_image_directory={tmp_path}"]
    white = f"--whitelist={tmp_path / 'white.txt'}"
    run("tag_images", *words, white, "--top_k=3", "--dry_run=False")
    assert all(sorted(names) == ["blue", "red"] for names in list(tagged(tmp_path).values())[:3])
    listed = run("tag_images", *words, "--action=list").stdout
    assert set(re.findall(r"\w+$", listed, re.MULTILINE)) == set(COLOURS)


def test_corrections_from_the_list_and_back(trained_tagger, tmp_path):
    base, _ = trained_tagger
    images = tmp_path / "images"
    shutil.copytree(base / "images", images)
    before = tagged(images)
    heading, *_ = (base / "model" / "suspected_labels.csv").read_text("utf-8").splitlines()
    rows = [
        "004.png,tag,new,add,1,1,wrong",
        "005.png,tag,new,add,1,0.9,",
        "005.png,tag,x,add,1,1,right",
    ]
    (tmp_path / "chosen.csv").write_text("\n".join([heading, *rows]) + "\n", encoding="utf-8")
    words = f"--decisions={tmp_path / 'chosen.csv'}", f"--top_level_image_directory={images}"
    assert (
        "1 tag file to change" in run("review_labels", *words).stdout and tagged(images) == before
    )
    done = run("review_labels", *words, "--dry_run=False")
    changed = tagged(images)
    assert changed["004.png.txt"] == [*before["004.png.txt"], "new"]
    assert changed["005.png.txt"] == before["005.png.txt"]
    run("review_labels", re.search(r"--undo=.*", done.stdout)[0])
    assert tagged(images) == before
    assert "2 tag files" in run("review_labels", *words, "--at_least=0.9").stdout
    assert tagged(images) == before


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--load_model=nowhere"], "there is no model folder"),
        ([], "load_model is empty"),
        (["--load_model=src"], "train a tagging model"),
    ],
)
def test_wrong_models_are_one_line(words, part, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    done = run("tag_images", *words, f"--top_level_image_directory={tmp_path}", check=False)
    assert done.returncode == 2
    assert part in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_published_tagger(trained_tagger, tmp_path):
    pytest.importorskip("onnx")
    images, model = tmp_path / "images", write_folder(tmp_path / "wd")
    images.mkdir()
    for index in range(3):
        shutil.copy(trained_tagger[0] / "images" / f"{index:03d}.png", images)
    words = [f"--load_model={model}", "--whitelist=", f"--top_level_image_directory={images}"]
    listed = run("tag_images", *words, "--tag_action=list").stdout
    assert re.findall(r"(\w+) +(\S+)$", listed, re.MULTILINE)[-1] == ("character", "hatsune_miku")
    words += ["--tag_format=spaces,escaped", "--tag_commas=True", "--first_tags=sks"]
    run("tag_images", *words, "--dry_run=False")
    for file in images.glob("*.png"):
        expected = plain_tags(plain_probabilities(model, file))
        written = Path(f"{file}.txt").read_text("utf-8").strip().split(", ")
        spelled = {t if t == "^_^" else t.replace("_", " ") for t in expected}
        assert written[0] == "sks"
        assert set(written[1:]) == {re.sub(r"([()])", r"\\\1", text) for text in spelled}
