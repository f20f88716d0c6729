"""Files written by version 0 (commit bc9c4d7) still load, and mean what they meant then.

What they are and what that version made of them lies in tests/fixtures/version_0; see its README.
"""

import csv
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from src.errors import ModelError

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "version_0"
MADE_IN = "/tmp/image-taste-version-0"  # the folder that the undo files name
EXPECTED = FIXTURES / "expected"
STORE = json.loads((EXPECTED / "store.json").read_text("utf-8"))
CHOICES = json.loads((EXPECTED / "choices.json").read_text("utf-8"))
PREDICTIONS = json.loads((EXPECTED / "predictions.json").read_text("utf-8"))
CLASSIFIERS, TAGGERS = ("classifier", "classifier_whole"), ("tagger_asl", "tagger_both")
UNDO = sorted(path.stem for path in (FIXTURES / "undo").glob("*.json"))
OLD_COLUMNS = 10  # of the choice log; later versions add some behind them
MAY_BE_REFUSED = {"gp"}  # heads that a later version may drop, if it says so in one line

# Runs several command lines one after the other, so that torch is imported once for all of them, or
# cannot be imported at all.
SEVERAL = """
import json, runpy, sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ImportError("torch was imported")

if sys.argv[1] == "without torch":
    sys.meta_path.insert(0, NoTorch())
for command in json.loads(sys.argv[2]):
    sys.argv = command
    try:
        runpy.run_path(command[0], run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
"""

# ---- the only functions of the program that are called here; all else goes through its scripts


def load_model(folder):
    from src.aesthetic.predictor import Predictor

    return Predictor.load(folder)


def open_ratings(folder, **options):
    from src.rating.session import RatingDatabase

    return RatingDatabase(folder, **options)


def kept_features(folder):
    """Extractor -> path -> vector, of the feature store of an image folder."""
    from src.features import open_store
    from src.images import scan_images

    with open_store(folder) as store, closing(sqlite3.connect(store.file)) as connection:
        known = store.known_files(scan_images(folder))
        return {
            identity: dict(zip(known, store.vectors(identity, list(known.values())), strict=True))
            for (identity,) in connection.execute("SELECT identity FROM extractors").fetchall()
        }


# ---- helpers


def copy_fixtures(folder):
    """With the images beside the choices made on them, and with the times that the store knows."""
    shutil.copytree(FIXTURES, folder, dirs_exist_ok=True)
    shutil.copytree(folder / "images" / "a", folder / "choices" / "a")
    shutil.copytree(folder / "few" / "c", folder / "from_model" / "c")
    for path, _, mtime_ns, _ in STORE["files"]:
        os.utime(folder / "few" / path, ns=(mtime_ns, mtime_ns))
    return folder


@pytest.fixture
def place(tmp_path):
    return copy_fixtures(tmp_path)


