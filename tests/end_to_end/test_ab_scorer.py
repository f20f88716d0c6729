"""The script itself, in its own process, with real keys on a real screen."""

import json
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from numpy.typing import ArrayLike
from PIL import ImageGrab

from aesthetic_ab_scorer import rate_once, use_features, use_model
from src.aesthetic.heads import LinearHead
from src.aesthetic.predictor import Predictor
from src.dataset.trained_on import TrainedOn
from src.features import compute_features, open_extractors, open_store
from src.features.builtin import BuiltinExtractor
from src.images import scan_images
from src.rating.session import RatingDatabase
from tests.conftest import make_images
from tests.window.x_input import XInput

ROOT = Path(__file__).resolve().parents[2]
linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="keys are pressed through X11's test extension"
)


def command(folder: Path, *words: str) -> list[str]:
    return [
        sys.executable,
        str(ROOT / "aesthetic_ab_scorer.py"),
        f"--top_level_image_directory={folder}",
        *words,
    ]


def run(folder: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(folder, *words),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        env=os.environ | {"PYTHONUTF8": "1"} | environment,
        check=False,
    )


class Running:
    """A window in another process."""

    def __init__(self, display: str, folder: Path, *words: str) -> None:
        self.display = display
        self.input = XInput(display)
        self.empty = self.picture()
        self.process = subprocess.Popen(
            command(folder, *words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONUTF8": "1"},
        )
        self.wait_for_pair(self.empty)

    def picture(self) -> np.ndarray:
        """The middle of the screen, where the pictures are."""
        shot = np.asarray(ImageGrab.grab(xdisplay=self.display).convert("RGB"))
        height, width = shot.shape[:2]
        return shot[height // 4 : height // 2, width // 8 : width * 7 // 8].astype(int)

    def wait_for_pair(self, before: np.ndarray) -> None:
        """Wait until the screen shows something else than before, and colours: a pair."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            assert self.process.poll() is None, self.process.stderr.read()  # type: ignore[union-attr]
            now = self.picture()
            coloured = (np.ptp(now, axis=2) > 20).mean()
            if coloured > 0.2 and (np.abs(now - before).max(axis=2) > 20).mean() > 0.2:
                time.sleep(0.2)  # long enough to count as a look
                return
            time.sleep(0.02)
        pytest.fail("no pair came on the screen")

    def choose(self, keysym: str) -> None:
        """Answer, and wait for the next pair."""
        before = self.picture()
        self.input.press(keysym)
        self.wait_for_pair(before)

    def end(self, timeout: float = 60) -> tuple[int, str, str]:
        """Exit code, output and messages, once it has ended."""
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out.decode(), err.decode()


@pytest.fixture
def start(display: str) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def one(folder: Path, *words: str) -> Running:
        started.append(Running(display, folder, *words))
        return started[-1]

    yield one
    for running in started:
        running.process.kill()
        running.process.communicate()
        running.input.close()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    make_images(tmp_path / "my photos", 12, (300, 200), ".jpg")
    return tmp_path / "my photos"


def features_kept(folder: Path) -> int:
    if not (folder / ".features.sqlite").is_file():
        return 0
    with closing(sqlite3.connect(folder / ".features.sqlite", timeout=10)) as store:
        try:
            return int(store.execute("SELECT count(*) FROM features").fetchone()[0])
        except sqlite3.OperationalError:  # the table is being made
            return 0


@linux
@pytest.mark.gui
def test_a_session_from_start_to_end(photos, start):
    running = start(photos, "--ab_scorer_goal=50")
    for keysym in ("1", "2", "t", "Right"):
        running.choose(keysym)
    end = time.monotonic() + 60
    while (count := features_kept(photos)) < 12 and time.monotonic() < end:
        time.sleep(0.05)
    assert count == 12  # the built-in ones, computed while the person rates
    running.choose("2")
    running.input.press("q")
    code, out, err = running.end()
    assert (code, err) == (0, "")
    assert "A total of" in out
    assert "score.json" in out
    last = shlex.split(out.splitlines()[-1])
    assert last[:4] == ["Next:", "python", "run.py", "aesthetic_predictor_training"]
    assert last[4:] == [f"--top_level_image_directory={photos}"]
    scores = json.loads((photos / "score.json").read_text(encoding="utf-8"))
    assert scores["#meta#"]["evaluations"] == 5


@linux
@pytest.mark.gui
def test_a_choice_is_on_the_disk_when_the_next_set_is_on_the_screen(photos, start):
    running = start(photos)
    running.choose("1")
    running.choose("2")
    running.process.kill()
    running.process.communicate()
    with RatingDatabase(photos) as database:
        assert database.statistics().choices == 2
    json.loads((photos / "score.json").read_text(encoding="utf-8"))


@linux
@pytest.mark.gui
def test_ctrl_c_in_the_terminal_keeps_everything(photos, start):
    running = start(photos)
    running.choose("1")
    running.process.send_signal(signal.SIGINT)
    code, _, err = running.end()
    assert code == 130
    assert "kept" in err
    scores = json.loads((photos / "score.json").read_text(encoding="utf-8"))
    assert scores["#meta#"]["evaluations"] == 1


def no_folder(photos: Path) -> "subprocess.CompletedProcess[str]":
    return run(photos / "nowhere")


def no_model(photos: Path) -> "subprocess.CompletedProcess[str]":
    return run(photos, "--load_model=nowhere/model")


def open_elsewhere(photos: Path) -> "subprocess.CompletedProcess[str]":
    with RatingDatabase(photos):
        return run(photos)


def one_image(photos: Path) -> "subprocess.CompletedProcess[str]":
    for path in sorted(photos.glob("*.jpg"))[1:]:
        path.unlink()
    return run(photos)


def no_screen(photos: Path) -> "subprocess.CompletedProcess[str]":
    return run(photos, DISPLAY="")


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (no_folder, "nowhere"),
        (no_model, "nowhere/model"),
        (open_elsewhere, "my photos is open in another rating window"),
        (one_image, "only one image to show"),
        pytest.param(no_screen, "screen", marks=linux),
    ],
)
def test_a_mistake_is_one_line(photos, display, mistake, words):
    done = mistake(photos)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr


class Taken(RatingDatabase):
    """Remembers the features it was given."""

    features: Mapping[str, ArrayLike] | None = None

    def set_features(self, features: Mapping[str, ArrayLike]) -> None:
        self.features = features
        super().set_features(features)


LARGE = "transformers|openai/clip-vit-large-patch14@32bd64288804|hidden=|v1"
VECTORS = {"another": np.full(3, 2.0), LARGE: np.full(4, 5.0), "fingerprints|v1": np.zeros(1)}


@pytest.mark.parametrize(
    ("lacking", "preferred", "expected"),
    [  # how many images lack the features of each; which are taken
        ({"another": 0}, "ViT-L/14", [2, 2, 2]),
        ({"another": 0, LARGE: 3}, "ViT-L/14", [5, 5, 5, 5]),
        ({"another": 0, LARGE: 3}, "facebook/dinov2-base", [2, 2, 2]),
        ({"another": 0, LARGE: 9}, "ViT-L/14+builtin", [2, 2, 2]),
        ({"another": 4, "fingerprints|v1": 0}, "ViT-L/14", [2, 2, 2]),
        ({"another": 10}, "ViT-L/14", None),  # so few do not go before the built-in ones
        ({"fingerprints|v1": 0}, "ViT-L/14", None),  # zeros: the built-in ones are computed
    ],
)
def test_kept_features_go_before_the_built_in_ones(photos, lacking, preferred, expected):
    files = scan_images(photos)
    with open_store(photos) as store:
        compute_features(photos, files, open_extractors("builtin"), store)
        contents = sorted(store.known_files(files).values())
        for identity, without in lacking.items():
            vectors = {sha256: VECTORS[identity] for sha256 in contents[without:]}
            store.put(vectors={identity: vectors})
    with Taken(photos) as database:
        use_features(database, None, preferred, Event())
        assert database.features is not None
        vectors = [np.asarray(vector).tolist() for vector in database.features.values()]
    if expected:
        assert all(vector == expected for vector in vectors)
    else:
        assert len(vectors) == 12
        assert len(vectors[0]) > 4


def test_features_are_not_computed_for_a_window_that_was_closed(photos):
    stop = Event()
    stop.set()
    with Taken(photos) as database:
        use_features(database, None, "ViT-L/14", stop)
        assert database.features is None


def test_copies_are_rated_once_as_soon_as_their_contents_are_known(photos):
    shutil.copy(photos / "000.jpg", photos / "copy.jpg")
    with RatingDatabase(photos, seed=0) as database:
        stopped = Event()
        stopped.set()
        rate_once(database, None, stopped)
        assert len(database.images) == 13
        rate_once(database, None, Event())
        assert len(database.images) == 12
        assert database.take_notices() == ["1 near duplicate follows 1 image: 12 to rate"]


def test_a_model_joins_the_statistics(photos, tmp_path):
    files = scan_images(photos)
    with open_store(photos) as store:
        table = compute_features(photos, files, open_extractors("builtin"), store)
    head = LinearHead(np.random.default_rng(0).standard_normal((table.vectors.shape[1],)), 0.0)
    described = [BuiltinExtractor().describe()]
    predictor = Predictor.from_training(head, table.vectors, extractors=described)
    predictor.save(tmp_path)
    with RatingDatabase(photos, seed=0) as database:
        assert database.statistics().odd_one_out is None
        use_model(database, str(tmp_path), "cpu", "auto", None, Event())
        for _ in range(30):
            database.record(*database.next_set(), "left")
        odd = database.statistics().odd_one_out
    assert odd is not None
    assert odd.person + odd.database + odd.model + odd.agreed > 10
    assert odd.model > 0


@pytest.mark.parametrize(
    ("seen", "unknown", "starts_from_it"),
    [
        ([], [], True),
        ([], ["sac+logos+ava1-l14-linearMSE.pth"], True),
        ([], ["an old model"], False),
        ([3], [], False),  # it has learnt from choices here, and so knows about all of them
    ],
)
def test_scores_start_from_a_model_that_was_not_trained_here(
    photos, tmp_path, seen, unknown, starts_from_it
):
    files = scan_images(photos)
    with open_store(photos) as store:
        table = compute_features(photos, files, open_extractors("builtin"), store)
    head = LinearHead(np.random.default_rng(0).standard_normal((table.vectors.shape[1],)), 0.0)
    Predictor(head, (BuiltinExtractor().describe(),)).save(tmp_path)
    contents = [table.sha256s[row] for row in seen]
    TrainedOn.of(contents, table.perceptual_hashes[seen], unknown).save(tmp_path)
    with RatingDatabase(photos, seed=0) as database:
        use_model(database, str(tmp_path), "cpu", "auto", None, Event())
        scores = database.scores()
        assert database.unrated() == table.paths  # nothing counts as rated
        assert database.statistics().choices == 0
        predicted = head.predict(table.vectors)
        expected = np.argsort(predicted) if starts_from_it else np.arange(len(files))
        assert np.argsort([scores[path] for path in table.paths], kind="stable").tolist() == [
            *expected
        ]
        left, right = database.next_set()
        lead = predicted[table.paths.index(left)] - predicted[table.paths.index(right)]
        database.record(left, right, "left")
        first = database.choices_of(left)[0].prediction
        assert first == (None if not starts_from_it else pytest.approx(first))
        assert not starts_from_it or (first > 0.5) == (lead > 0)
