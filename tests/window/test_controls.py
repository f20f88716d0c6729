"""Which key does what, and held keys."""

from src.window.controls import KEYS, Action, KeyFilter, action_of


def test_control_only_undoes_and_caps_lock_changes_nothing():
    assert action_of("z", command=True) is Action.UNDO
    assert action_of("q", command=True) is None
    assert action_of("Q") is Action.QUIT
    assert action_of("y") is None


def test_no_key_means_two_things():
    keysyms = [keysym for key in KEYS for keysym in key.keysyms]
    assert len(keysyms) == len(set(keysyms))


def test_every_action_but_cancel_is_listed():
    assert {key.action for key in KEYS} == set(Action) - {Action.CANCEL}
    assert all(key.meaning for key in KEYS)


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
