"""The parts of the Ray engine, without a cluster; tests/end_to_end/test_ray_cluster.py has one."""

import socket
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from src.aesthetic.heads import LinearHead
from src.aesthetic.predictor import Predictor
from src.errors import DataError, MissingExtra, ModelError, SettingsError
from src.features import open_extractors, open_store
from src.images import scan_images
from src.scoring import ray_engine
from src.scoring.object_store import reader, scan
from src.scoring.ray_engine import RayEngine
from src.scoring.scored import score_folder
from src.settings.use_models import ScoreImages
from tests.conftest import make_images

pytest.importorskip("pyarrow")


@pytest.fixture
def place(tmp_path):
    make_images(tmp_path / "images" / "a b", 5)
    (tmp_path / "images" / "broken.jpg").write_bytes(b"no image")
    (builtin,) = open_extractors("builtin")
    weight = np.random.default_rng(0).normal(size=510)
    Predictor(LinearHead(weight, 0.0), extractors=(builtin.describe(),)).save(tmp_path / "model")
    return tmp_path


class Cluster:
    """Runs the workers' part of Ray here; workers die at the lists in `deadly`."""

    exceptions = SimpleNamespace(RayActorError=ConnectionError)

    def __init__(self, deadly=()):
        self.deadly, self.lists = deadly, []

    def remote(self, worker):
        def start(*values):
            compute = worker(*values).compute
            return SimpleNamespace(compute=SimpleNamespace(remote=partial(partial, compute)))

        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=start))

    def wait(self, running):
        return running[:1], running[1:]

    def get(self, task):
        self.lists.append([file.path for file in task.args[0]])
        if len(self.lists) - 1 in self.deadly:
            raise ConnectionError
        return task()

    def cluster_resources(self):
        return {"CPU": 2.0, "memory": 1e9}

    def __enter__(self):
        self.lists = []
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def cluster(monkeypatch):
    cluster = Cluster()
    monkeypatch.setattr(ray_engine, "_ray", lambda address, workers: cluster)
    return cluster


def scored(place, engine=None, store="store", uri=False):
    images = (place / "images").as_uri() if uri else str(place / "images")
    return score_folder(
        place / "images",
        Predictor.load(place / "model"),
        open_extractors("builtin"),
        files=scan(images),
        store_folder=place / store,
        batch_size=2,
        engine=engine and RayEngine(images, str(place / "model"), workers=1),
    )


@pytest.mark.parametrize("uri", [False, True])
def test_the_results_are_those_of_the_local_engine(place, cluster, uri):
    ours, theirs = scored(place, engine=True, uri=uri), scored(place, store="local")
    assert ours.paths == theirs.paths and ours.sha256s == theirs.sha256s
    assert ours.scores.tolist() == theirs.scores.tolist()
    assert ours.unreadable == theirs.unreadable and len(ours.unreadable) == 1
    assert [len(paths) for paths in cluster.lists] == [1] * 6  # small lists: all end together


def test_files_at_which_the_worker_dies_are_named_and_tried_again_next_time(place, cluster):
    cluster.deadly = (1,)
    first = scored(place, engine=True)
    assert len(first) == 4
    assert "worker died" in first.unreadable["a b/001.png"]
    cluster.deadly = ()
    assert len(scored(place, engine=True)) == 5
    assert cluster.lists == [["a b/001.png"], ["broken.jpg"]]


def test_what_is_kept_needs_no_cluster(place, cluster, monkeypatch):
    (place / "images" / "broken.jpg").unlink()
    scored(place, engine=True)
    monkeypatch.setattr(ray_engine, "_ray", None)
    assert len(scored(place, engine=True)) == 5


def test_errors_of_workers_are_ours_again(place, cluster, monkeypatch):
    def raising(error):
        def opened(*_):
            raise error

        monkeypatch.setattr(ray_engine, "open_model", opened)

    raising(ModelError("the model is gone"))
    with pytest.raises(ModelError, match=r"^the model is gone$"):
        scored(place, engine=True)
    raising(ZeroDivisionError("a fault of ours"))
    with pytest.raises(RuntimeError, match=r"(?s)worker.*Traceback.*ZeroDivisionError"):
        scored(place, engine=True)
    with open_store(place, place / "store") as store:
        assert not store.known_files(scan_images(place / "images"))


@pytest.mark.parametrize(
    ("device", "wanted", "resources", "expected"),
    [
        ("auto", 0, {"CPU": 8.0}, (8, 1, 0)),
        ("auto", 0, {"CPU": 16.0, "GPU": 2.0}, (2, 8, 1)),
        ("auto", 1, {"CPU": 16.0, "GPU": 2.0}, (1, 16, 1)),
        ("cpu", 3, {"CPU": 16.0, "GPU": 2.0}, (3, 1, 0)),
        ("cuda:1", 0, {"CPU": 1.0, "GPU": 2.0}, (2, 1, 1)),
    ],
)
def test_one_worker_for_each_gpu_or_processor(device, wanted, resources, expected):
    engine = RayEngine("images", "model", device, workers=wanted)
    workers, each = engine._resources(SimpleNamespace(cluster_resources=lambda: resources))
    assert (workers, each["num_cpus"], each["num_gpus"]) == expected


@pytest.mark.parametrize(
    ("device", "wanted", "part"), [("cuda", 0, "no GPU"), ("auto", 9, "has 8 processors")]
)
def test_what_the_cluster_lacks_is_said(device, wanted, part):
    engine = RayEngine("images", "model", device, "auto", wanted)
    with pytest.raises(SettingsError, match=part):
        engine._resources(SimpleNamespace(cluster_resources=lambda: {"CPU": 8.0}))


def test_without_ray(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match="install ray"):
        scored(place, engine=True)


def test_uris_list_what_folders_list(place):
    images = place / "images"
    (images / ".hidden").mkdir()
    (images / ".hidden" / "x.png").write_bytes(b"x")
    (images / "notes.txt").write_text("x", encoding="utf-8")
    assert scan(images.as_uri()) == scan(str(images)) == scan_images(images)
    for where in (images.as_uri(), images.as_uri() + "/", str(images)):
        with reader(where)("a b/000.png") as stream:
            assert stream.read() == (images / "a b" / "000.png").read_bytes()
        with pytest.raises(OSError):
            reader(where)("gone.png")


@pytest.mark.parametrize("uri", ["file:///not/there", "nonsense://x", "s3://"])
def test_places_that_are_not_there_are_one_line(uri):
    with pytest.raises(DataError, match=uri) as caught:
        scan(uri)
    assert "\n" not in str(caught.value)


def test_object_stores_are_only_scored():
    with pytest.raises(ValueError, match="needs a folder"):
        ScoreImages(top_level_image_directory="s3://bucket/a", action="touch")


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_an_address_where_nothing_answers_is_told_before_ray_starts(form):
    pytest.importorskip("ray")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # not listening
        address = form.format(unused.getsockname()[1])
        with pytest.raises(SettingsError, match="nothing answers at ray_address"):
            next(RayEngine("images", "model", address=address)([], [], set(), 1))
