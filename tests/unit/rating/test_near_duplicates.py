"""Near duplicates have one score between them, and one of each group is shown."""

import pytest

from src.rating.session import RatingDatabase
from tests.unit.rating.folders import make_folder, rate, saved, saved_scores

GROUP = ["01.png", "04.png", "07.png"]


def test_one_of_a_group_is_shown_and_the_others_have_its_score(folder):
    with RatingDatabase(folder, seed=0) as database:
        database.set_near_duplicates([GROUP, ["02.png", "05.png"]])
        assert database.take_notices() == ["3 near duplicates follow 2 images: 9 to rate"]
        shown = {path for pair in rate(database, 40, ahead=True) for path in pair[:2]}
        assert shown == set(database.images) == set(make_folder(folder, 12)) - {
            "04.png", "07.png", "05.png"
        }  # fmt: skip
        assert database.statistics().images == len(database.ladder().paths) == 9
        assert database.statistics().unrated == 0 and database.unrated() == []
    scores = saved_scores(folder)
    assert len(scores) == 12
    assert scores["01.png"] == scores["04.png"] == scores["07.png"] != scores["02.png"]
    # Training takes what is not in this list: a group counts once.
    assert saved(folder)["#meta#"]["unrated"] == ["04.png", "05.png", "07.png"]


def test_choices_of_all_of_a_group_count(folder):
    with RatingDatabase(folder, seed=0) as apart:
        for _ in range(3):
            apart.record("04.png", "08.png", "left")
            apart.record("07.png", "08.png", "left")
        apart.record("04.png", "07.png", "left")  # of near duplicates: says nothing of the score
        apart.save()
        before = apart.scores()
        assert before["01.png"] == pytest.approx(0, abs=0.02)
        apart.set_near_duplicates([GROUP])
        together = apart.scores()
        assert together["01.png"] == together["04.png"] == together["07.png"]
        assert together["01.png"] - together["08.png"] > before["01.png"] - before["08.png"]
        assert "01.png" not in apart.unrated()
        for _ in range(7):
            apart.undo()
        assert set(apart.scores().values()) == {0.0}
        assert apart.statistics().choices == 0


def test_the_same_six_choices_give_the_score_of_one_image(folder):
    with RatingDatabase(folder, seed=0) as database:
        database.set_near_duplicates([GROUP])
        for path in (*GROUP, *GROUP):
            database.record(path, "08.png", "left")
        database.save()
        grouped = database.scores()
    (folder / "score_choices.sqlite").unlink()
    (folder / "score.json").unlink()
    with RatingDatabase(folder, seed=0) as database:
        for _ in range(6):
            database.record("01.png", "08.png", "left")
        database.save()
        alone = database.scores()
        assert grouped["07.png"] - grouped["08.png"] == pytest.approx(
            alone["01.png"] - alone["08.png"], abs=1e-6
        )


def test_where_the_first_is_excluded_or_gone_the_next_stands_for_the_group(folder):
    with RatingDatabase(folder, seed=0) as database:
        rate(database, 12)
        database.set_near_duplicates([GROUP])
        score = database.scores()["01.png"]
        database.exclude("01.png")
        assert "04.png" in database.images and "07.png" not in database.images
        assert "01.png" not in database.scores()
        assert database.ladder().paths.count("04.png") == 1
        database.set_unavailable("04.png")
        assert "07.png" in database.images
    assert "01.png" not in saved_scores(folder)
    with RatingDatabase(folder, seed=0) as database:
        assert "04.png" in database.images
        assert database.scores()["04.png"] == pytest.approx(score, abs=0.2)
        assert saved(folder)["#meta#"]["unrated"] == ["04.png"]  # 07.png stood for it there
        (folder / "04.png").unlink()
        shown = {path for pair in rate(database, 40) for path in pair[:2]}
        assert "07.png" in shown and "04.png" not in shown


def test_an_exclusion_is_undone_in_a_group_too(folder):
    with RatingDatabase(folder, seed=0) as database:
        database.set_near_duplicates([GROUP])
        database.exclude("01.png")
        database.undo()
        assert "01.png" in database.images and "04.png" not in database.images


def test_groups_are_kept_until_they_are_taken_apart(folder):
    with RatingDatabase(folder, seed=0) as database:
        rate(database, 20)
        database.save()
        apart = database.scores()
        database.set_near_duplicates([GROUP])
    with RatingDatabase(folder, seed=0) as database:
        assert database.take_notices() == ["2 near duplicates follow 1 image: 10 to rate"]
        assert len(database.images) == 10
        database.set_near_duplicates([GROUP])
        assert database.take_notices() == []
        database.set_near_duplicates([])
        assert len(database.images) == 12
        assert database.scores() == pytest.approx(apart, abs=0.05)
    assert saved(folder)["#meta#"]["unrated"] == []


def test_images_with_an_old_score_stand_for_themselves(folder):
    (folder / "score.json").write_text('{"04.png": 0.5, "01.png": -0.5}', encoding="utf-8")
    with RatingDatabase(folder, seed=0) as database:
        database.set_near_duplicates([GROUP, ["02.png", "05.png"]])
        assert len(database.images) == 11
        assert database.scores()["04.png"] > database.scores()["01.png"]


def test_a_choice_on_show_when_the_groups_come_is_kept(folder):
    with RatingDatabase(folder, seed=0) as database:
        rate(database, 5, ahead=True)
        pair = database.next_set()
        database.following_set()
        database.set_near_duplicates([[pair[1], pair[0], "04.png"], ["02.png", "05.png"]])
        database.record(*pair, "left")
        assert database.statistics().choices == 6
        assert database.undo() is not None
        rate(database, 30, ahead=True)
        assert database.statistics().choices == 35
