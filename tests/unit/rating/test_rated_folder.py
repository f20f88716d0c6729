"""What a folder keeps of its ratings: scores, the log, what goes wrong with either."""

import json
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from src.errors import DataError
from src.files import write_text
from src.rating.session import RatingDatabase
from src.rating.storage import rating_store
from src.rating.storage.choice_log import NAME
from tests.unit.rating.folders import make_folder, rate, saved, saved_scores, uncertainty

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("method", "selection"),
    [("posterior", "active"), ("posterior", "random"), ("elo", "active"), ("elo", "least_shown")],
)
def test_every_method_finds_the_order(folder, method, selection):
    with RatingDatabase(folder, method=method, selection=selection, seed=0) as database:
        rate(database, 120)
        database.save()
        scores = database.scores()
        assert sum(scores.values()) == pytest.approx(0, abs=1e-9)
        assert scores.keys() == set(database.images)
    order = sorted(scores, key=scores.__getitem__, reverse=True)
    place = np.array([order.index(name) for name in sorted(scores)])
    assert np.corrcoef(place, np.arange(12))[0, 1] > 0.9
    assert saved_scores(folder) == scores
    assert saved(folder)["#meta#"] == {"evaluations": 120, "model_evals": 0, "unrated": []}


def test_a_session_goes_on_where_the_last_one_ended(folder):
    with RatingDatabase(folder, seed=0) as database:
        first = rate(database, 25)
        database.save()
        scores, unsure = database.scores(), uncertainty(database)
    with RatingDatabase(folder, seed=1) as database:
        assert database.scores() == pytest.approx(scores, abs=1e-6)
        assert uncertainty(database) == pytest.approx(unsure, abs=1e-6)
        second = rate(database, 5)
        assert database.statistics().choices == 30
        assert database.statistics().session.answered == 5
    with closing(sqlite3.connect(folder / NAME)) as log:
        rows = log.execute('SELECT "left", "right", outcome FROM events ORDER BY id').fetchall()
    assert rows == first + second
    before, meta = saved_scores(folder), saved(folder)["#meta#"]
    (folder / "score.json").unlink()
    RatingDatabase(folder).close()
    assert saved_scores(folder) == pytest.approx(before)  # they come from the log alone
    assert saved(folder)["#meta#"] == meta


def test_ties_draw_together_and_skips_change_nothing(folder):
    with RatingDatabase(folder) as database:
        database.record("01.png", "02.png", "left")
        apart = database.scores()
        database.record("01.png", "02.png", "skip")
        assert database.scores() == apart
        assert database.comparisons()["01.png"] == 1
        database.record("02.png", "01.png", "tie")
        nearer = database.scores()
        assert apart["01.png"] > nearer["01.png"] > nearer["02.png"] > apart["02.png"]
        assert len(database.unrated()) == 10


def test_an_old_score_file_is_the_start(folder):
    old = {"sub\\00.png": 0.9, "01.png": -0.6, "02.png": 0.0, "gone.png": -0.3, "#mine#": [1]}
    meta = {"evaluations": 40, "model_evals": 3, "who": "me"}
    text = json.dumps({**old, "#meta#": meta})
    (folder / "score.json").write_text(text, encoding="utf-8")
    with RatingDatabase(folder, seed=0) as database:
        scores = database.scores()
        # 12 images are there; what is missing in the file begins at zero
        assert scores["sub/00.png"] == pytest.approx(0.9)
        assert scores["01.png"] == pytest.approx(-0.6)
        assert "02.png" in database.unrated()
        assert {"sub/00.png", "01.png"}.isdisjoint(database.unrated())
        assert database.statistics().choices == 40
        unsure = uncertainty(database)
        assert unsure["01.png"] < unsure["sub/03.png"]
    assert (folder / "score.json").read_text(encoding="utf-8") == text  # nothing was rated
    with RatingDatabase(folder, seed=0) as database:
        rate(database, 5)
    new = saved(folder)
    assert new["#mine#"] == [1]
    assert new["#meta#"]["evaluations"] == 45
    assert new["#meta#"]["model_evals"] == 3
    assert new["#meta#"]["who"] == "me"
    assert "gone.png" in new
    (folder / "score.json").unlink()  # all of it is in the log
    RatingDatabase(folder).close()
    del new["#meta#"], new["#mine#"]
    assert saved_scores(folder) == pytest.approx(new)
    assert saved(folder)["#meta#"]["evaluations"] == 45


