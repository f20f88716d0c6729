"""arguments.py and the command line become settings, or one clear message."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from src.errors import SettingsError
from src.script import exit_code
from src.settings import AestheticTraining, ScoreImages, load_settings
from src.settings.keys import ScriptSettings
from src.settings.load import run_file
from src.settings.scripts import SCRIPTS
from tests.unit.test_architecture import imports

ROOT = Path(__file__).parents[3]


def load(tmp_path: Path, text: str, *words: str) -> AestheticTraining:
    file = tmp_path / "arguments.py"
    file.write_text(text, encoding="utf-8")
    return load_settings(AestheticTraining, file, words)


def problems(tmp_path: Path, text: str, *words: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text, *words)
    return str(caught.value)


def test_later_places_go_before_earlier_ones(tmp_path):
    text = """
args = {"aesthetic_predictor_training": {"device": "mps", "fraction_for_test": 0.1,
        "training_args": {"seed": 2}}, "test_pick_seed": 1, "device": "cpu",
        "fraction_for_test": 0.5, "score_images": {"device": "cuda"}}
training_args = {"learning_rate": 1e-3, "seed": 1}
"""
    settings = load(tmp_path, text, "--fraction_for_test", "0.3", "--training_args.warmup-steps=5")
    assert settings.test_pick_seed == 1
    assert settings.device == "mps"
    assert settings.fraction_for_test == 0.3
    assert settings.training_args.learning_rate == 1e-3
    assert settings.training_args.seed == 2
    assert settings.training_args.warmup_steps == 5


def load_scoring(tmp_path: Path, text: str, *words: str) -> ScoreImages:
    (tmp_path / "arguments.py").write_text(text, encoding="utf-8")
    return load_settings(ScoreImages, tmp_path / "arguments.py", words)


def test_names_of_version_0_still_work_and_the_new_ones_are_named(tmp_path, caplog):
    text = """
args = {"score_action": "touch", "score_dry_run": True, "existing_tags": "skip", "dry_run": False,
        "classify_undo": "x"}
per_script = {"score_images.py": {"score_first": "worst"}}
"""
    with caplog.at_level("INFO"):
        settings = load_scoring(tmp_path, text, "--score_output=out")
    assert (settings.action, settings.first, settings.output) == ("touch", "worst", "out")
    assert settings.dry_run, "its own key goes before the one of all scripts"
    assert settings.undo == "", "what belongs to another script"
    (line,) = caplog.messages
    assert "'score_action' is now 'action' in the group 'score_images'" in line
    assert "existing" not in line, "this script has no such key"


def test_paths_are_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("USERPROFILE", "/users/me")
    monkeypatch.setenv("HOME", "/home/me")
    settings = load_scoring(tmp_path, "args = {'load_model': '~/m'}", "--into", "%USERPROFILE%/x y")
    assert settings.load_model == "/home/me/m"
    assert settings.into == "/users/me/x y"


def test_a_key_that_is_there_twice_is_named(tmp_path, caplog):
    with caplog.at_level("INFO"):
        settings = load(tmp_path, "args = {\n 'device': 'cpu',\n 'mode': '',\n 'device': 'mps'}")
    assert settings.device == "mps"
    assert caplog.messages == [
        "arguments.py, line 4: 'device' is on line 2 already; this one counts"
    ]


def test_all_problems_are_told_together(tmp_path):
    text = """
