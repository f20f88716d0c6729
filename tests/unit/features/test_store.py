"""The feature store, and the extraction that fills it."""

import contextlib
import hashlib
import multiprocessing
import shutil
import sqlite3
import threading

import numpy as np
import pytest
from PIL import Image

from src.errors import DataError
from src.features import ImageExtractor, compute_features, open_store
from src.features.extract import UNREADABLE, Computed, _with_estimate
from src.features.store import FILE_NAME, FeatureStore
from src.files import read_csv
from src.images import ImageFile, read_ahead, scan_images
from src.images.perceptual_hash import HASH_BYTES


class MeanColour(ImageExtractor):
    """An extractor whose features are known by hand; counts the images it saw."""

    name = "mean colour"
    min_side = 8

    def __init__(self, identity="mean|v1", interrupt_after=None):
        self.identity = identity
        self.loaded = 0
        self.seen = 0
        self.interrupt_after = interrupt_after

    def load(self, images=0):
        self.loaded += 1

    def prepare(self, image):
        return np.asarray(image, np.float32).reshape(-1, 3).mean(0)

    def extract(self, prepared):
        if self.interrupt_after is not None and self.seen >= self.interrupt_after:
            raise KeyboardInterrupt
        self.seen += len(prepared)
        return np.stack(prepared).astype(np.float32)

    def describe(self):
        return {"name": self.name}


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for index in range(10):
        Image.new("RGB", (12, 9), (index * 20, 0, 0)).save(images / f"{index}.png")
    return images


def run(folder, extractor=None, **options):
    extractor = extractor or MeanColour()
    with open_store(folder) as store:
        return compute_features(folder, scan_images(folder), [extractor], store, **options)


def test_features_are_computed_once(folder):
    first, second = MeanColour(), MeanColour()
    table = run(folder, first, batch_size=3)
    assert table.paths == [f"{i}.png" for i in range(10)]
    assert table.vectors == pytest.approx(np.array([[i * 20, 0, 0] for i in range(10)]))
    assert table.vectors.dtype == np.float32
    again = run(folder, second)
    assert (again.vectors == table.vectors).all() and again.sha256s == table.sha256s
    assert (first.seen, second.seen, second.loaded) == (10, 0, 0)


def test_the_model_begins_before_the_last_image_of_a_small_folder_is_decoded(folder):
    for index in range(10, 30):
        Image.new("RGB", (12, 9), (0, index * 8, 0)).save(folder / f"{index}.png")
    prepared, at_first = [], []

    class Watched(MeanColour):
        def prepare(self, image):
            prepared.append(image)
            return super().prepare(image)

        def extract(self, pixels):
            at_first.append(len(prepared))
            return super().extract(pixels)

    assert len(run(folder, Watched(), workers=1).paths) == 30
    assert at_first[0] < 20


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.1, ""), (1, "1,000 images with ViT-L/14 on this computer: about 2 minutes.\n"),
     (5, "about 8 minutes.\n"), (50, "about 90 minutes. Faster: a GPU")],
)  # fmt: skip
def test_long_work_is_estimated_from_the_first_images(monkeypatch, caplog, seconds, said):
    """Each batch of ten takes so many seconds; loading the model, before the first, takes four."""
    caplog.set_level("INFO")
    clock = [0.0]
    monkeypatch.setattr("src.features.extract.time.monotonic", lambda: clock[0])

    def batches():
        clock[0] = 4.0
        for _ in range(100):
            clock[0] += seconds
            yield [Computed(ImageFile("a", 1, 1))] * 10

    assert sum(map(len, _with_estimate(batches(), 1000, "ViT-L/14"))) == 1000
    assert said in caplog.text and bool(said) == bool(caplog.text)


def test_each_image_is_decoded_once_for_all_extractors(folder, monkeypatch):
    """Where one has its features already, only the other computes."""
    run(folder, MeanColour("a|v1"))
    Image.new("RGB", (12, 9), (0, 0, 77)).save(folder / "new.png")
    opened = []
    real = read_ahead.open_image
    monkeypatch.setattr(
        read_ahead, "open_image", lambda file, **how: opened.append(how) or real(file, **how)
    )
    first, second = MeanColour("a|v1"), MeanColour("b|v1")
    second.min_side = 4
    with open_store(folder) as store:
        files = scan_images(folder)
        table = compute_features(folder, files, [first, second], store)
    assert (first.seen, second.seen) == (1, 11)
    assert [how["min_side"] for how in opened] == [4] * 10 + [8]
    assert np.array_equal(table.vectors[:, :3], table.vectors[:, 3:])
    assert table.blocks == (3, 3)


