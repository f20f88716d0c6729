"""A rating session: what is shown, undone, passed over, and said of it."""

import numpy as np
import pytest

from src.errors import DataError
from src.rating.session import RatingDatabase
from tests.unit.rating.folders import make_folder, rate, saved


def test_pairs_computed_ahead_are_the_ones_that_come(folder):
    with RatingDatabase(folder, seed=3) as database:
        assert database.next_set() == database.next_set()
        rate(database, 60, ahead=True)
        for name in database.images:
            (folder / name).unlink()
        with pytest.raises(DataError, match=r"no images.*12 excluded, gone or unreadable"):
            database.next_set()


def test_undo_takes_back_choices_one_by_one(folder):
    with RatingDatabase(folder, seed=0) as database:
        assert database.undo() is None
        states = []
        for _ in range(4):
            states.append((database.next_set(), database.scores(), database.comparisons()))
            rate(database, 1)
        on_show = database.next_set()
        for pair, scores, comparisons in reversed(states):
            assert database.undo() == pair
            assert database.next_set() == pair
            assert database.scores() == pytest.approx(scores, abs=1e-9)
            assert database.comparisons() == comparisons
        assert database.undo() is None
        assert database.statistics().choices == 0
        for pair, _, _ in states:  # what was put off comes again, in order
            assert database.next_set() == pair
            rate(database, 1)
        assert database.next_set() == on_show
    assert saved(folder)["#meta#"]["evaluations"] == 4


def test_more_can_be_taken_back_than_is_remembered(folder):
    with RatingDatabase(folder, seed=0) as database:
        rate(database, 30)
        for _ in range(30):
            assert database.undo() is not None
        assert list(database.scores().values()) == pytest.approx([0.0] * 12)


def test_an_excluded_image_never_comes_back(folder):
    with RatingDatabase(folder, seed=0) as database:
        rate(database, 10)
        out = database.next_set()[0]
        database.exclude(out)
        assert out not in database.images
        assert out not in database.scores()
        for _ in range(40):
            assert out not in database.next_set()
            rate(database, 1)
    assert out not in saved(folder)
    with RatingDatabase(folder) as database:
        assert out not in database.images


def test_unknown_images_and_outcomes_are_refused(folder):
    with RatingDatabase(folder) as database:
        with pytest.raises(DataError, match=r"nowhere\.png"):
            database.record("01.png", "nowhere.png", "left")
        with pytest.raises(DataError, match=r"nowhere\.png"):
            database.exclude("nowhere.png")
        with pytest.raises(ValueError, match="both"):
            database.record("01.png", "02.png", "both")
        with pytest.raises(ValueError, match=r"01\.png"):
            database.record("01.png", "01.png", "left")
        assert database.statistics().choices == 0


@pytest.mark.parametrize(("count", "words"), [(0, "no images"), (1, r"only one image.*00\.png")])
def test_too_few_images_are_a_clear_message(tmp_path, count, words):
    make_folder(tmp_path, count)
    with RatingDatabase(tmp_path) as database:
        with pytest.raises(DataError, match=words):
            database.next_set()
        assert database.following_set() is None
        assert len(database.scores()) == count
        assert database.statistics().advice.startswith("Add images")
        assert database.statistics().report()


def test_an_image_deleted_in_the_session_is_passed_over_and_keeps_its_score(folder):
    with RatingDatabase(folder, seed=0) as database:
        rate(database, 20)
        gone = database.next_set()[0]
        (folder / gone).unlink()
        for _ in range(30):
            assert gone not in database.next_set()
            rate(database, 1)
        assert gone in database.scores()
        assert database.take_notices() == [f"{gone} is gone; its score is kept"]
        assert database.take_notices() == []
        database.record(gone, "01.png", "right")  # it was on the screen when it went
    assert gone in saved(folder)
    with RatingDatabase(folder) as database:  # no longer found, and still known
        assert gone not in database.images
        assert gone not in database.scores()
    assert gone in saved(folder)


def test_an_unreadable_image_is_no_longer_shown(folder):
    with RatingDatabase(folder, seed=0) as database:
        bad = database.next_set()[1]
        database.set_unavailable(bad, "is no image")
        assert bad not in database.next_set()
        assert database.take_notices() == [f"{bad} is no image"]
        assert bad not in database.unrated()  # it cannot be
        assert bad in database.scores()


def test_new_images_start_unrated_at_the_next_session(folder):
    with RatingDatabase(folder, seed=0) as database:
        rate(database, 30)
    (folder / "new.jpg").touch()
    with RatingDatabase(folder, seed=1) as database:
        assert database.unrated() == ["new.jpg"]
        shown = {path for pair in rate(database, 10) for path in pair[:2]}
        assert "new.jpg" in shown


