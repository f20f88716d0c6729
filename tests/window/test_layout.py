"""Where pictures go and what a zoom shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.window.layout import Frame, Rect, arrange, place_at, zoom_box

AREA = Rect(0, 0, 1000, 600)


def test_two_equal_landscapes_share_the_width():
    # 1000 - 2 * 20 - 20 = 940 pixels for two widths of 300: scale 940 / 600.
    layout = arrange(Frame(AREA, 20, 20), (300, 200), (300, 200))
    assert layout[0] == Rect(20, 143, 470, 313)
    assert layout[1] == Rect(510, 143, 470, 313)


def test_height_limits_two_portraits_and_the_caption_takes_its_share():
    # 600 - 2 * 20 - 22 = 538 pixels for a height of 300.
    layout = arrange(Frame(AREA, 20, 20, 22), (200, 300), (200, 300))
    assert layout[0].size == layout[1].size == (359, 538)
    assert layout[0].y == 20


def test_a_tall_picture_beside_a_wide_one_keeps_the_scale():
    layout = arrange(Frame(AREA, 0, 0), (300, 450), (450, 300))
    assert layout[0].width / 300 == pytest.approx(layout[1].width / 450, abs=0.01)
    assert layout[0].width + layout[1].width == pytest.approx(1000, abs=1)


def test_far_fewer_pixels_are_brought_to_the_same_area():
    layout = arrange(Frame(AREA, 10, 10), (4000, 3000), (400, 300))
    assert layout[0].size == layout[1].size


def test_half_the_pixels_are_still_shown_at_one_scale():
    layout = arrange(Frame(AREA, 0, 0), (200, 100), (100, 100))
    assert layout[0].size == (667, 333)
    assert layout[1].size == (333, 333)


def test_pictures_at_points():
    layout = arrange(Frame(AREA, 20, 20), (300, 200), (300, 200))
    assert place_at(layout, 20, 143) == 0
    assert place_at(layout, 489, 455) == 0
    assert place_at(layout, 500, 300) is None
    assert place_at(layout, 979, 300) == 1
    assert place_at(layout, 600, 10) is None


def test_four_stand_in_two_rows_or_in_one_whichever_is_larger():
    # 1000 - 60 and 600 - 60 pixels for 2 * 300 and 2 * 200: scale 1.35
    landscape = arrange(Frame(AREA, 20, 20), *[(300, 200)] * 4)
    assert [place.size for place in landscape] == [(405, 270)] * 4
    assert [place[:2] for place in landscape] == [(85, 20), (510, 20), (85, 310), (510, 310)]
    # 1000 - 100 pixels for 4 * 200: scale 1.125; in two rows 540 / 800
    portrait = arrange(Frame(AREA, 20, 20), *[(200, 400)] * 4)
    assert [place.size for place in portrait] == [(225, 450)] * 4
    assert {place.y for place in portrait} == {75}


sides = st.integers(1, 20_000)


@given(
    st.tuples(st.integers(120, 4000), st.integers(120, 3000)),
    st.tuples(sides, sides),
    st.tuples(sides, sides),
    st.integers(0, 30),
)
def test_pictures_fit_apart_and_fill_the_area_one_way(space, left, right, caption):
    layout = arrange(Frame(Rect(0, 0, *space), 20, 20, caption), left, right)
    assert layout[0].x >= 19
    assert layout[0].x + layout[0].width < layout[1].x
    assert layout[1].x + layout[1].width <= space[0] - 19
    for place in layout:
        assert place.y >= 19
        assert place.y + place.height <= space[1] - 19 - caption
    width_used = layout[0].width + layout[1].width
    height_used = max(layout[0].height, layout[1].height)
    assert width_used >= space[0] - 62 or height_used >= space[1] - 42 - caption


@pytest.mark.parametrize(
    ("spot", "box"),
    [
        ((0, 0), (0, 0, 400, 300)),
        ((1, 1), (3600, 2700, 4000, 3000)),
        ((0.5, 0), (1800, 0, 2200, 300)),
    ],
)
def test_zoom_shows_as_many_pixels_as_the_screen_has(spot, box):
    assert zoom_box((400, 300), (4000, 3000), spot) == box


def test_zoom_doubles_what_is_shown_enlarged_already():
    assert zoom_box((400, 300), (200, 150), (0, 0)) == (0, 0, 100, 75)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(401, 9000))
def test_the_spot_under_the_pointer_stays_there(across, down, width):
    full = width, width * 3 // 4
    left, upper, right, lower = zoom_box((400, 300), full, (across, down))
    assert 0 <= left <= right <= full[0] + 1e-6
    assert left + (right - left) * across == pytest.approx(full[0] * across, abs=1e-6)
    assert upper + (lower - upper) * down == pytest.approx(full[1] * down, abs=1e-6)