args = {"leaning_rate": 1, "device": "gpu", "fraction_for_test": 1.5, "test_pick_seed": True}
training_args = {"num_train_epoch": 3}
"""
    message = problems(tmp_path, text, "save_model=x", "--fraction_for_tst=0.2")
    for part in (
        "arguments.py, line 2: unknown key 'leaning_rate'. Did you mean",
        "device is 'gpu'",
        "fraction_for_test is 1.5",
        "test_pick_seed is True",
        "Did you mean 'num_train_epochs'?",
        "'save_model=x' should read --key=value",
        "command line: unknown key 'fraction_for_tst'. Did you mean 'fraction_for_test'?",
    ):
        assert part in message
    assert len(message.splitlines()) == 7


def test_whole_numbers_do_for_numbers_but_not_the_other_way_round(tmp_path):
    assert load(tmp_path, "training_args = {'weight_decay': 1}").training_args.weight_decay == 1.0
    assert "test_pick_seed" in problems(tmp_path, "args = {'test_pick_seed': 1.5}")
    assert "test_pick_seed" in problems(tmp_path, "args = {'test_pick_seed': '1'}")


def test_texts_on_the_command_line_stay_texts_and_may_hold_equals_signs(tmp_path):
    settings = load(tmp_path, "", "--top_level_image_directory=a=b", "--load_model=1")
    assert settings.top_level_image_directory == "a=b"
    assert settings.load_model == "1"


def test_lists_and_booleans_on_the_command_line(tmp_path):
    settings = load(
        tmp_path,
        "",
        "--hidden_states=[-2, 3]",
        "--aesthetic_model_relu",
        "--use_score_file=False",
    )
    assert settings.hidden_states == (-2, 3)
    assert settings.aesthetic_model_relu is True
    assert settings.use_score_file is False


def test_combinations_that_contradict_each_other(tmp_path):
    message = problems(
        tmp_path,
        "args = {'loss_model': 'ranking'}",
        "--training_args.per_device_train_batch_size=7",
        "--mode=evaluate",
    )
    assert "make it even" in message
    assert "needs load_model" in message


@pytest.mark.parametrize("kind", SCRIPTS)
def test_the_arguments_file_as_delivered_works_for_every_script(kind):
    load_settings(kind, ROOT / "arguments.py")


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


def test_a_setting_of_another_script_in_evaluation_args_is_passed_over(tmp_path):
    file = tmp_path / "arguments.py"
    file.write_text("evaluation_args = {'bootstrap_samples': 7}", encoding="utf-8")
    assert load_settings(ScoreImages, file).evaluation_args.per_device_eval_batch_size == 32
    assert load_settings(AestheticTraining, file).evaluation_args.bootstrap_samples == 7
    with pytest.raises(SettingsError, match=r"no use for 'evaluation_args\.report_images'"):
        load_settings(ScoreImages, file, ["--evaluation_args.report_images=3"])
    with pytest.raises(SettingsError, match="no 'report_image' that score_images supports"):
        load_settings(ScoreImages, file, ["--evaluation_args.report_image=3"])


class _Settings(ScriptSettings):
    """For the tests of the wrapper."""

    script = "anything"


@pytest.mark.parametrize(
    ("error", "code"), [(None, 0), (SettingsError("mend it"), 2), (KeyboardInterrupt(), 130)]
)
def test_exit_codes_and_messages(tmp_path, capsys, error, code):
    (tmp_path / "arguments.py").write_text("", encoding="utf-8")

    def main(settings: _Settings) -> None:
        if error is not None:
            raise error

    assert exit_code(main, _Settings, str(tmp_path / "script.py"), []) == code
    message = capsys.readouterr().err
    assert "Traceback" not in message
    assert ("mend it" in message) == (code == 2)


def test_a_reader_that_goes_away_is_no_fault():
    command = [sys.executable, str(ROOT / "prune_features.py"), "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as script:
        script.stdout.close()  # before it has anything to say
        assert script.stderr.read() == b""
    assert script.returncode == 0


def test_a_fault_of_the_program_is_not_hidden(tmp_path):
    (tmp_path / "arguments.py").write_text("", encoding="utf-8")

    def main(settings: _Settings) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        exit_code(main, _Settings, str(tmp_path / "script.py"), [])


# --- several values for mode meta ---------------------------------------------------------------


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
    assert settings.head == "mlp"
    assert settings.aesthetic_model_dropouts == (0.2, 0.2)
    assert settings.training_args.lr_scheduler_type == "cosine"


def test_a_setting_that_is_a_list_anyway_is_no_search(tmp_path):
    settings = load(tmp_path, "args = {'aesthetic_model_dropouts': [0.1], 'hidden_states': [-2]}")
    assert set(settings.meta_values) == {"epochs", "lr", "batch"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "training_args = {'weight_decay': [0, 0.01]}",
            ["training_args.weight_decay is [0, 0.01]", "add meta to mode"],
        ),
        (
            "args = {'mode': 'meta'}\ntraining_args = {'weight_decay': [0, -1]}",
            ["training_args.weight_decay is -1", "greater than or equal to 0"],
        ),
        (
            "args = {'mode': 'meta', 'device': ['cpu', 'cuda']}",
            ["arguments.py, line 1: device is ['cpu', 'cuda']", "not even mode 'meta'"],
        ),
        (
            "args = {'mode': 'meta'}\ntraining_args = {'learning_rate': [1e-4, 1e-3]}",
            ["training_args.learning_rate", "tries those of meta_lr"],
        ),
        ("args = {'mode': 'meta', 'head': 'ridge'}", ["head: ['mlp', 'ridge']"]),
        ("args = {'mode': 'meta', 'head': ['mlp', 'pairwise']}", ["cannot compare", "pairwise"]),
        ("args = {'mode': 'meta', 'meta_batch': []}", ["meta_batch is empty"]),
        ("args = {'mode': 'meta', 'aesthetic_model_relu': []}", ["one value is needed here"]),
        ("args = {'mode': 'meta', 'meta_storage': 'meta.db'}", ["meta_storage is 'meta.db'"]),
        (
            "args = {'mode': 'meta', 'loss_model': ['mse', 'ranking']}\n"
            "training_args = {'per_device_train_batch_size': 7}",
            ["make it even"],
        ),
        ("args = {'mlp_members': 2}", ["mlp_members must be 1"]),
        ("args = {'aesthetic_model_hidden': [0]}", ["from 1 on"]),
    ],
)
def test_lists_that_cannot_be_searched_are_explained(tmp_path, text, parts):
    message = problems(tmp_path, text)
    for part in parts:
        assert part in message
    assert len(message.splitlines()) == 1


def test_other_scripts_say_only_that_one_value_is_needed(tmp_path):
    from src.settings import ScoreImages

    (tmp_path / "arguments.py").write_text("args = {'load_model': ['a', 'b']}", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"one value is needed here$"):
        load_settings(ScoreImages, tmp_path / "arguments.py")


def test_names_of_searched_settings_are_those_of_the_search():
    from src.aesthetic.search.space import KEYS, USUAL
    from src.settings.several_values import searchable

    assert set(searchable(AestheticTraining).values()) == {"head", *KEYS} - set(USUAL)
