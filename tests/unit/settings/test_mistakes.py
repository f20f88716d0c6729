"""Mistakes that a beginner makes, and the line that each gets."""

from pathlib import Path

import pytest

from src.errors import SettingsError
from src.script import exit_code
from src.settings.aesthetic_training import AestheticTraining
from src.settings.classifier import ClassifierTraining
from src.settings.describe import help_text
from src.settings.load import load_settings
from src.settings.use_models import ScoreImages

ROOT = Path(__file__).parents[3]
PLACE = '"top_level_image_directory"'
IN_THE_FILE = [  # what stands in args, from line 2 on; what is said
    ('"mode": "train"\n"device": "cpu",', "line 2: a comma is missing at its end"),
    ('"dry_run": true,', "line 2: true: write True"),
    ('"device": cpu,', 'line 2: put text in quotation marks: "cpu"'),
    ('device: "cpu",', 'line 2: write the key in quotation marks: "device":'),
    (f"{PLACE}: C:/Users/me,", "line 2: put text in quotation marks, paths too"),
    (f'{PLACE}: "C:\\Users\\me",', 'line 2: write "C:/Users/me", or every backslash twice'),
    (f'{PLACE}: "C:\\new",', 'a backslash needs a second one, or write "C:/new"'),
    (f'{PLACE}: "C:\\pics\\",', 'line 2: write "C:/pics": a backslash before a quotation'),
    ('"device": "cpu,', "line 2: a quotation mark is missing"),
    ('"device": “cpu”,', 'line 2: write straight quotation marks (") instead of “'),
    ('"device" = "cpu",', "line 2: write a colon, not =, between a key and its value"),
    ('"device" "cpu",\n"mode": "",', "line 2: a colon is missing after the key"),
    ('"fraction_for_test": 0,25,', "line 2: write 0.25: use a decimal point"),
    ('"fraction_for_test": 25%,', "line 2: write 0.25 instead of 25%"),
    ('"test_pick_seed": 42nd,', "line 2: write a number without a unit"),
    ('"device": "cpu", // mine', "line 2: write # before a comment"),
    ('"device": "cpu";', "line 2: write a comma at the end instead of a semicolon"),
    ('    "cuts": [0.1,\n    "mode": "",', "line 2: the [ is never closed"),
    ('"score_images":\n"first": "best"},', "line 2: a { is missing at its end"),
    ('"device": "cpu",}', "line 3: } closes nothing: remove it, or add its other half"),
    ('"fraction_for_test": "0,25",', "line 2: fraction_for_test is '0,25': write 0.25, without"),
    ('"fraction_for_test": 25,', "line 2: fraction_for_test is 25: it is a share: write 0.25"),
    ('"test_pick_seed": 1.5,', "line 2: test_pick_seed is 1.5: write a whole number"),
    ('"train_backbone": "true",', "line 2: train_backbone is 'true': write True, without quot"),
    ('"load_model": None,', 'line 2: load_model is None: write "" for none'),
    ('"image_sizes": 320,', "line 2: image_sizes is 320: write a list: [320]"),
    ('"augment": "Strong",', "'off', 'light', 'strong'. Did you mean 'strong'?"),
    ('"devise": "cpu",', "line 2: unknown key 'devise'. Did you mean 'device'?"),
    ('"weight_decay": 0.1,', "line 2: unknown key 'weight_decay': it belongs in training_args"),
    ('"score_image": {},', "line 2: unknown key 'score_image'. Did you mean 'score_images'?"),
    ('"custom_classifier_training": "x",', "classifier_training must be a group: {...}"),
    ('"training_args": {"learning_rat": 1},', "Did you mean 'training_args.learning_rate'?"),
]
FILES = [
    ("args = {", "line 1: the { is never closed"),
    ("args = {},", "arguments.py: args must be a group: {...}; remove the comma after its }"),
    (" args = {}", "line 1: remove the spaces at the beginning of the line"),
    ("import nothing_of_that_name", "line 1: ModuleNotFoundError"),
    ("args = {'mode': 'é'}".encode("latin-1"), "not UTF-8 text: save it with the encoding UTF-8"),
    ("per_script = {'score_image': {}}", "no script is called 'score_image'. Did you mean"),
]
WORDS = [
    (
        ["--top_level_image_directory=my", "pictures"],
        "'pictures' is no setting; put quotation marks around",
    ),
    (["mode=train"], "'mode=train' is no setting; write --mode=train"),
    (["--cuts=[0.5]"], "has no setting 'cuts'; score_images has"),
    (["--evaluation_args.report_image=3"], "Did you mean 'evaluation_args.report_images'?"),
    (["--mode=evaluate"], "needs load_model"),
    (["--mode=meta"], "'meta' is not one of"),
    (["--early_stopping_patience=3", "--fraction_for_validation=0"], "early_stopping_patience"),
]


