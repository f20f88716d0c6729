"""What the keys do, on the real database, without a window."""

import sqlite3
from contextlib import closing

import pytest

from src.errors import DataError
from src.rating.session import RatingDatabase
from src.window.controls import Action
from src.window.pictures import stamp_of
from src.window.session import SHORTEST_LOOK, Session
from tests.conftest import make_images


class Sitting:
    """A session with a person who looks at each pair for a second."""

    def __init__(self, folder, *, goal=100, at_once=2):
        self.folder, self.now = folder, 0.0
        self.reports: list[str] = []
        self.database = RatingDatabase(folder, seed=1, goal=goal, at_once=at_once)
        self.session = Session(self.database, clock=lambda: self.now, report=self.reports.append)
        self.look()

    def look(self, seconds=1.0):
        if self.session.images is not None:
            stamps = (stamp_of(self.folder / path) for path in self.session.images)
            self.session.shown([stamp or (0, 0) for stamp in stamps])
        self.now += seconds

    def press(self, *actions):
        for action in actions:
            serial = self.session.serial
            self.session.act(action)
            if self.session.serial != serial:
                self.look()

    @property
    def pair(self):
        return self.session.images or ()

    @property
    def choices(self):
        return self.database.statistics().choices


@pytest.fixture
def sitting(tmp_path):
    make_images(tmp_path / "photos", 8)
    opened = Sitting(tmp_path / "photos", goal=3)
    yield opened
    opened.database.close()


def test_tie_counts_and_skip_does_not_and_the_goal_opens_the_statistics_once(sitting):
    sitting.press(Action.TIE, Action.SKIP)
    assert (sitting.session.done, sitting.choices) == (1, 1)
    sitting.press(Action.RIGHT)
    assert sitting.session.overlay is None
    sitting.press(Action.LEFT)
    assert sitting.session.overlay == "statistics"
    sitting.press(Action.CANCEL, Action.UNDO, Action.RIGHT)
    assert sitting.session.done == 3
    assert sitting.session.overlay is None


def test_an_answer_before_the_pair_was_seen_is_none(sitting):
    sitting.press(Action.LEFT)
    serial = sitting.session.serial
    sitting.look(SHORTEST_LOOK / 2)
    sitting.now -= 1.0
    sitting.session.shown(((0, 0), (0, 0)))
    sitting.session.act(Action.LEFT)
    assert sitting.session.serial == serial
    assert sitting.choices == 1


def test_an_answer_while_the_pair_is_being_decoded_is_none(sitting):
    sitting.press(Action.LEFT)
    sitting.session.act(Action.UNDO)  # a pair that is not on the screen yet
    sitting.session.act(Action.LEFT)
    assert sitting.choices == 0


def test_undo_goes_back_to_the_beginning(sitting):
    pairs = []
    for action in (Action.LEFT, Action.SKIP, Action.TIE):
        pairs.append(sitting.session.images)
        sitting.press(action)
    for pair in reversed(pairs):
        sitting.session.overlay = None  # the goal was reached
        sitting.press(Action.UNDO)
        assert sitting.session.images == pair
    assert (sitting.session.done, sitting.choices) == (0, 0)
    sitting.press(Action.UNDO)
    assert sitting.session.notice == "There is nothing to undo"
    assert sitting.session.images == pairs[0]


@pytest.mark.parametrize(("action", "side"), [(Action.LEFT, 0), (Action.RIGHT, 1)])
def test_exclude_asks_which_one_and_can_be_taken_back(sitting, action, side):
    path = sitting.pair[side]
    sitting.press(Action.EXCLUDE)
    assert sitting.session.excluding
    sitting.press(action)
    assert f"{path} is never shown again" in sitting.session.notice
    assert not sitting.session.excluding
    assert path not in sitting.database.images
    assert path not in sitting.pair
    assert (sitting.session.done, sitting.choices) == (0, 0)
    assert (sitting.folder / path).is_file()
    sitting.press(Action.UNDO)
    assert path in sitting.database.images


@pytest.mark.parametrize("action", [Action.CANCEL, Action.TIE, Action.EXCLUDE, Action.QUIT])
def test_any_other_key_excludes_nothing(sitting, action):
    pair = sitting.pair
    sitting.press(Action.EXCLUDE, action)
    assert sitting.session.images == pair
    assert len(sitting.database.images) == 8
    assert not sitting.session.finished
    assert sitting.choices == 0


@pytest.mark.parametrize("overlay", [Action.HELP, Action.STATISTICS])
def test_a_covered_pair_is_not_judged(sitting, overlay):
    pair = sitting.pair
    sitting.press(overlay)
    sitting.press(Action.LEFT, Action.TIE, Action.SKIP, Action.UNDO, Action.EXCLUDE)
    assert sitting.session.images == pair
    assert not sitting.session.excluding
    sitting.press(overlay)
    assert sitting.session.overlay is None
    sitting.press(Action.LEFT)
    assert sitting.choices == 1