def test_a_damaged_score_file_without_choices_is_refused_and_kept(folder):
    (folder / "score.json").write_text('{"01.png": 0.5, "02.p', encoding="utf-8")
    with pytest.raises(DataError, match=r"damaged.*repair it, or delete it"):
        RatingDatabase(folder)
    assert (folder / "score.json").read_text(encoding="utf-8") == '{"01.png": 0.5, "02.p'
    (copy,) = folder.glob("score.json.damaged-*")
    assert copy.read_text(encoding="utf-8") == '{"01.png": 0.5, "02.p'
    (folder / "score.json").unlink()
    RatingDatabase(folder).close()  # the lock was released


def test_a_damaged_score_file_is_rebuilt_from_the_choices(folder):
    with RatingDatabase(folder, seed=0) as database:
        rate(database, 20)
    before = saved_scores(folder)
    text = (folder / "score.json").read_text(encoding="utf-8")[:100]
    (folder / "score.json").write_text(text, encoding="utf-8")
    with RatingDatabase(folder) as database:
        (notice,) = database.take_notices()
        assert "rebuilt from the choices" in notice
    assert saved_scores(folder) == pytest.approx(before)
    (copy,) = folder.glob("score.json.damaged-*")
    assert copy.read_text(encoding="utf-8") == text


def test_a_score_file_changed_by_another_program_is_kept_and_heard_where_nobody_chose(folder):
    with RatingDatabase(folder, images=["01.png", "02.png"]) as database:
        rate(database, 5)
    changed = {**saved(folder), "04.png": 0.8, "01.png": 9.0}
    (folder / "score.json").write_text(json.dumps(changed), encoding="utf-8")
    with RatingDatabase(folder) as database:
        (notice,) = database.take_notices()
        assert "changed by another program: 1 score taken" in notice
        assert database.scores()["01.png"] < 2
        assert "04.png" not in database.unrated()
    (copy,) = folder.glob("score.json.changed-*")
    assert json.loads(copy.read_text(encoding="utf-8")) == changed


