"""arguments.py and the command line become settings, or one clear message."""

import ast
import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import transformers

from src.errors import SettingsError
from src.script import exit_code
from src.settings.aesthetic_training import AestheticTraining
from src.settings.classifier import ClassifierTraining
from src.settings.keys import ScriptSettings
from src.settings.load import load_settings, run_file
from src.settings.old_names import TRAINING_GONE, TRAINING_RENAMED
from src.settings.scripts import SCRIPTS
from src.settings.use_models import ScoreImages
from tests.unit.test_architecture import imports

ROOT = Path(__file__).parents[3]


def load(tmp_path: Path, text: str, *words: str, kind: Any = AestheticTraining) -> Any:
    file = tmp_path / "arguments.py"
    file.write_text(text, encoding="utf-8")
    return load_settings(kind, file, words)


def test_later_places_go_before_earlier_ones(tmp_path):
    text = """
args = {"aesthetic_predictor_training": {"device": "mps", "fraction_for_test": 0.1,
        "training_args": {"seed": 2}}, "test_pick_seed": 1, "device": "cpu",
        "fraction_for_test": 0.5, "score_images": {"device": "cuda"}}
training_args = {"learning_rate": 1e-3, "seed": 1}
"""
    settings = load(tmp_path, text, "--fraction_for_test", "0.3", "--warmup-steps=5")
    assert (settings.test_pick_seed, settings.device, settings.fraction_for_test) == (1, "mps", 0.3)
    training = settings.training_args
    assert (training.learning_rate, training.seed, training.warmup_steps) == (1e-3, 2, 5)


def test_names_of_version_0_still_work_and_the_new_ones_are_named(tmp_path, caplog):
    text = """
args = {"score_action": "touch", "score_dry_run": True, "existing_tags": "skip", "dry_run": False}
per_script = {"score_images.py": {"score_first": "worst"}}
"""
    with caplog.at_level("INFO"):
        settings = load(tmp_path, text, "--score_output=out", kind=ScoreImages)
    assert (settings.action, settings.first, settings.output) == ("touch", "worst", "out")
    assert settings.dry_run, "its own key goes before the one of all scripts"
    (line,) = caplog.messages
    assert "'score_action' is now 'action' in the group 'score_images'" in line
    assert "existing" not in line, "this script has no such key"
    text = "args = {'score_action': 'touch', 'dry_run': False}\nper_script = {}"
    assert load(tmp_path, text, kind=ScoreImages).dry_run, "there, it was for the tag scripts"


def test_paths_are_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("USERPROFILE", "/users/me")
    monkeypatch.setenv("HOME", "/home/me")
    words = ("--into", "%USERPROFILE%/x y")
    settings = load(tmp_path, "args = {'load_model': '~/m'}", *words, kind=ScoreImages)
    assert settings.load_model == "/home/me/m"
    assert settings.into == "/users/me/x y"


def test_a_key_that_is_there_twice_is_named(tmp_path, caplog):
    with caplog.at_level("INFO"):
        settings = load(tmp_path, "args = {\n 'device': 'cpu',\n 'mode': '',\n 'device': 'mps'}")
    assert settings.device == "mps"
    assert caplog.messages == [
        "arguments.py, line 4: 'device' is on line 2 already; this one counts"
    ]


def test_values_on_the_command_line_have_the_type_of_their_key(tmp_path):
    words = ("--top_level_image_directory=a=b", "--load_model=1", "--hidden_states=[-2, 3]")
    settings = load(tmp_path, "", *words, "--aesthetic_model_relu", "--use_score_file=False")
    assert (settings.top_level_image_directory, settings.load_model) == ("a=b", "1")
    assert settings.hidden_states == (-2, 3)
    assert (settings.aesthetic_model_relu, settings.use_score_file) == (True, False)


@pytest.mark.parametrize("kind", SCRIPTS)
@pytest.mark.parametrize("file", ["arguments.py", "tests/fixtures/version_0/arguments.txt"])
def test_the_arguments_file_of_each_version_works_for_every_script(kind, file):
    load_settings(kind, ROOT / file)