def test_escape_closes_one_thing_at_a_time(sitting):
    sitting.press(Action.FULL_SCREEN, Action.HELP)
    sitting.press(Action.CANCEL)
    assert (sitting.session.overlay, sitting.session.full_screen) == (None, True)
    sitting.press(Action.CANCEL)
    assert not sitting.session.full_screen
    assert not sitting.session.finished
    sitting.press(Action.CANCEL)
    assert sitting.session.finished


def test_response_times_are_kept_unless_something_covered_the_pair(sitting):
    sitting.press(Action.LEFT, Action.HELP, Action.HELP, Action.RIGHT)
    sitting.database.close()
    with closing(sqlite3.connect(sitting.folder / "score_choices.sqlite")) as log:
        rows = log.execute("SELECT outcome, response_time FROM events ORDER BY id").fetchall()
    assert rows == [("left", pytest.approx(1.0)), ("right", None)]


def test_a_file_deleted_while_it_is_on_show_was_still_judged(sitting):
    (sitting.folder / sitting.pair[1]).unlink()
    sitting.press(Action.LEFT)
    assert sitting.choices == 1


def test_a_folder_that_vanishes_and_comes_back(sitting):
    pair = sitting.pair
    away = sitting.folder.with_name("away")
    sitting.folder.rename(away)
    sitting.session.unavailable(pair[0], "is no longer there")
    assert sitting.session.images is None
    assert "is no longer there" in sitting.session.problem
    away.rename(sitting.folder)
    sitting.press(Action.SKIP)
    assert sitting.session.images == pair


def test_with_one_image_left_there_is_a_message_and_undo_brings_the_pair_back(tmp_path):
    make_images(tmp_path, 2)
    sitting = Sitting(tmp_path)
    pair = sitting.pair
    sitting.press(Action.LEFT)
    assert set(sitting.pair) == set(pair)
    sitting.press(Action.EXCLUDE, Action.LEFT)
    assert sitting.session.images is None
    assert sitting.session.problem
    sitting.press(Action.LEFT)
    assert sitting.choices == 1
    sitting.press(Action.UNDO)
    assert set(sitting.pair) == set(pair)
    sitting.database.close()


def test_a_choice_that_cannot_be_kept_is_said_and_asked_again(sitting, monkeypatch):
    def full(*args, **kwargs):
        raise DataError("the disk is full")

    pair = sitting.pair
    with monkeypatch.context() as patch:
        patch.setattr(sitting.database, "record", full)
        sitting.press(Action.LEFT)
    assert sitting.session.notice == "Not saved: the disk is full"
    assert (sitting.session.images, sitting.session.done) == (pair, 0)
    sitting.press(Action.LEFT)
    assert sitting.session.done == 1


@pytest.fixture
def four(tmp_path):
    make_images(tmp_path / "photos", 9)
    opened = Sitting(tmp_path / "photos", at_once=4)
    yield opened
    opened.database.close()


def outcomes(sitting):
    return [event.outcome for event in sitting.database._log.events]


def test_of_four_a_digit_says_which_is_the_best_and_with_shift_first_which_the_worst(four):
    four.press(Action.THIRD)
    four.press(Action.WORST_4)
    assert "4 is the worst" in four.session.question
    four.press(Action.FOURTH)  # it cannot be the best as well
    assert outcomes(four) == ["3"]
    four.press(Action.FIRST)
    assert four.session.chosen == (0,)
    four.press(Action.WORST_2, Action.WORST_2, Action.SECOND)  # taken back
    four.press(Action.WORST_1, Action.TIE, Action.FOURTH)
    assert outcomes(four) == ["3", "1/4", "2", "tie", "4"]


def test_of_four_arrows_choose_none_and_the_others_work_as_with_two(four):
    images = four.session.images
    four.press(Action.LEFT, Action.RIGHT)
    assert four.session.images == images
    four.press(Action.SKIP, Action.UNDO)
    assert four.session.images == images
    four.press(Action.EXCLUDE)
    assert "1 to 4" in four.session.question
    four.press(Action.FOURTH)
    assert images[3] not in four.database.images
    assert four.session.done == 0


def test_of_two_images_left_of_four_the_first_keys_choose(tmp_path):
    make_images(tmp_path, 2)
    sitting = Sitting(tmp_path, at_once=4)
    sitting.press(Action.THIRD, Action.SECOND)
    assert outcomes(sitting) == ["right"]
    sitting.database.close()