def test_statistics_of_a_session(folder):
    model = {name: -float(number) for number, name in enumerate(sorted(make_folder(folder, 12)))}
    with RatingDatabase(folder, seed=0, goal=50) as database:
        database.set_model_scores(model)
        rate(database, 60)
        statistics = database.statistics()
        assert statistics.session.answered == 60
        assert statistics.goal == 50
        assert statistics.choices_per_image == 10
        assert statistics.session.agreement.successes > 30
        assert statistics.odd_one_out is not None
        assert statistics.odd_one_out.person == 0  # the model is always right here
        assert statistics.odd_one_out.model == 0
        wrong = statistics.session.agreement.trials - statistics.session.agreement.successes
        assert statistics.odd_one_out.database == wrong
        assert statistics.total.audit.trials > 0
        assert statistics.total.repeats.value in (None, 1.0)


def test_with_the_best_wanted_the_statistics_are_about_them(folder):
    with RatingDatabase(folder, seed=0, top=3) as database:
        rate(database, 45, ahead=True)
        assert database.statistics().order.top == 3
    with RatingDatabase(folder, seed=0, top=12) as database:  # all of them
        rate(database, 1, ahead=True)
        assert database.statistics().order.top == 0


def test_a_choice_that_cannot_be_written_changes_nothing(folder):
    with RatingDatabase(folder, seed=0) as database:
        rate(database, 3)
        pair, scores = database.next_set(), database.scores()
        connection = database._log._connection
        connection.execute("PRAGMA query_only = ON")
        with pytest.raises(DataError):
            database.record(*pair, "left")
        with pytest.raises(DataError):
            database.undo()
        connection.execute("PRAGMA query_only = OFF")
        assert database.next_set() == pair
        assert database.scores() == scores
        database.record(*pair, "left")  # answered again
        assert database.statistics().choices == 4


def test_four_at_once_are_rated_undone_skipped_and_excluded(folder):
    with RatingDatabase(folder, seed=0, at_once=4) as database:
        for number in range(40):
            shown = database.next_set()
            assert len(set(shown)) == 4
            following = database.following_set()
            assert not set(shown) & set(following)
            order = sorted(shown)
            outcome = f"{shown.index(order[0]) + 1}"
            if number % 2:
                outcome += f"/{shown.index(order[-1]) + 1}"
            left, right, *others = shown
            database.record(left, right, outcome, others=tuple(others), response_time=2.0)
            assert database.next_set() == following
        database.save()
        scores, comparisons = database.scores(), database.comparisons()
        place = [
            sorted(scores, key=scores.__getitem__, reverse=True).index(n) for n in sorted(scores)
        ]
        assert np.corrcoef(place, np.arange(12))[0, 1] > 0.9
        assert sum(comparisons.values()) == 160
        statistics = database.statistics()
        assert (statistics.choices, statistics.total.among) == (40, 4)
        assert statistics.choices_per_image == pytest.approx(160 / 12)
        assert statistics.total.agreement.trials > 30
        assert database.choices_of(shown[0])[0].images == shown
        assert database.undo() == shown
        assert database.comparisons()[shown[0]] == comparisons[shown[0]] - 1
        left, right, *others = shown
        database.record(left, right, "skip", others=tuple(others))
        out = database.next_set()[3]
        database.exclude(out)
        assert out not in database.next_set()
        for wrong in ("left", "5", "1/1", "2/5"):
            with pytest.raises(ValueError, match=wrong):
                database.record(left, right, wrong, others=tuple(others))
    with RatingDatabase(folder, seed=0) as database:  # and on with pairs
        assert len(database.next_set()) == 2
        assert database.statistics().choices == 39
        assert database.statistics().total.agreement.trials == 0


def test_of_fewer_than_four_images_all_are_shown(tmp_path):
    make_folder(tmp_path, 3)
    with RatingDatabase(tmp_path, seed=0, at_once=4) as database:
        first, second, third = database.next_set()
        database.record(first, second, "2/3", others=(third,))
        database.exclude(third)
        assert set(database.next_set()) == {first, second}
        database.record(first, second, "right")


def test_what_was_expected_of_a_choice_is_kept_with_it(folder):
    with RatingDatabase(folder, seed=0) as database:
        database.record("01.png", "02.png", "left")
        database.record("02.png", "01.png", "left")
        database.record("01.png", "04.png", "tie", others=("02.png",))
        first, second, third = database.choices_of("01.png")[::-1]
    assert first.prediction is None  # nothing was known
    assert second.prediction < 0.5
    assert sum(third.predictions) == pytest.approx(1)
