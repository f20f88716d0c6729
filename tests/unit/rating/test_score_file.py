"""score.json as the seeds describe it, and what is done with one that is not."""

import json
from pathlib import Path

import pytest

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
    assert read_score_file(tmp_path / "nowhere.json") == ScoreFile()
    assert read_score_file(write(tmp_path, b'\xef\xbb\xbf{"a.png": 1}')).scores == {"a.png": 1.0}
    for text in (r'{"a\\b.png": 1, "a/b.png": 2}', r'{"a/b.png": 2, "a\\b.png": 1}'):
        assert read_score_file(write(tmp_path, text)).scores == {"a/b.png": 2.0}


def test_unknown_entries_and_unknown_meta_are_kept(tmp_path):
    text = '{"a.png": 1, "#later#": [1, {"x": null}], "note": "mine", "#meta#": {"who": "me"}}'
    path = write(tmp_path, text)
    path.write_text(as_text(read_score_file(path)), encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == json.loads(text)


@pytest.mark.parametrize(
    "entries",
    [
        r'"a\\b.png": [0.5, 7], "c.png": [0, 0]',
        r""""ImageRecords": {"a\\b.png": {"relative_filepath": "a\\b.png", "comparisons": 7,
         "score": 0.5}, "c.png": {"comparisons": 0, "score": 0}}, "Additionals": ["comparisons"]""",
        r'"ImageRecords": {"a\\b.png": {"score": 9}, "c.png": {"score": 0}}, "a/b.png": 0.5',
    ],
    ids=["with comparisons", "records", "records and newer scores"],
)
def test_later_files_of_the_old_tool(tmp_path, entries):
    content = read_score_file(write(tmp_path, f'{{{entries}, "#meta#": {{"score": [1, 2]}}}}'))
    assert content.scores == {"a/b.png": 0.5, "c.png": 0.0}
    assert content.rated() == {"a/b.png": 0.5}
    assert content.meta == {"score": [1, 2]}
    again = read_score_file(write(tmp_path, as_text(content)))
    assert again == content


SCORES = ("NaN", "Infinity", "1e999", "1e308", "-1e9", "1" + "0" * 400, '"0.5"', "null", "true")
DAMAGED = [
    *('{"a.png": [0.5]}', '{"a.png": ["x", 1]}', '{"ImageRecords": {"a.png": {"comparisons": 1}}}'),
    *(f'{{"a.png": {score}}}' for score in SCORES),
    *("", '{"a.png": 0.5, "b.p', "[]", "null", '{"#meta#": 3}', "[" * 100_000),
    *(b'{"\xff.png": 1}', b"\x00" * 64, r'{"\ud800.png": 1}', r'{"#meta#": {"a": "\udfff"}}'),
]


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_named_and_left_alone(tmp_path, text):
    path = write(tmp_path, text)
    before = path.read_bytes()
    with pytest.raises(DamagedScoreFile) as error:
        read_score_file(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before


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


def test_with_a_list_of_unrated_images_zero_can_be_average():
    content = ScoreFile(
        {"average.png": 0.0, "guess.png": 0.7, "d/new.png": 0.0},
        meta={"unrated": ["guess.png", "d\\new.png"]},
    )
    assert content.rated() == {"average.png": 0.0}
    of_the_old_tool = ScoreFile({"new.png": 0.0, "old.png": 0.4})
    assert of_the_old_tool.unrated() == {"new.png"}
    assert of_the_old_tool.rated() == {"old.png": 0.4}
