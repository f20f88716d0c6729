"""--help, and the page of all settings."""

from pathlib import Path

import pytest

from src.settings.describe import help_text, reference
from src.settings.keys import fields
from src.settings.scripts import SCRIPTS
from src.settings.use_models import ScoreImages

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "arguments.py"


@pytest.mark.parametrize("kind", SCRIPTS)
def test_help_shows_the_essentials_on_one_screen_and_everything_if_asked(kind):
    short = help_text(kind, SHIPPED, [], everything=False)
    assert len(short.splitlines()) <= 50
    assert all(f"  --{key}=" in short for key in ("top_level_image_directory", *kind.essentials))
    long = help_text(kind, SHIPPED, [], everything=True)
    for key, field in fields(kind).items():
        assert f"  --{key}=" in long
        assert field.description, f"{kind.script}: {key}"


def test_help_shows_the_values_in_force_and_where_they_come_from(tmp_path):
    file = tmp_path / "arguments.py"
    file.write_text("args = {'load_model': 'm',\n'score_images': {'first': 'worst'}}")
    text = help_text(ScoreImages, file, ["--cuts", "[0.5]"], everything=False)
    assert "--first=worst   (best or worst; arguments.py, line 2)" in text
    assert "--cuts=[0.5]   (list of numbers; command line)" in text
    assert "--output=scored   (text; default)" in text
    file.write_text("args = {")
    text = help_text(ScoreImages, file, [], everything=False)
    assert "--first=best" in text and "line 1: the { is never closed" in text


def test_the_page_of_all_settings_is_up_to_date():
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == reference(), "python -m src.settings.describe > docs/settings.md"
