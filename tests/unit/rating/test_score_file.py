"""score.json as the seeds describe it, and what is done with one that is not."""

import json
from pathlib import Path

import pytest

from src.errors import DataError
from src.rating.storage.score_file import (
    DamagedScoreFile,
    ScoreFile,
    as_text,
    read_score_file,
    set_aside,
)

SEED = r"""{
  "3\\betterbeyondneko_v10_00003_.png": -0.4118409741404654,
  "3\\betterbeyondneko_v10_00026_.png": 0.25,
  "#meta#": {"evaluations": 1007, "model_evals": 123}
}"""


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "score.json"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_the_seeds_example(tmp_path):
    content = read_score_file(write(tmp_path, SEED))
    assert content.scores == {
        "3/betterbeyondneko_v10_00003_.png": -0.4118409741404654,
        "3/betterbeyondneko_v10_00026_.png": 0.25,
    }
    assert content.meta == {"evaluations": 1007, "model_evals": 123}


def test_a_file_that_is_not_there_is_empty(tmp_path):
    assert read_score_file(tmp_path / "score.json") == ScoreFile()


def test_written_with_forward_slashes_and_meta(tmp_path):
    path = write(tmp_path, SEED)
    path.write_text(as_text(read_score_file(path)), encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "3/betterbeyondneko_v10_00003_.png": -0.4118409741404654,
        "3/betterbeyondneko_v10_00026_.png": 0.25,
        "#meta#": {"evaluations": 1007, "model_evals": 123},
    }
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_entries_and_unknown_meta_are_kept(tmp_path):
    text = '{"a.png": 1, "#later#": [1, {"x": null}], "note": "mine", "#meta#": {"who": "me"}}'
    path = write(tmp_path, text)
    path.write_text(as_text(read_score_file(path)), encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == json.loads(text)


def test_a_byte_order_mark_is_read(tmp_path):
    assert read_score_file(write(tmp_path, b'\xef\xbb\xbf{"a.png": 1}')).scores == {"a.png": 1.0}


def test_of_two_spellings_of_a_path_the_one_with_forward_slashes_counts(tmp_path):
    for text in (r'{"a\\b.png": 1, "a/b.png": 2}', r'{"a/b.png": 2, "a\\b.png": 1}'):
        assert read_score_file(write(tmp_path, text)).scores == {"a/b.png": 2.0}


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"a.png": 0.5, "b.p',
        "[]",
        "null",
        '{"a.png": NaN}',
        '{"a.png": Infinity}',
        '{"a.png": 1e999}',
        '{"a.png": "0.5"}',
        '{"a.png": null}',
        '{"a.png": true}',
        '{"#meta#": 3}',
        "[" * 100_000,
        '{"a.png": 1' + "0" * 400 + "}",
        b'{"\xff.png": 1}',
        b"\x00" * 64,
    ],
    ids=range(15),
)
def test_a_damaged_file_is_named_and_left_alone(tmp_path, text):
    path = write(tmp_path, text)
    before = path.read_bytes()
    with pytest.raises(DamagedScoreFile) as error:
        read_score_file(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before


def test_a_file_that_cannot_be_read_is_not_called_damaged(tmp_path):
    path = tmp_path / "score.json"
    path.mkdir()
    with pytest.raises(DataError) as error:
        read_score_file(path)
    assert not isinstance(error.value, DamagedScoreFile)


def test_set_aside_copies_once_per_content(tmp_path):
    path = write(tmp_path, "{broken")
    first = set_aside(path)
    assert set_aside(path) == first
    assert first.name.startswith("score.json.damaged-")
    assert first.read_text() == "{broken"
    path.write_text("{broken again")
    second = set_aside(path)
    assert second != first
    assert second.read_text() == "{broken again"
    assert path.read_text() == "{broken again"


def test_exactly_zero_is_unrated_in_a_file_of_the_old_tool():
    content = ScoreFile({"new.png": 0.0, "old.png": 0.4})
    assert content.unrated() == {"new.png"}
    assert content.rated() == {"old.png": 0.4}


def test_with_a_list_of_unrated_images_zero_can_be_average():
    content = ScoreFile(
        {"average.png": 0.0, "guess.png": 0.7, "d/new.png": 0.0},
        meta={"unrated": ["guess.png", "d\\new.png"]},
    )
    assert content.rated() == {"average.png": 0.0}
