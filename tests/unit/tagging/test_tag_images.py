"""Writing tag files with a model: which tags, which files, and going on after a stop."""

import csv

import numpy as np
import pytest

from src.dataset.labelled import order_of
from src.errors import ModelError
from src.file_changes.apply import undo
from src.images import find_images
from src.settings.use_models import TagImages
from src.tagging.choice import TagChoice
from src.tagging.selected_tags import SelectedTag
from src.tagging.tag_images import PROGRESS_FILE, tag_images
from src.tagging.thresholds import Thresholds
from tests.conftest import make_images

TAGS = [SelectedTag(i, name, 0, 1) for i, name in enumerate(("dark", "wide", "never"))]


class Rule:
    """A model that can be understood: darkness, width over height, and nothing."""

    tags = TAGS
    thresholds = Thresholds(0.5)
    identity = "rule"
    min_side = images_per_pass = None
    passes_at_once = 1

    def __init__(self, fail_after=None):
        self.seen = 0
        self._fail_after = fail_after

    def prepare(self, image):
        return np.asarray(image).mean(), image.width / image.height

    def probabilities(self, prepared):
        self.seen += len(prepared)
        if self._fail_after is not None and self.seen > self._fail_after:
            raise KeyboardInterrupt
        return np.array([[1 - mean / 255, min(1, ratio / 2), 0.01] for mean, ratio in prepared])


def choice(thresholds=(0.5, 0.6, 0.5), top_k=0, allowed=(True, True, True)):
    return TagChoice(np.array(thresholds), np.array(allowed), top_k)


def run(folder, tagger=None, how=None, dry_run=False, **given):
    batch = {"per_device_eval_batch_size": 2}
    given |= {"evaluation_args": batch, "dry_run": dry_run}
    settings = TagImages(top_level_image_directory=str(folder), **given)
    return tag_images(find_images(folder), tagger or Rule(), how or choice(), settings)


def test_every_image_gets_its_file_in_its_place(tmp_path):
    make_images(tmp_path / "sub", 3, (64, 48))
    make_images(tmp_path, 1, (30, 48), suffix=".jpg")
    (tmp_path / "broken.png").write_bytes(b"x")
    done = run(tmp_path)
    assert (done.written, done.skipped) == (4, 0)
    assert done.unreadable.keys() == {"broken.png"}
    assert "wide" in (tmp_path / "sub/000.png.txt").read_text().split()
    assert "wide" not in (tmp_path / "000.jpg.txt").read_text().split()
    assert not (tmp_path / "broken.png.txt").exists()
    assert not (tmp_path / PROGRESS_FILE).exists()
    undo(done.undo_file).report()
    assert not list(tmp_path.rglob("*.png.txt"))


@pytest.mark.parametrize(
    ("existing", "text"),
    [
        ("skip", "mine\n"),
        ("append", "mine\nwide\n"),
        ("merge", "mine\nwide\n"),
        ("overwrite", "wide\n"),
    ],
)
def test_files_that_are_there(tmp_path, existing, text):
    make_images(tmp_path, 1, (64, 48))
    (tmp_path / "000.png.txt").write_text("mine\n")
    run(tmp_path, how=choice((2, 0.6, 2)), existing=existing)
    assert (tmp_path / "000.png.txt").read_text() == text


def test_a_dry_run_writes_nothing(tmp_path):
    make_images(tmp_path, 2)
    run(tmp_path, dry_run=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000.png", "001.png"]


@pytest.mark.parametrize("existing", ["skip", "append", "overwrite"])
def test_a_stopped_run_goes_on_where_it_was(tmp_path, existing):
    folder = tmp_path / "images"
    make_images(folder, 7)
    (folder / "006.png.txt").write_text("mine\n")
    table = tmp_path / "p.csv"
    with pytest.raises(KeyboardInterrupt):
        run(folder, Rule(fail_after=5), existing=existing, probabilities=str(table))
    tagger = Rule()
    done = run(folder, tagger, existing=existing, probabilities=str(table))
    left = 2 if existing == "skip" else 3
    assert (done.written, tagger.seen) == (left, left)
    assert len(list(folder.glob("*.txt"))) == 7
    assert done.undo_file == next(folder.glob("undo-*"))  # of both runs
    with table.open(newline="") as stream:
        rows = list(csv.reader(stream))
    undo(done.undo_file).report()
    assert [path.read_text() for path in folder.glob("*.txt")] == ["mine\n"]
    assert rows[0] == ["path", "dark", "wide", "never"]
    assert len({row[0] for row in rows[1:]}) == len(rows) - 1 == (6 if existing == "skip" else 7)


def test_another_choice_starts_anew(tmp_path):
    make_images(tmp_path, 4)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Rule(fail_after=2), existing="overwrite")
    tagger = Rule()
    run(tmp_path, tagger, choice(top_k=1), existing="overwrite")
    assert tagger.seen == 4


def test_models_with_the_same_tags_in_another_order():
    names = [tag.name for tag in TAGS]
    assert order_of(names, [names[2], names[0], names[1]]).tolist() == [1, 2, 0]
    with pytest.raises(ModelError, match="never"):
        order_of(names, names[:2])