def test_passes_run_side_by_side_and_come_in_their_order():
    together = threading.Barrier(2, timeout=20)  # each of two passes waits for the other

    def work(batch):
        if len(batch) == 3:
            together.wait()
        return batch

    found = read_ahead.in_passes(range(7), work, size=3, at_once=2)
    assert list(found) == [[0, 1, 2], [3, 4, 5], [6]]


def test_only_new_and_changed_images_are_computed(folder):
    run(folder)
    Image.new("RGB", (12, 9), (0, 99, 0)).save(folder / "3.png")
    Image.new("RGB", (12, 9), (0, 0, 77)).save(folder / "new.png")
    (folder / "0.png").unlink()
    (folder / "sub").mkdir()
    (folder / "1.png").rename(folder / "sub" / "x.png")
    for copy in range(5):
        shutil.copy(folder / "new.png", folder / f"copy{copy}.png")
    extractor = MeanColour()
    table = run(folder, extractor, batch_size=2)
    assert extractor.seen == 2  # each content once
    found = dict(zip(table.paths, table.vectors.tolist(), strict=True))
    assert (found["3.png"], found["sub/x.png"]) == ([0, 99, 0], [20, 0, 0])
    assert found["new.png"] == found["copy4.png"] == [0, 0, 77]
    assert "0.png" not in found and len(found) == 15


def test_features_of_several_extractors_are_joined_in_order(folder):
    with open_store(folder) as store:
        table = compute_features(
            folder, scan_images(folder), [MeanColour("a"), MeanColour("b")], store
        )
    assert table.vectors.shape == (10, 6)
    assert (table.vectors[:, :3] == table.vectors[:, 3:]).all()


def test_without_an_extractor_there_are_contents_and_hashes_and_no_features(folder):
    (folder / "empty.png").write_bytes(b"")
    with open_store(folder) as store:
        for _ in range(2):  # the second time from the store
            table = compute_features(folder, scan_images(folder), [], store)
            assert table.paths == [f"{i}.png" for i in range(10)]
            assert table.sha256s == [
                hashlib.sha256((folder / path).read_bytes()).digest() for path in table.paths
            ]
            assert table.perceptual_hashes.shape == (10, HASH_BYTES)
            assert table.vectors.shape == (10, 0) and table.blocks == ()
            assert table.unreadable == {"empty.png": "empty file"}
        assert store.described(table.sha256s) == {}
    extractor = MeanColour()
    run(folder, extractor)
    assert extractor.seen == 10


def test_vectors_of_zeros_that_finding_duplicates_once_left_are_no_features(folder):
    with open_store(folder) as store:
        table = compute_features(folder, scan_images(folder), [MeanColour()], store)
        zeros = dict.fromkeys(table.sha256s, np.zeros(1, np.float32))
        store.put(vectors={"fingerprints|v1": zeros})
        assert store.described(table.sha256s) == {"mean|v1": set(table.sha256s)}
        assert store.prune(scan_images(folder))["features"] == 10
        assert store.holds("fingerprints|v1") == set()
        assert store.vectors("mean|v1", table.sha256s) == pytest.approx(table.vectors)


def test_what_cannot_be_read_is_left_out_and_named(folder, caplog):
    (folder / "empty.png").write_bytes(b"")
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    Image.fromarray(noise).save(folder / "cut.png")
    (folder / "cut.png").write_bytes((folder / "cut.png").read_bytes()[:2000])
    (folder / "text.jpg").write_text("no image", encoding="utf-8")
    table = run(folder)
    assert len(table.paths) == 10
    assert set(table.unreadable) == {"empty.png", "cut.png", "text.jpg"}
    assert table.unreadable["empty.png"] == "empty file"
    assert not (folder / UNREADABLE).exists()  # three can be read in the terminal
    for index in range(9):
        (folder / f"empty {index}.png").write_bytes(b"")
    table = run(folder)
    listed = {row["path"]: row["problem"] for _, row in read_csv(folder / UNREADABLE)}
    assert listed == table.unreadable
    assert "Left out: 12 images" in caplog.text
    assert str(folder / UNREADABLE) in caplog.text


