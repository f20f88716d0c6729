"""The real window: keys, mouse, size, what is on the screen, what is on the disk."""

import itertools
import json
import os
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from src.errors import ModelError
from src.rating.models.order import OrderQuality
from src.rating.statistics import OddOneOut
from src.window.controls import legend
from src.window.theme import SURROUND
from tests.window.conftest import COLOURS

pytestmark = pytest.mark.gui


def outcomes(folder):
    """What the choice log holds; only once the database is closed."""
    with closing(sqlite3.connect(folder / "score_choices.sqlite")) as log:
        return log.execute('SELECT "left", "right", outcome FROM events ORDER BY id').fetchall()


def test_the_pair_is_on_a_neutral_grey_at_one_scale(colours, open_window):
    driver = open_window(colours)
    assert driver.seen() == driver.session.images
    shot = driver.screenshot()
    grey = tuple(int(SURROUND[i : i + 2], 16) for i in (1, 3, 5))
    assert grey[0] == grey[1] == grey[2]
    assert shot.getpixel((3, 3))[:3] == grey
    layout = driver.window.view.layout
    scales = []
    for path, place in zip(driver.session.images, layout, strict=True):
        with Image.open(colours / path) as image:
            scales += [place.width / image.width, place.height / image.height]
    assert scales == pytest.approx([scales[0]] * 4, rel=0.01)


def test_keys_and_clicks_answer_and_the_next_set_comes(colours, open_window):
    driver = open_window(colours)
    expected = []
    for keysym, outcome in (("1", "left"), ("Right", "right"), ("Down", "tie"), ("space", "skip")):
        pair = driver.session.images
        driver.press(keysym)
        assert driver.session.images != pair
        assert driver.seen() == driver.session.images
        expected.append((*pair, outcome))
    for side in ("left", "right"):
        expected.append((*driver.session.images, side))
        driver.input.click(*driver.on_screen(*driver.centre(side)))
        driver.idle(0.4)  # a second click sooner would be a double click
        driver.look()
    driver.close()
    assert outcomes(colours) == expected


def test_a_click_beside_the_pictures_and_a_double_click(colours, open_window):
    driver = open_window(colours)
    driver.input.click(*driver.on_screen(4, 4))
    driver.idle(0.2)
    assert driver.session.done == 0
    place = driver.on_screen(*driver.centre("left"))
    driver.input.click(*place)
    driver.idle(0.2)
    driver.input.click(*place)
    driver.idle(0.2)
    assert driver.session.done == 1
    driver.input.click(*driver.on_screen(4, 4), 3)
    driver.idle(0.1)
    assert "Point at a picture" in driver.text()
    assert not driver.window.canvas.find_withtag("zoom")


def test_a_key_that_is_held_down_chooses_once(colours, open_window):
    driver = open_window(colours)
    driver.input.key("1", down=True)
    driver.idle(1.0)  # X repeats keys after 0.66 seconds
    driver.input.key("1", down=False)
    driver.idle(0.2)
    assert driver.session.done == 1
    driver.press("1")
    assert driver.session.done == 2


def test_keys_with_alt_are_the_systems_and_of_keys_too_fast_to_look_one_counts(
    colours, open_window
):
    driver = open_window(colours)
    driver.input.press("Alt_L", "1")
    driver.idle(0.2)
    assert driver.session.done == 0
    for keysym in ("1", "2", "1", "2"):
        driver.input.press(keysym)
    driver.idle(0.3)
    assert driver.session.done == 1


def test_undo_brings_the_pair_back(colours, open_window):
    driver = open_window(colours)
    pair = driver.session.images
    for keysyms in (("u",), ("BackSpace",), ("Control_L", "z")):
        driver.press("1")
        driver.input.press(*keysyms)
        driver.idle(0.1)
        driver.look()
        assert driver.seen() == pair
        assert driver.session.done == 0


@pytest.mark.parametrize("how", ["q", "close button"])
def test_quitting_saves_and_everything_is_on_the_disk(colours, open_window, how):
    driver = open_window(colours)
    driver.press("1", "2", "t")
    if how == "q":
        driver.press("q")
    else:
        driver.root.tk.call(driver.root.protocol("WM_DELETE_WINDOW"))
    assert driver.closed
    driver.close()
    scores = json.loads((colours / "score.json").read_text(encoding="utf-8"))
    assert scores["#meta#"]["evaluations"] == 3
    assert [row[2] for row in outcomes(colours)] == ["left", "right", "tie"]


