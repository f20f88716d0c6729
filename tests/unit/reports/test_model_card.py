"""Models' cards: what they say, what they keep to themselves, whose file they are."""

import logging

import pytest
import yaml

from src.files import README, has_our_readme
from src.reports.model_card import write_card


def card(folder, **changes):
    given = {
        "task": "classes",
        "images": {"train": 1000, "test": 30},
        "test": {"n": 30, "accuracy": 0.9, "accuracy_interval": [0.744, 0.965]},
        "provenance": {"model": "google/vit-base-patch16-224", "penalty": "0.1"},
        "bases": {"google/vit-base-patch16-224": "apache-2.0"},
        "labels": {"a|b <i>": 500, "dog": 530},
    }
    folder.mkdir(exist_ok=True)
    write_card(folder, **(given | changes))
    return (folder / README).read_text(encoding="utf-8")


def front(text):
    """What the hub reads."""
    return yaml.safe_load(text.split("---\n")[1])


def test_what_the_hub_reads_and_what_people_read(tmp_path):
    text = card(tmp_path / "my model")
    assert front(text) == {
        "license": "apache-2.0",
        "base_model": ["google/vit-base-patch16-224"],
        "library_name": "transformers",
        "pipeline_tag": "image-classification",
        "tags": ["image-taste"],
    }
    assert "| right class | 90.0% | 74.4% to 96.5% |" in text
    assert "| train images | 1,000 |" in text and "Measured on 30 images" in text
    rows = [line for line in text.splitlines() if line.endswith(("| 500 |", "| 530 |"))]
    assert rows == ["| dog | 530 |", r"| a\|b \<i\> | 500 |"]
    assert "--load_model=my model" in text.replace("'", "")


def test_what_other_programs_must_do_for_a_wd_tagger(tmp_path):
    assert "blue, green, red" in card(tmp_path / "m", task="tags", wd_tagger=True)
    assert "blue, green, red" not in card(tmp_path / "n", task="tags")


def test_folders_of_this_computer_are_not_told(tmp_path):
    (tmp_path / "secret" / "vit").mkdir(parents=True)
    base = str(tmp_path / "secret" / "vit")
    text = card(tmp_path / "m", provenance={"model": base}, bases={base: ""})
    assert "secret" not in text and "| model | vit |" in text
    assert not {"base_model", "license"} & front(text).keys()


def test_what_was_not_measured_is_not_claimed(tmp_path):
    assert "Not measured on images" in card(tmp_path / "m", test={})
    assert "Not measured on images" in card(tmp_path / "m", test={"n": 0, "accuracy": None})
    assert "too good" in card(tmp_path / "m", unknown=["old.pth"])


def test_choices_are_the_test_where_there_are_any(tmp_path):
    pairs = {"value": 0.71, "interval": [0.6, 0.8], "trials": 1234}
    test = {"n": 0, "ab": 0.99, "random_pairs": pairs, "picked_pairs": None}
    text = card(tmp_path / "m", task="aesthetic", test=test, labels={})
    assert "| 1,234 choices between random pairs, predicted | 71.0% | 60.0% to 80.0% |" in text
    assert "99" not in text and "hard" not in text


@pytest.mark.parametrize("mine", ["Mine.", None], ids=["a person's", "an edited card"])
def test_only_its_own_card_is_written_again(tmp_path, mine, caplog):
    caplog.set_level(logging.INFO)
    before = card(tmp_path / "m")
    assert has_our_readme(tmp_path / "m")
    assert card(tmp_path / "m", test={}) != before
    text = mine or before.replace("dog", "my dog")
    (tmp_path / "m" / README).write_text(text, encoding="utf-8")
    assert not has_our_readme(tmp_path / "m")
    assert card(tmp_path / "m") == text
    assert "left as it is" in caplog.text