def run(place, *commands, torch=True, check=True):
    """Run scripts in the folder; without torch, features must have been kept or be built in."""
    scripts = [[str(ROOT / f"{script}.py"), *words] for script, *words in commands]
    with_torch = "with torch" if torch else "without torch"
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, with_torch, json.dumps(scripts)],
        cwd=place, capture_output=True, text=True, encoding="utf-8", check=False, timeout=250,
        env=os.environ | {"PYTHONUTF8": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert not check or done.returncode == 0, done.stderr
    return done


def table(file, key):
    """The rows of a CSV file by one of its columns, the others as numbers where they are."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = {row.pop(key): row for row in csv.DictReader(stream)}
    return {name: {k: number(v) for k, v in row.items()} for name, row in rows.items()}


def number(text):
    try:
        return float(text)
    except ValueError:
        return text


def assert_same(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for name, row in expected.items():
        assert found[name] == pytest.approx(row, abs=tolerance), name


def score(place, *models, besides=(), torch=False, check=True):
    """Score the images of `few`; the table of each model goes into scored/NAME."""
    words = ["score_images", "--top_level_image_directory=few", "--gallery=off"]
    commands = [
        [*words, f"--load_model={model}", f"--output=scored/{Path(model).name}"] for model in models
    ]
    return run(place, *commands, *besides, torch=torch, check=check)


def scored(place, name):
    return table(place / "scored" / name / "scores.csv", "path")


def tagging(place, name, backend):
    """The command that tags a copy of the images with a model."""
    (place / name).mkdir()
    for path in (place / "tagged").glob("*.png"):
        shutil.copy(path, place / name)
    words = ["tag_images", "--whitelist=", f"--tag_backend={backend}", "--device=cpu"]
    words += [f"--top_level_image_directory={name}", f"--load_model=models/{name}"]
    return [*words, f"--tag_probabilities={name}.csv", "--dry_run=False"]


@pytest.fixture(scope="module")
def with_torch(tmp_path_factory):
    """Where models that need torch were used, all in one process."""
    place = copy_fixtures(tmp_path_factory.mktemp("with_torch"))
    (place / "few" / ".features.sqlite").unlink()
    words = ["--top_level_image_directory=categories", "--device=cpu"]
    measure = ["custom_classifier_training", *words, "--mode=evaluate", "--test_pick_seed=7"]
    classify = ["classify_images", *words]
    models = [(name, f"--load_model=models/{name}") for name in CLASSIFIERS]
    commands = [[*classify, model, f"--classify_table={name}.csv"] for name, model in models]
    commands += [[*measure, model] for _, model in models]
    commands += [tagging(place, name, "torch") for name in TAGGERS]
    score(place, "models/ridge", torch=True, besides=commands)
    return place


def is_refusal(name, message):
    """Whether one line names the head and asks for a new training."""
    lines = message.strip().splitlines()
    return len(lines) == 1 and all(word in lines[0] for word in (name, "head", "train"))


# ---- models of taste


@pytest.mark.parametrize("name", PREDICTIONS)
def test_a_model_gives_the_same_scores(name):
    expected = PREDICTIONS[name]
    try:
        model = load_model(FIXTURES / "models" / name)
    except ModelError as error:
        assert name in MAY_BE_REFUSED and is_refusal(name, str(error))
        return
    features = np.array(expected["features"], np.float32)
    scores = model.predict(features)
    assert scores == pytest.approx(np.array(expected["scores"]), abs=1e-5)
    for key, values in (
        ("uncertainty", model.predict_std(features)),
        ("percentile", model.percentile(scores)),
        ("probability", model.probability(scores)),
    ):
        known = expected[key]
        assert (values is None) == (known is None), key
        assert known is None or values == pytest.approx(np.array(known), abs=1e-4), key


def test_images_are_scored_from_kept_features(place):
    """Torch cannot be imported, so the features are those of the old store."""
    names = sorted(PREDICTIONS.keys() - {"light"} | {"builtin"})
    score(place, *(f"models/{name}" for name in names if name not in MAY_BE_REFUSED))
    for name in names:
        if name in MAY_BE_REFUSED:
            done = score(place, f"models/{name}", check=False)
            if done.returncode:
                assert done.returncode == 2 and is_refusal(name, done.stderr)
                continue
        assert_same(scored(place, name), table(EXPECTED / "scores" / f"{name}.csv", "path"), 1e-4)


def test_images_are_scored_from_features_computed_anew(place, with_torch):
    """A light copy and the built-in features do without torch; the others do not."""
    (place / "few" / ".features.sqlite").unlink()
    shutil.rmtree(place / "convnext")
    score(place, "models/light", "models/builtin")
    for folder, name in ((place, "light"), (place, "builtin"), (with_torch, "ridge")):
        assert_same(scored(folder, name), table(EXPECTED / "scores" / f"{name}.csv", "path"), 2e-3)


def test_the_file_for_comfyui_gives_the_models_scores(place):
    score(place, "models/mlp/comfyui.safetensors")
    found = scored(place, "comfyui.safetensors")
    expected = table(EXPECTED / "scores" / "mlp.csv", "path")
    assert list(found) == list(expected)
    for path, row in expected.items():
        assert found[path]["score"] == pytest.approx(row["score"], abs=1e-4)


def test_a_model_is_measured_again_on_the_images_it_was_not_trained_on(place):
    words = ["--top_level_image_directory=images", "--use_score_file=scores.csv"]
    words += ["--mode=evaluate", "--feature_extractor=builtin", "--load_model=models/builtin"]
    run(place, ["aesthetic_predictor_training", *words, "--save_model=again"], torch=False)
    before = table(place / "models" / "builtin" / "predictions.csv", "relative_path")
    after = table(place / "again" / "predictions.csv", "relative_path")
    assert after.keys() == before.keys()
    for path, row in before.items():
        assert after[path]["split"] == row["split"]
        assert after[path]["predicted"] == pytest.approx(row["predicted"], abs=2e-3)


def test_training_goes_on_from_a_model(place):
    words = ["--top_level_image_directory=images", "--use_score_file=scores.csv", "--head=mlp"]
    words += ["--feature_extractor=backbone", "--training_args.num_train_epochs=2"]
    words += ["--aesthetic_model_dropouts=[0.1]", "--aesthetic_model_relu=True"]
    words += ["--load_model=models/mlp", "--save_model=more", "--device=cpu"]
    run(place, ["aesthetic_predictor_training", *words])
    features = np.array(PREDICTIONS["mlp"]["features"], np.float32)
    change = load_model(place / "more").predict(features) - PREDICTIONS["mlp"]["scores"]
    assert 0 < np.abs(change).max() < 0.5  # from scratch it would be anything


# ---- the feature store


def test_the_feature_store_is_read(place):
    found = kept_features(place / "few")
    assert {identity: len(vectors) for identity, vectors in found.items()} == STORE["counts"]
    path_of = {sha256.lower(): path for path, _, _, sha256 in STORE["files"]}
    for identity, sha256, vector in STORE["features"]:
        assert found[identity][path_of[sha256]] == pytest.approx(np.array(vector), abs=1e-5)


def test_the_feature_store_is_pruned(place):
    next((place / "few" / "c").iterdir()).unlink()
    done = run(place, ["prune_features", "--top_level_image_directory=few"], torch=False)
    assert "entries of 1 missing file" in done.stdout
    for vectors in kept_features(place / "few").values():
        assert len(vectors) == len(STORE["files"]) - 1


# ---- choices and scores


def read_events(place):
    with closing(sqlite3.connect(place / "choices" / "score_choices.sqlite")) as connection:
        rows = connection.execute("SELECT * FROM events ORDER BY id").fetchall()
    return [row[:OLD_COLUMNS] for row in rows]


@pytest.mark.parametrize("method", ["posterior", "elo"])
def test_choices_give_their_scores(place, method):
    expected, events = CHOICES[method], read_events(place)
    with open_ratings(place / "choices", method=method) as ratings:
        scores, before = ratings.scores(), expected["scores"]
        assert scores.keys() == before.keys()
        if method == "elo":
            assert scores == pytest.approx(before, abs=1e-6)
        else:  # how steep the answers are is learned since
            pairs = np.array([(scores[path], before[path]) for path in before]).T
            assert np.corrcoef(pairs)[0, 1] > 0.98
        assert ratings.comparisons() == expected["comparisons"]
        assert ratings.unrated() == expected["unrated"]
        assert ratings.images == expected["images"]
        left, right = ratings.next_set()
        ratings.record(left, right, "left")
    assert read_events(place)[:-1] == events
    meta = json.loads((place / "choices" / "score.json").read_text("utf-8"))["#meta#"]
    assert meta["note"] == "kept"
    # 9 of the old tool, 91 in the log of which one was a skip and one was taken back, and this one.
    assert meta["evaluations"] == 9 + 91 - 2 + 1


def test_unrated_images_get_a_models_scores(place):
    words = ["--top_level_image_directory=choices", "--load_model=models/builtin"]
    events = read_events(place)
    run(place, ["aesthetic_score_from_model", *words], torch=False)
    assert read_events(place) == events
    with open_ratings(place / "choices") as ratings:
        assert ratings.unrated() == CHOICES["posterior"]["unrated"]
        assert ratings.comparisons() == CHOICES["posterior"]["comparisons"]


@pytest.mark.parametrize("head", ["pairwise", "ridge"])
def test_a_model_is_trained_on_choices_and_scores(place, head):
    words = ["--top_level_image_directory=choices", "--feature_extractor=builtin"]
    words += [f"--head={head}", "--save_model=new"]
    run(place, ["aesthetic_predictor_training", *words], torch=False)
    content = json.loads((FIXTURES / "choices" / "score.json").read_text("utf-8"))
    rated = content.keys() - {"#meta#", *content["#meta#"]["unrated"]}
    assert table(place / "new" / "predictions.csv", "relative_path").keys() == rated


def test_a_score_file_without_a_log_is_where_a_session_begins(place):
    (place / "choices" / "score_choices.sqlite").unlink()
    for folder in ("from_model", "choices"):
        content = json.loads((place / folder / "score.json").read_text("utf-8"))
        unrated = content.pop("#meta#")["unrated"]
        with open_ratings(place / folder) as ratings:
            found = ratings.scores()
            assert {path: found[path] for path in content} == pytest.approx(content, abs=1e-6)
            assert set(ratings.unrated()) - (found.keys() - content.keys()) == set(unrated)


# ---- categories and tags


def test_classifiers_give_the_same_probabilities(with_torch):
    for name in CLASSIFIERS:
        found = table(with_torch / f"{name}.csv", "path")
        assert_same(found, table(EXPECTED / f"{name}.csv", "path"), 1e-3)


def test_measuring_a_classifier_without_a_record_changes_nothing_and_says_so(with_torch):
    for name in CLASSIFIERS:
        for file in (FIXTURES / "models" / name).iterdir():
            assert (with_torch / "models" / name / file.name).read_bytes() == file.read_bytes()
        results = with_torch / "models" / name / "evaluation-categories"
        images = len(table(results / "predictions.csv", "path"))
        metrics = json.loads((results / "metrics.json").read_text("utf-8"))
        assert metrics["all"]["n"] == images
        assert "does not say" in (results / "report.html").read_text("utf-8")


def test_taggers_give_the_same_tags(place, with_torch):
    run(place, tagging(place, "tagger", "onnx"), torch=False)
    for name, folder in (("tagger", place), *((name, with_torch) for name in TAGGERS)):
        expected = table(EXPECTED / f"{name}.csv", "path")
        assert_same(table(folder / f"{name}.csv", "path"), expected, 2e-3)
        thresholds = json.loads((folder / "models" / name / "thresholds.json").read_text("utf-8"))
        tags = json.loads((EXPECTED / f"{name}_tags.json").read_text("utf-8"))
        for path, row in expected.items():
            # A threshold is some image's own probability: rounding may decide there.
            if min(abs(value - thresholds["global"]) for value in row.values()) > 2e-3:
                written = (folder / name / f"{path}.txt").read_text("utf-8").split()
                assert written == tags[f"{path}.txt"]


def test_a_taggers_list_of_tags_is_read(place):
    words = ["--load_model=models/tagger", "--tag_action=list"]
    listed = run(place, ["tag_images", *words], torch=False).stdout.split()
    rows = table(FIXTURES / "models" / "tagger" / "selected_tags.csv", "name")
    assert listed[2::3] == list(rows)
    assert [float(count) for count in listed[::3]] == [row["count"] for row in rows.values()]


# ---- taking changes back


def build(folder, state):
    """Make the files of a recorded state."""
    for name, entry in state.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if "link" in entry:
            path.symlink_to(folder / entry["link"])
            continue
        if "image" in entry:
            shutil.copyfile(FIXTURES / "images" / entry["image"], path)
        else:
            path.write_text(entry["text"], encoding="utf-8", newline="")
        os.utime(path, ns=(entry["mtime_ns"], entry["mtime_ns"]))


def state_of(folder):
    """The same of what is there, but for undo files and feature stores."""
    images = FIXTURES / "images"
    pool = {path.read_bytes(): path.relative_to(images).as_posix() for path in images.rglob("*.p*")}
    found = {}
    for path in sorted([*(folder / "photos").rglob("*"), *(folder / "sorted").rglob("*")]):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = {"link": path.readlink().relative_to(folder).as_posix()}
        elif path.is_file() and path.suffix not in (".json", ".jsonl", ".sqlite"):
            content = path.read_bytes()
            if content in pool:
                found[name] = {"image": pool[content], "mtime_ns": path.stat().st_mtime_ns}
            else:
                found[name] = {"text": content.decode("utf-8")}
        elif path.name == "score.json":
            found[name] = {"text": path.read_text("utf-8")}
    return found


def without_times_of_texts(state):
    return {
        name: {k: v for k, v in entry.items() if k != "mtime_ns" or "image" in entry}
        for name, entry in state.items()
    }


def recorded(name):
    return json.loads((FIXTURES / "undo" / f"{name}.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def taken_back(tmp_path_factory):
    """A folder in which each of the changes had been made, and was taken back, by one process."""
    place = tmp_path_factory.mktemp("undo")
    commands = []
    for name in UNDO:
        record, folder = recorded(name), place / "undo" / name
        try:
            build(folder, record["after"])
        except OSError as error:  # Windows allows symbolic links to some users only
            pytest.skip(f"this system makes no links: {error}")
        undo_file = place / record["undo_file"]
        undo_file.parent.mkdir(parents=True, exist_ok=True)
        text = (FIXTURES / "undo" / f"{name}.undo").read_text("utf-8")
        assert MADE_IN in text
        here = json.dumps(place.as_posix())[1:-1]
        undo_file.write_text(text.replace(MADE_IN, here), encoding="utf-8")
        assert state_of(folder) == without_times_of_texts(record["after"])
        commands.append([word.replace("PLACE", place.as_posix()) for word in record["command"]])
    run(place, *commands, torch=False)
    return place


@pytest.mark.parametrize("name", UNDO)
def test_changes_are_taken_back(taken_back, name):
    record, found = recorded(name), state_of(taken_back / "undo" / name)
    before = without_times_of_texts(record["before"])
    if name == "classify_copy" and found != before:  # version 0 left copies where they are
        assert found == without_times_of_texts(record["taken_back"])
        return
    assert found == before