def test_an_interruption_keeps_what_is_done(folder):
    with pytest.raises(KeyboardInterrupt):
        run(folder, MeanColour(interrupt_after=6), batch_size=3)
    extractor = MeanColour()
    run(folder, extractor)
    assert extractor.seen == 4


def test_a_store_that_is_no_database_is_set_aside_and_made_again(folder, caplog):
    for aside in ("damaged", "damaged-2"):
        (folder / FILE_NAME).write_bytes(b"damaged" * 1000)
        assert len(run(folder).paths) == 10
        assert (folder / f"{FILE_NAME}.{aside}").read_bytes() == b"damaged" * 1000
        assert f"{FILE_NAME}.{aside}" in caplog.text
    extractor = MeanColour()
    run(folder, extractor)
    assert extractor.seen == 0


@pytest.mark.parametrize("small", [True, False])  # larger ones are not checked on opening
def test_damage_anywhere_in_a_store_is_a_line_and_the_next_run_makes_it_again(
    folder, monkeypatch, small
):
    if not small:
        monkeypatch.setattr("src.features.store._CHECKED_BYTES", 0)
    rng = np.random.default_rng(0)
    run(folder)
    whole = (folder / FILE_NAME).read_bytes()
    for _ in range(15):
        damaged = bytearray(whole)
        for place in rng.integers(100, len(damaged), 60):
            damaged[place] = rng.integers(256)
        (folder / FILE_NAME).write_bytes(damaged[: rng.integers(2000, 2 * len(damaged))])
        with contextlib.suppress(DataError):
            run(folder)
        with open_store(folder) as store:
            table = compute_features(folder, scan_images(folder), [MeanColour()], store)
        assert len(table.paths) == 10 and table.vectors.shape == (10, 3)


def test_a_store_that_names_a_file_is_a_line(folder):
    with pytest.raises(DataError, match=r"0\.png is a file: name a folder"):
        open_store(folder, folder / "0.png")


def test_a_store_of_a_newer_version_is_refused(folder):
    with open_store(folder):
        pass
    with sqlite3.connect(folder / FILE_NAME) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(DataError, match="newer version"):
        open_store(folder)


def test_prune_forgets_what_is_gone_and_nothing_else(folder):
    run(folder)
    (folder / "0.png").unlink()
    with open_store(folder) as store:
        counts = store.prune(scan_images(folder))
        assert [counts[key] for key in ("files", "images", "features")] == [1, 1, 1]
    extractor = MeanColour()
    run(folder, extractor)
    assert extractor.seen == 0


def test_an_image_folder_that_cannot_be_written_has_its_store_elsewhere(
    folder, tmp_path, monkeypatch
):
    monkeypatch.setattr("src.features.store.is_writable", lambda path: False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    run(folder)
    assert not (folder / FILE_NAME).exists()
    assert list(tmp_path.rglob(FILE_NAME))


def test_a_store_that_another_process_is_making_is_waited_for(tmp_path):
    file = tmp_path / FILE_NAME
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE t (x)")
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.5, lambda: other.execute("COMMIT"))
    timer.start()
    with FeatureStore(file) as store:
        assert store.holds("x") == set()
    timer.join()
    other.close()


def test_a_store_that_stays_locked_is_not_called_damaged(tmp_path, monkeypatch):
    monkeypatch.setattr("src.features.store._PATIENCE", 0.1)
    file = tmp_path / FILE_NAME
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("CREATE TABLE t (x)")
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(DataError, match="in use") as caught:
            FeatureStore(file)
        assert "delete" not in str(caught.value)
    finally:
        other.close()


def _fill(file, start):
    with FeatureStore(file) as store:
        for index in range(start, start + 200, 10):
            store.put(
                vectors={
                    "x": {
                        bytes([i % 256, i // 256]): np.ones(4) * i for i in range(index, index + 10)
                    }
                },
            )


def test_two_processes_may_fill_a_store_at_once(tmp_path):
    file = tmp_path / FILE_NAME
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_fill, args=(file, start)) for start in (0, 200)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    with FeatureStore(file) as store:
        keys = [bytes([i % 256, i // 256]) for i in range(400)]
        assert store.holds("x") == set(keys)
        assert store.vectors("x", keys)[:, 0].tolist() == list(range(400))
