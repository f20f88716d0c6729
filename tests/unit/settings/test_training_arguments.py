"""training_args: every name of the installed TrainingArguments, and no other."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import transformers

from src.errors import SettingsError
from src.settings import ClassifierTraining, load_settings
from src.settings.old_names import TRAINING_GONE, TRAINING_RENAMED
from src.settings.training_arguments import training_argument_names

ROOT = Path(__file__).parents[3]


def load(tmp_path, text, *words):
    file = tmp_path / "arguments.py"
    file.write_text(text, encoding="utf-8")
    return load_settings(ClassifierTraining, file, words)


def test_the_names_are_those_of_the_class_without_importing_it():
    fields = {field.name for field in dataclasses.fields(transformers.TrainingArguments)}
    assert training_argument_names() == fields
    assert not TRAINING_GONE & fields
    assert set(TRAINING_RENAMED.values()) <= fields


def test_the_check_does_not_load_torch():
    program = (
        "import sys\n"
        "from src.settings.training_arguments import TrainerArgs\n"
        "TrainerArgs.model_validate({'seed': 1})\n"
        "assert not sys.modules.keys() & {'torch', 'transformers', 'numpy'}\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("learning_rat", "Did you mean 'learning_rate'?"),
        ("qqq", "no such name"),
    ],
)
def test_unknown_names_are_told_with_the_one_that_is_meant(tmp_path, name, part):
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, f"training_args = {{{name!r}: 1, 'seed': 2}}")
    message = str(caught.value)
    assert message.startswith(f"arguments.py, line 1: training_args.{name} is 1: ")
    assert part in message
    assert len(message.splitlines()) == 1


def test_values_are_passed_on_as_they_are(tmp_path):
    text = "training_args = {'lr_scheduler_kwargs': {'num_cycles': 0.5}, 'optim': 'adafactor'}"
    settings = load(tmp_path, text, "--training_args.bf16=True", "--training_args.warmup_steps=0.1")
    assert settings.training_args.given == {
        "lr_scheduler_kwargs": {"num_cycles": 0.5},
        "optim": "adafactor",
        "bf16": True,
        "warmup_steps": 0.1,
    }


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--mode=evaluate"], "needs load_model"),
        (["--early_stopping_patience=3", "--fraction_for_validation=0"], "early_stopping_patience"),
        (["--mode=meta"], "'meta' is not one of"),
        (["--augment_crop=0"], "augment_crop"),
    ],
)
def test_settings_that_make_no_sense_are_told(tmp_path, words, part):
    with pytest.raises(SettingsError, match=part):
        load(tmp_path, "", *words)
