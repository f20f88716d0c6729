"""Which key does what, and held keys."""

import pytest

from src.window.controls import _KEYSYMS, _WITH_SHIFT, Action, KeyFilter, action_of


def test_control_only_undoes_and_caps_lock_changes_nothing():
    assert action_of("z", command=True) is Action.UNDO
    assert action_of("q", command=True) is None
    assert action_of("Q") is Action.QUIT
    assert action_of("y") is None


@pytest.mark.parametrize("shift", [False, True])
def test_no_key_means_two_things(shift):
    tables = [_KEYSYMS, _WITH_SHIFT] if shift else [_KEYSYMS]
    for table in tables:
        keysyms = [keysym for some in table.values() for keysym in some.split()]
        assert len(keysyms) == len(set(keysyms))


def test_every_action_has_a_key():
    assert _KEYSYMS.keys() | _WITH_SHIFT.keys() == set(Action)


@pytest.mark.parametrize("keysyms", ["1 2 3 4", "ampersand eacute quotedbl apostrophe"])
def test_digits_choose_on_english_and_french_keyboards(keysyms):
    actions = [action_of(keysym) for keysym in keysyms.split()]
    assert actions == [Action.FIRST, Action.SECOND, Action.THIRD, Action.FOURTH]


@pytest.mark.parametrize(
    "keysyms", ["exclam at numbersign dollar", "exclam quotedbl section dollar", "1 2 3 4"]
)
def test_digits_with_shift_name_the_worst_on_english_german_and_french_keyboards(keysyms):
    actions = [action_of(keysym, shift=True) for keysym in keysyms.split()]
    assert actions == [Action.WORST_1, Action.WORST_2, Action.WORST_3, Action.WORST_4]


def test_presses_without_release_are_repeats():  # Windows, macOS
    held = KeyFilter()
    assert held.press(10, 1000)
    assert not held.press(10, 1500)
    assert not held.press(10, 1530)
    assert held.press(11, 1531)  # another key
    held.release(10, 1600)
    assert held.press(10, 1700)


def test_releases_at_the_time_of_the_press_are_repeats():  # X11
    held = KeyFilter()
    assert held.press(10, 1000)
    for time in (1500, 1533, 1566):
        held.release(10, time)
        assert not held.press(10, time)
    held.release(10, 1600)
    assert held.press(10, 1660)


def test_forgetting_frees_keys_released_elsewhere():
    held = KeyFilter()
    assert held.press(10, 1000)
    held.forget()
    assert held.press(10, 1005)