class Kill(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("second", ["before", "after"])
def test_two_kills_while_writing_are_no_change_by_another_program(folder, monkeypatch, second):
    def killed(when):
        def write(path, text):
            if when == "after":
                write_text(path, text)
            raise Kill

        monkeypatch.setattr(rating_store, "write_text", write)
        database = RatingDatabase(folder, seed=0)
        rate(database, 3)
        with pytest.raises(Kill):
            database.save()
        database._log.close()

    with RatingDatabase(folder, seed=0) as database:
        rate(database, 3)
    killed("after")
    killed(second)
    monkeypatch.setattr(rating_store, "write_text", write_text)
    (folder / ".score.json.abcdefgh.tmp").write_text("{", encoding="utf-8")
    with RatingDatabase(folder) as database:
        assert database.take_notices() == []
    assert saved(folder)["#meta#"]["evaluations"] == 9
    assert not list(folder.glob("score.json.*"))
    assert not list(folder.glob(".*.tmp"))


def test_choices_are_kept_while_the_score_file_is_written(folder, monkeypatch):
    database = RatingDatabase(folder, seed=0)
    rate(database, 3)

    def write(path, text):
        thread = threading.Thread(target=rate, args=(database, 1))
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
        write_text(path, text)

    monkeypatch.setattr(rating_store, "write_text", write)
    database.save()
    monkeypatch.setattr(rating_store, "write_text", write_text)
    assert saved(folder)["#meta#"]["evaluations"] == 3
    database.close()
    assert saved(folder)["#meta#"]["evaluations"] == 4


def test_model_scores_are_a_start_and_no_rating(folder):
    with RatingDatabase(folder, seed=0) as database:
        database.record("01.png", "02.png", "left")
        level = database.scores()["sub/09.png"]
        database.initialise_from_model({"sub/03.png": 0.5, "04.png": -0.5})
        assert {"sub/03.png", "04.png"} <= set(database.unrated())
        scores = database.scores()
        assert scores["sub/03.png"] - scores["sub/09.png"] == pytest.approx(0.5)
        assert scores["sub/09.png"] == pytest.approx(level, abs=0.05)
        with pytest.raises(DataError, match="rated"):
            database.initialise_from_model({"01.png": 1.0})
    meta = saved(folder)["#meta#"]
    assert meta["model_evals"] == 2
    assert {"sub/03.png", "04.png"} <= set(meta["unrated"])
    with RatingDatabase(folder, seed=0) as database:
        assert database.scores() == pytest.approx(scores)
        database.record("04.png", "sub/03.png", "left")  # the model was wrong
        after = database.scores()
        assert after["04.png"] - after["sub/03.png"] > -1.0
        assert "04.png" not in database.unrated()
    assert saved(folder)["#meta#"]["model_evals"] == 2


def test_features_carry_what_was_learned_to_images_never_shown(folder):
    names = [f"{number:03d}.png" for number in range(60)]
    for name in names:
        (folder / name).touch()
    rng = np.random.default_rng(0)
    features = {name: np.concatenate([[number / 20], rng.normal(size=3) * 0.1])
                for number, name in enumerate(names)}  # fmt: skip
    with RatingDatabase(folder, images=names, seed=0) as database:
        for _ in range(20):
            left, right = (names[i] for i in rng.choice(40, 2, replace=False))
            database.record(left, right, "left" if left < right else "right")
        without = database.scores()
        assert without["045.png"] == pytest.approx(without["055.png"])
        on_show, unsure = database.next_set(), uncertainty(database)
        thread = threading.Thread(target=database.set_features, args=(features,))
        thread.start()
        thread.join()
        assert database.next_set() == on_show
        scores = database.scores()
        assert scores["045.png"] > scores["055.png"]
        assert uncertainty(database)["050.png"] < unsure["050.png"] * 1.5
        rate(database, 5, ahead=True)
    assert "055.png" in saved(folder)


def test_choices_made_while_features_are_fitted_count(folder):
    names = make_folder(folder, 12)
    features = {name: np.random.default_rng(i).normal(size=8) for i, name in enumerate(names)}
    with RatingDatabase(folder, seed=0) as database:
        rate(database, 15)
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                database.set_features(features)
                database.following_set()
                database.statistics()

        thread = threading.Thread(target=work)
        thread.start()
        for step in range(60):
            rate(database, 1)
            if step % 7 == 0:
                database.undo()
        stop.set()
        thread.join()
        database.save()
        scores = database.scores()
        made = database.statistics().choices
    assert made == 15 + 60 - 9
    with RatingDatabase(folder) as database:
        database.set_features(features)
        assert database.scores() == pytest.approx(scores, abs=1e-4)


def test_closing_twice_and_leaving_by_an_error(folder):
    database = RatingDatabase(folder)
    rate(database, 1)
    database.close()
    database.close()
    with pytest.raises(KeyError), RatingDatabase(folder) as database:
        rate(database, 1)
        raise KeyError
    assert saved(folder)["#meta#"]["evaluations"] == 2


FULL = """
import resource, signal, sys
from src.errors import DataError
from src.rating.session import RatingDatabase

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
database = RatingDatabase(sys.argv[1], seed=0)
for _ in range(5):
    database.record(*database.next_set(), "left")
database.save()
for _ in range(5):
    database.record(*database.next_set(), "right")
resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))  # no file grows beyond 64 bytes
for action in (lambda: database.record(*database.next_set(), "left"), database.close):
    try:
        action()
        print("no error")
    except DataError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_full_disk_is_told_and_loses_nothing(folder):
    words = [sys.executable, "-c", FULL, str(folder)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    choice, closing = done.stdout.splitlines()
    assert NAME in choice
    assert "cannot be" in closing
    assert "The choices are safe" in closing
    assert saved(folder)["#meta#"]["evaluations"] == 5
    assert not list(folder.glob(".*.tmp"))
    with RatingDatabase(folder) as database:
        assert database.statistics().choices == 10
    assert saved(folder)["#meta#"]["evaluations"] == 10