def test_another_size_keeps_the_pictures_inside_and_sharp(colours, open_window):
    driver = open_window(colours)
    for size in ("700x420", "1400x800"):
        driver.resize(size)
        canvas, layout = driver.window.canvas, driver.window.view.layout
        assert layout[0].x > 0
        assert layout[1].x + layout[1].width < canvas.winfo_width()
        used = layout[1].x + layout[1].width - layout[0].x
        tallest = max(layout[0].height, layout[1].height)
        assert used >= canvas.winfo_width() - 46 or tallest >= canvas.winfo_height() - 46
        assert driver.seen() == driver.session.images
    assert driver.session.done == 0
    driver.press("1")
    assert driver.session.done == 1


def test_a_size_that_comes_and_goes_leaves_the_pictures_sharp(tmp_path, open_window):
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(rng.integers(0, 256, (350, 450, 3), dtype=np.uint8)).save(tmp_path / name)
    driver = open_window(tmp_path)
    before = np.asarray(driver.screenshot().convert("RGB"))
    width, height = driver.root.winfo_width(), driver.root.winfo_height()
    for size in (f"{width - 90}x{height}", f"{width}x{height}"):
        driver.root.geometry(size)
        driver.idle(0.06)  # shorter than it takes to settle
    driver.idle(0.5)
    assert np.array_equal(np.asarray(driver.screenshot().convert("RGB")), before)


def test_the_footer_shows_every_key_and_the_progress_past_the_goal_too(
    colours, open_window, monkeypatch
):
    driver = open_window(colours, goal=1)
    driver.press("1")
    assert "1 choice reached" in driver.text()
    driver.press("Escape", "2")
    assert driver.session.overlay is None
    order = OrderQuality(np.array([500, 600]), np.array([0.88, 0.9]), 0.8, 0.9)
    driver.session._history = [True] * 12_345
    known = replace(driver.session.statistics, order=order)
    monkeypatch.setattr(driver.database, "statistics", lambda: known)
    footer = driver.window.footer
    for size in ("700x420", "1200x600", "1500x600"):
        driver.resize(size)
        driver.session.statistics = known
        driver.window._show_status()
        driver.idle(0.1)
        words = {footer.itemcget(i, "text") for i in footer.find_all() if footer.type(i) == "text"}
        for key in legend(2):
            assert {key.caps[0], key.label} <= words
        assert {"12,345 of 1", "order about 88% there; 100 more choices: 90%"} <= words
        inside = footer.bbox("all")
        assert inside[2] <= footer.winfo_width() + 1
        assert inside[3] <= footer.winfo_height() + 1


def test_long_names_stay_on_their_side(tmp_path, open_window):
    for name, size in (("a" * 120, (100, 900)), ("b" * 120, (900, 300))):
        Image.new("RGB", size, "red").save(tmp_path / f"{name}.png")
    driver = open_window(tmp_path)
    driver.press("n")
    canvas, layout = driver.window.canvas, driver.window.view.layout
    names = [item for item in canvas.find_withtag("set") if canvas.type(item) == "text"]
    (left, right) = sorted(canvas.bbox(name) for name in names)
    assert 0 <= left[0] < left[2] < layout[1].x
    assert layout[0].x + layout[0].width < right[0] < right[2] <= canvas.winfo_width()


def test_names_help_and_statistics_come_and_go(colours, open_window):
    driver = open_window(colours)
    assert not set(driver.session.images) & set(driver.text().splitlines())
    for keysym in ("n", "1"):
        driver.press(keysym)
        assert set(driver.session.images) <= set(driver.text().splitlines())
    driver.press("n")
    assert not set(driver.session.images) & set(driver.text().splitlines())
    driver.press("h")
    assert {key.meaning for key in legend(2)} <= set(driver.text().splitlines())
    driver.press("1")
    assert driver.session.done == 1
    driver.press("Escape")
    assert "This page" not in driver.text()
    driver.press("2", "1", "r")
    driver.wait(lambda: "From best to worst" in driver.text(), "the ladder is shown")
    text = driver.text()
    for words in ("Statistics", "Agreement over time", "From best to worst"):
        assert words in text
    assert driver.session.statistics.advice in text
    assert driver.reports[-1] == driver.session.statistics.report()
    driver.press("r")
    assert "Agreement over time" not in driver.text()
    assert driver.seen() == driver.session.images
    driver.press("f")
    assert driver.session.full_screen
    driver.press("Escape")
    assert not driver.session.full_screen


