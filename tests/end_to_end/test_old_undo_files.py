"""Undo files of version 0 (commit bc9c4d7): see tests/fixtures/version_0/README.md."""

import json
import os
import shutil

import pytest

from tests.version_0 import FIXTURES, run

MADE_IN = "/tmp/image-taste-version-0"  # the folder that the undo files name
UNDO = sorted(path.stem for path in (FIXTURES / "undo").glob("*.json"))


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