def test_the_arguments_file_holds_the_default_values():
    variables = run_file(ROOT / "arguments.py", [])[0]
    own = {"base_model", "save_model", "eval_every_n_epochs", "training_args"}  # of the classifier
    for kind in SCRIPTS:
        defaults = kind().model_dump(mode="json")
        group = {k: v for k, v in variables["args"].get(kind.script, {}).items() if k not in own}
        shared = {k: v for k, v in variables["args"].items() if k in defaults and k != "mode"}
        for key, value in (shared | group).items():
            assert defaults[key] == value, f"{kind.script}: {key}"
    defaults = AestheticTraining().model_dump(mode="json")
    assert variables["training_args"].items() <= defaults["training_args"].items()
    assert variables["evaluation_args"] == defaults["evaluation_args"]


@pytest.mark.parametrize("kind", SCRIPTS)
def test_every_setting_of_a_script_is_read_by_it(kind):
    waiting, files = {ROOT / f"{kind.script}.py"}, set[Path]()
    while waiting:
        file = waiting.pop()
        files.add(file)
        for name in imports(file):
            place = ROOT / name.replace(".", "/")  # a file, or a package
            found = {place.with_suffix(".py"), *place.glob("*.py")} - files
            waiting |= {file for file in found if file.is_file() and "settings" not in name}
    files.add(ROOT / f"{kind.__module__.replace('.', '/')}.py")
    read = {  # as an attribute, or by its name
        getattr(node, "attr", getattr(node, "value", None))
        for text in (file.read_text(encoding="utf-8") for file in files)
        if "settings" in text
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Attribute, ast.Constant))
    }
    evaluation = kind.model_fields.get("evaluation_args")
    inner = evaluation.annotation.model_fields if evaluation else {}  # type: ignore[union-attr]
    assert {*kind.model_fields, *inner} - read - {"training_args"} == set()


class _Settings(ScriptSettings):
    """For the tests of the wrapper."""

    script = "anything"
    top_level_image_directory: str = ""


def test_exit_codes_and_messages(tmp_path, capsys):
    (tmp_path / "arguments.py").touch()
    script = str(tmp_path / "script.py")
    for error, code in ((None, 0), (SettingsError("mend it"), 2), (KeyboardInterrupt(), 130)):
        assert exit_code(Mock(side_effect=error), _Settings, script, []) == code
        message = capsys.readouterr().err
        assert "Traceback" not in message
        assert ("mend it" in message) == (code == 2)
    with pytest.raises(ZeroDivisionError):  # a fault of the program is not hidden
        exit_code(Mock(side_effect=ZeroDivisionError), _Settings, script, [])


def test_ctrl_c_before_a_script_has_begun_is_one_line():
    program = "import src.files; raise KeyboardInterrupt"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "\nStopped.\n")