def test_the_ladder_shows_the_pictures_and_a_click_the_choices(colours, open_window):
    driver = open_window(colours)
    driver.resize("1500x900")
    asked = [set(driver.session.images)]
    driver.press("1", "2")
    asked.append(set(driver.session.images))
    driver.press("t", "r")
    ladder = driver.window._ladder
    driver.wait(lambda: ladder._cells, "the ladder is shown")
    paths = [path for _, path in ladder._cells]
    assert paths == driver.database.ladder().paths
    driver.idle(0.5)
    shot = driver.screenshot()
    for cell, path in ladder._cells:
        at = cell.x + cell.width // 2, cell.y + (cell.height - 30) // 2
        seen = np.array(shot.getpixel(at)[:3], int)
        assert np.abs(seen - COLOURS[path]).max() < 12
    cell, clicked = next(rung for rung in ladder._cells if rung[1] in asked[1])
    driver.input.click(*driver.on_screen(cell.x + 20, cell.y + 20))
    driver.wait(lambda: f"with {clicked}" in driver.text(), "the choices are shown")
    assert "equally good" in driver.text()
    assert asked[1] <= {path for _, path in ladder._cells}
    driver.press("Escape")
    assert "From best to worst" in driver.text()
    assert driver.session.done == 3
    driver.press("Escape", "1")
    assert driver.session.done == 4


def test_pages_stay_inside_the_window_and_no_words_overlap(colours, open_window, monkeypatch):
    driver = open_window(colours)
    driver.press("1", "2")
    order = OrderQuality(np.array([30, 60, 90, 120, 180]), np.linspace(0.5, 0.88, 5), 0.7, 0.9)
    odd = OddOneOut(20, 15, 10, 75)
    known = replace(driver.database.statistics(), order=order, odd_one_out=odd)
    monkeypatch.setattr(driver.database, "statistics", lambda: known)
    canvas = driver.window.canvas
    for size in ("560x400", "800x600", "1200x600", "1500x900"):
        driver.resize(size)
        for keysym in ("r", "h"):
            driver.press(keysym)
            driver.idle(0.2)
            left, upper, right, lower = canvas.bbox("overlay", "ladder")
            assert min(left, upper) >= 0
            assert right <= canvas.winfo_width()
            assert lower <= canvas.winfo_height()
            drawn = canvas.find_withtag("overlay") + canvas.find_withtag("ladder")
            items = [item for item in drawn if canvas.type(item) == "text"]
            for one, other in itertools.combinations(map(canvas.bbox, items), 2):
                apart_across = one[2] <= other[0] or other[2] <= one[0]
                assert apart_across or one[3] <= other[1] or other[3] <= one[1]
        driver.press("h")


@pytest.mark.parametrize("how", ["z", "right button"])
def test_zoom_shows_single_pixels_while_it_is_held(tmp_path, open_window, how):
    rng = np.random.default_rng(0)
    pixels = {}
    for name in ("a.png", "b.png"):
        pixels[name] = rng.integers(0, 256, (750, 1000, 3), dtype=np.uint8)
        Image.fromarray(pixels[name]).save(tmp_path / name, compress_level=1)
    driver = open_window(tmp_path)
    place = driver.window.view.layout[0]
    before = driver.screenshot().getpixel((place.x + 100, place.y + 50))
    driver.input.move(*driver.on_screen(place.x + 100, place.y + 50))
    driver.idle(0.05)
    if how == "z":
        driver.input.key("z", down=True)
    else:
        driver.input.button(3, down=True)
    driver.idle(0.8)  # the key repeats itself meanwhile
    shot = np.asarray(driver.screenshot().convert("RGB"))
    x = round(100 / place.width * (1000 - place.width))
    y = round(50 / place.height * (750 - place.height))
    for path, here in zip(driver.session.images, driver.window.view.layout, strict=True):
        shown = shot[here.y : here.y + here.height, here.x : here.x + here.width]
        assert np.array_equal(shown, pixels[path][y : y + here.height, x : x + here.width])
    if how == "z":
        driver.input.key("z", down=False)
    else:
        driver.input.button(3, down=False)
    driver.idle(0.2)
    assert driver.screenshot().getpixel((place.x + 100, place.y + 50)) == before
    assert driver.session.done == 0