@pytest.mark.parametrize(
    ("text", "words", "part"),
    [(f"args = {{\n{lines}\n}}\n", [], part) for lines, part in IN_THE_FILE]
    + [(text, [], part) for text, part in FILES]
    + [("", words, part) for words, part in WORDS],
)
def test_a_mistake_is_one_line_that_mends_it(tmp_path, text, words, part):
    file = tmp_path / "arguments.py"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError) as caught:
        load_settings(ClassifierTraining, file, words)
    assert part in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_every_comma_that_is_missing_from_the_arguments_file_is_found(tmp_path):
    lines, file = (ROOT / "arguments.py").read_text().splitlines(), tmp_path / "arguments.py"
    for number, line in enumerate(lines, 1):
        code, _, comment = line.partition("  #")
        following = [
            other.strip() for other in lines[number:] if other.strip()[:1] not in ("#", "")
        ]
        if code.startswith("    ") and code.endswith(",") and following[0][0] != "}":
            broken = [*lines[: number - 1], f"{code[:-1]}  # {comment}", *lines[number:]]
            file.write_text("\n".join(broken))
            with pytest.raises(
                SettingsError, match=f"line {number}: a comma is missing at its end"
            ):
                load_settings(ScoreImages, file)


@pytest.mark.parametrize("value", ["postgresql:/me:secret@host/db", "me:a secret@x"])
def test_no_password_is_shown(tmp_path, value):
    file = tmp_path / "arguments.py"
    file.write_text(f"args = {{'meta_storage': {value!r}}}")
    with pytest.raises(SettingsError, match=r"meta_storage is .*@") as caught:
        load_settings(AestheticTraining, file, [])
    assert "secret" not in str(caught.value)
    assert "secret" not in help_text(AestheticTraining, file, [], everything=True)


def test_all_problems_are_told_together(tmp_path):
    text = 'args = {\n"devise": 1,\n"device": "gpu"}\ntraining_args = {"num_train_epoch": 3}'
    (tmp_path / "arguments.py").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(ClassifierTraining, tmp_path / "arguments.py", ["--augment_crop=0"])
    assert len(str(caught.value).splitlines()) == 4


@pytest.mark.parametrize(
    ("folder", "part"),
    [
        ("photos/sumer", "(did you mean 'photos/summer'?)"),
        ("photos/x/y", "('photos' holds 'summer', 'winter')"),
        ("photos/a.jpg", "('photos/a.jpg' is a file)"),
    ],
)
def test_a_folder_that_is_not_there(tmp_path, monkeypatch, capsys, folder, part):
    monkeypatch.chdir(tmp_path)
    for name in ("summer", "winter"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    (tmp_path / "photos" / "a.jpg").touch()
    (tmp_path / "arguments.py").touch()
    words = [f"--top_level_image_directory={folder}"]
    assert exit_code(print, ScoreImages, str(tmp_path / "score_images.py"), words) == 2
    assert part in capsys.readouterr().err