def test_a_reader_that_goes_away_is_no_fault():
    command = [sys.executable, str(ROOT / "prune_features.py"), "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as script:
        script.stdout.close()  # before it has anything to say
        assert script.stderr.read() == b""
    assert script.returncode == 0


def test_lists_are_searched_in_mode_meta_and_the_first_value_is_what_others_see(tmp_path):
    text = """
args = {"mode": "meta", "head": ["mlp", "ridge"], "aesthetic_model_dropouts": [[0.2, 0.2], []],
        "loss_model": ["mse", "ranking"], "aesthetic_model_relu": [True, False]}
training_args = {"weight_decay": [0, 0.01], "lr_scheduler_type": ["cosine"]}
"""
    settings = load(tmp_path, text, "--training_args.warmup_ratio=[0, 0.1]", "--meta_lr=[1e-3]")
    assert settings.meta_values == {
        "epochs": (50, 100, 200),
        "lr": (1e-3,),
        "batch": (4, 8, 16),
        "head": ("mlp", "ridge"),
        "loss": ("mse", "ranking"),
        "dropouts": ((0.2, 0.2), ()),
        "relu": (True, False),
        "weight_decay": (0.0, 0.01),
        "lr_scheduler_type": ("cosine",),
        "warmup_ratio": (0.0, 0.1),
    }
    assert (settings.head, settings.aesthetic_model_dropouts) == ("mlp", (0.2, 0.2))
    a_list_anyway = load(tmp_path, "args = {'aesthetic_model_dropouts': [0.1]}")
    assert set(a_list_anyway.meta_values) == {"epochs", "lr", "batch"}


META, TRAIN = "args = {'mode': 'meta'", "training_args"
ODD = "training_args = {'per_device_train_batch_size': 7}"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (f"{TRAIN} = {{'weight_decay': [0, 0.01]}}", ["is [0, 0.01]", "add meta to mode"]),
        (f"{META}}}\n{TRAIN} = {{'weight_decay': [0, -1]}}", [f"{TRAIN}.weight_decay is -1"]),
        (
            f"{META}, 'device': ['cpu', 'cuda']}}",
            ["device is [", "one value is needed"],
        ),
        (
            f"{META}}}\n{TRAIN} = {{'learning_rate': [1e-4]}}",
            ["mode 'meta' tries", "meta_lr"],
        ),
        (f"{META}, 'head': 'ridge'}}", ["head: ['mlp', 'ridge']"]),
        (f"{META}, 'head': ['mlp', 'pairwise']}}", ["cannot compare", "pairwise"]),
        (f"{META}, 'meta_batch': []}}", ["meta_batch is empty"]),
        (f"{META}, 'aesthetic_model_relu': []}}", ["one value is needed here"]),
        (f"{META}, 'meta_storage': 'meta.db'}}", ["meta_storage is 'meta.db'"]),
        (f"{META}, 'loss_model': ['mse', 'ranking']}}\n{ODD}", ["make it even"]),
        ("args = {'mlp_members': 2}", ["mlp_members must be 1"]),
        ("args = {'aesthetic_model_hidden': [0]}", ["of 1 or more"]),
    ],
)
def test_lists_that_cannot_be_searched_are_explained(tmp_path, text, parts):
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    assert all(part in str(caught.value) for part in parts), caught.value
    assert len(str(caught.value).splitlines()) == 1


def test_their_names_are_read_without_importing_them():
    program = (
        "import sys\n"
        "from src.settings.old_names import training_argument_names\n"
        "print(*training_argument_names())\n"
        "assert not sys.modules.keys() & {'torch', 'transformers', 'numpy'}\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    fields = {field.name for field in dataclasses.fields(transformers.TrainingArguments)}
    assert set(done.stdout.split()) == fields
    assert not TRAINING_GONE & fields
    assert set(TRAINING_RENAMED.values()) <= fields


def test_the_classifier_passes_values_on_as_they_are(tmp_path):
    text = "training_args = {'lr_scheduler_kwargs': {'num_cycles': 0.5}, 'optim': 'adafactor'}"
    words = ["--training_args.bf16", "--training_args.warmup_ratio", "0.1"]
    settings = load(tmp_path, text, *words, kind=ClassifierTraining)
    assert settings.training_args.given == {
        "lr_scheduler_kwargs": {"num_cycles": 0.5},
        "optim": "adafactor",
        "bf16": True,
        "warmup_steps": 0.1,
    }


def test_the_mlp_passes_over_what_it_has_no_use_for(tmp_path, caplog):
    text = """
args = {"head": "mlp"}
training_args = {"evaluation_strategy": "epoch", "save_total_limit": 2, "warmup_ratio": 0.1,
                 "per_device_train_batch_size": 6, "gradient_accumulation_steps": 4}
"""
    with caplog.at_level("INFO"):
        settings = load(tmp_path, text)
    assert settings.training_args.warmup_ratio == 0.1
    assert settings.training_args.per_device_train_batch_size == 24
    (line,) = caplog.messages
    assert line.endswith("training_args.evaluation_strategy, training_args.save_total_limit.")


def test_a_preset_moves_several_keys_and_each_can_be_replaced(tmp_path):
    words = ("--augment=strong", "--augment_mixup=0.5")
    strong = load(tmp_path, "", *words, kind=ClassifierTraining)
    assert (strong.augment_rotation, strong.augment_mixup) == (20.0, 0.5)
    assert not load(tmp_path, "", "--augment=off", kind=ClassifierTraining).augments
    light, usual = (
        load(tmp_path, "", *w, kind=ClassifierTraining) for w in (["--augment=light"], [])
    )
    assert light.model_dump() == usual.model_dump()