def test_a_deleted_and_a_damaged_image_are_left_out(colours, open_window):
    driver = open_window(colours)
    shown = set(driver.session.images)
    gone, broken = sorted(set(driver.database.images) - shown)[:2]
    (colours / gone).unlink()
    (colours / broken).write_bytes(b"no longer an image")
    for _ in range(8):
        driver.press("1")
        assert not {gone, broken} & set(driver.seen())
    assert driver.session.done == 8
    assert not {gone, broken} & set(driver.database.images)


def test_a_replaced_image_is_shown_as_it_is_now(colours, open_window):
    driver = open_window(colours)
    path = driver.session.images[0]
    Image.new("RGB", (300, 200), (9, 9, 9)).save(colours / path)
    os.utime(colours / path, ns=(1, 1))
    driver.press("1")
    assert driver.session.done == 0
    assert f"{path} has changed" in driver.text()
    shown = driver.screenshot().getpixel(driver.centre("left"))[:3]
    assert max(abs(value - 9) for value in shown) < 3
    driver.press("1")
    assert driver.session.done == 1


def test_a_fault_ends_the_session_and_is_raised(colours, open_window, monkeypatch):
    driver = open_window(colours)
    driver.press("1")

    def broken():
        raise ZeroDivisionError

    monkeypatch.setattr(driver.session.database, "undo", broken)
    driver.input.press("u")
    driver.wait(lambda: driver.closed, "the window closes")
    with pytest.raises(ZeroDivisionError):
        driver.window.finish()
    driver.window._fault = None
    driver.close()
    assert len(outcomes(colours)) == 1


def test_work_behind_the_window_is_stopped_with_it_and_its_problems_are_said(colours, open_window):
    stopped = []

    def fails(stop):
        raise ModelError("the model 'x' is missing: train one")

    def waits(stop):
        stopped.append(stop.wait(30))

    driver = open_window(colours, behind=[fails, waits])
    driver.wait(lambda: "the model 'x' is missing" in driver.text(), "the problem is said")
    driver.press("1")
    driver.close()
    end = time.monotonic() + 10
    while not stopped and time.monotonic() < end:
        time.sleep(0.01)
    assert stopped == [True]


def test_four_are_shown_chosen_zoomed_and_their_names_stay_apart(colours, open_window):
    driver = open_window(colours, at_once=4)
    assert driver.seen() == driver.session.images
    first = driver.session.images
    driver.press("3")
    assert driver.seen() == driver.session.images != first
    driver.input.click(*driver.on_screen(*driver.centre(1)))
    driver.look()
    with_shift = driver.session.images
    driver.input.press("Shift_L", "1")
    driver.idle(0.1)
    assert "1 is the worst" in driver.text()
    driver.press("2")
    outcomes = [event.outcome for event in driver.database._log.events]
    assert outcomes == ["3", "2", "2/1"]
    assert driver.database.choices_of(with_shift[0])[0].images == with_shift
    driver.press("n")
    canvas = driver.window.canvas
    names = [item for item in canvas.find_withtag("set") if canvas.type(item) == "text"]
    assert {canvas.itemcget(item, "text") for item in names} == set(driver.session.images)
    driver.window.view.start_zoom(*driver.centre(2))
    assert len(canvas.find_withtag("zoom")) == 4
    for geometry in ("1200x600+0+0", "560x400+0+0", "1600x900+0+0"):
        driver.resize(geometry)
        driver.look()
        assert driver.seen() == driver.session.images
        footer = driver.window.footer
        for item in footer.find_all():
            left, _, right, lower = footer.bbox(item)
            assert left >= 0 and right <= footer.winfo_width() and lower <= footer.winfo_height()
