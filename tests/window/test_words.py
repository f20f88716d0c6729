"""Words and numbers that the window shows."""

from dataclasses import replace

import numpy as np
import pytest

from src.evaluation.proportion import Proportion
from src.rating.models.order import OrderQuality
from src.rating.session import RatingDatabase
from src.rating.statistics import ChoiceCounts
from src.window.footer import status_text
from src.window.screen import scale_of
from src.window.set_view import shorten
from src.window.statistics_panel import figures
from tests.conftest import make_images


@pytest.fixture
def statistics(tmp_path):
    make_images(tmp_path, 6)
    with RatingDatabase(tmp_path, selection="random", seed=0, goal=20) as database:
        for _ in range(12):
            database.record(*database.next_set(), "left")
        yield database.statistics()


def test_the_status_says_how_good_the_order_is(statistics):
    order = OrderQuality(np.array([90, 150]), np.array([0.84, 0.88]), 0.8, 0.9)
    text = "order about 84% there; 60 more choices: 88%"
    assert status_text(12, 20, replace(statistics, order=order)) == ("12 of 20", text)
    enough = replace(statistics, order=order._replace(expected=np.array([0.91, 0.915])))
    assert status_text(12, 20, enough)[1] == "order about 91% there: you can stop"
    assert status_text(21, 20, None) == ("21 of 20", "")


@pytest.mark.parametrize(
    ("measured", "value", "detail"),
    [
        (Proportion(22, 30), "73%", "56–86%, 22 of 30"),
        (Proportion(9, 9), "–", "9 of the 10 it takes"),
    ],
)
def test_figures_of_the_statistics_page(statistics, measured, value, detail):
    matched = [True] * measured.successes + [False] * (measured.trials - measured.successes)
    known = replace(
        statistics,
        session=ChoiceCounts(answered=12, matched=matched),
        total=ChoiceCounts(audit=measured, repeats=measured),
        session_seconds=30.0,
    )
    assert [tuple(figure) for figure in figures(known)] == [
        ("This session", "12", "of 20 · 24 a minute"),
        ("Session as predicted", value, detail),
        ("All sessions", "12", "4.0 for each image"),
        ("Not rated yet", "0", "of 6 images"),
        ("Random pairs predicted", value, detail),
        ("Repeats answered alike", value, detail),
    ]


def test_long_paths_keep_their_ends():
    assert shorten("short.jpg", len, 9) == "short.jpg"
    assert shorten("short.jpg", len, 0) == "s…pg"
    text = shorten("a/very/long/way/to/an/image.jpg", len, 20)
    assert len(text) == 20
    assert text.endswith("an/image.jpg")
    assert text.startswith("a/")
    assert "…" in text


@pytest.mark.parametrize(
    ("desktop_dpi", "screen_dpi", "rows", "scale"),
    [
        (None, 96, 1080, 1.0),
        (None, 96, 2160, 1.8),  # 4K without a word from the desktop
        (96, 96, 2160, 1.0),  # as the desktop says
        (192, 96, 2160, 2.0),
        (None, 168, 1200, 1.75),
        (None, 960, 1200, 4.0),
    ],
)
def test_the_scale_of_a_screen(desktop_dpi, screen_dpi, rows, scale):
    assert scale_of(desktop_dpi, screen_dpi, rows) == scale
