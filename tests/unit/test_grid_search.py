"""The search over training settings."""

import numpy as np
import pytest

from src.aesthetic import grid_search
from src.aesthetic.grid_search import COLUMNS, Combination, Row, best, combinations, read_rows
from src.aesthetic.trainer import MlpShape
from src.aesthetic.training_options import TrainingOptions
from src.errors import DataError, SettingsError

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(60, 5))
SCORES = FEATURES @ [1, -1, 0.5, 0, 0]


def run(file, grid, loss="mse"):
    return grid_search.search(
        grid,
        FEATURES,
        SCORES,
        np.arange(60),
        file,
        base=TrainingOptions(seed=1),
        loss=loss,
        shape=MlpShape(hidden=(), dropouts=(), relu=False),
    )


def test_the_grid_holds_every_combination_in_order():
    grid = combinations([10, 20], [1e-3], [2, 4], loss="ranking")
    assert grid == [(10, 1e-3, 2), (10, 1e-3, 4), (20, 1e-3, 2), (20, 1e-3, 4)]


def test_odd_batches_and_empty_lists_are_refused():
    with pytest.raises(SettingsError, match="meta_batch holds 3"):
        combinations([10], [1e-3], [2, 3], loss="ranking")
    combinations([10], [1e-3], [3], loss="mse")
    with pytest.raises(SettingsError, match="meta_lr"):
        combinations([10], [], [2], loss="mse")


@pytest.mark.parametrize("loss", ["mse", "ranking"])
def test_rows_are_written_and_more_training_is_better(tmp_path, loss):
    file = tmp_path / "meta.txt"
    rows = run(file, combinations([1, 60], [0.05], [10], loss=loss), loss)
    assert file.read_text(encoding="utf-8").splitlines()[0] == ",".join(COLUMNS)
    assert [row.combination for row in read_rows(file)] == [row.combination for row in rows]
    assert best(rows).combination.epochs == 60
    assert best(rows).ab > 0.95  # the scores are linear in the features
    assert rows[1].eval_loss < rows[0].eval_loss


def test_a_search_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    file = tmp_path / "meta.txt"
    grid = combinations([2], [0.01, 0.02, 0.03], [10], loss="mse")
    tried = []
    original = grid_search.train_mlp

    def counting(*args, **options):
        tried.append(args[2].learning_rate)
        if len(tried) == 2:
            raise KeyboardInterrupt
        return original(*args, **options)

    monkeypatch.setattr(grid_search, "train_mlp", counting)
    with pytest.raises(KeyboardInterrupt):
        run(file, grid)
    assert len(read_rows(file)) == 1
    run(file, grid)
    assert tried == [0.01, 0.02, 0.02, 0.03]
    assert len(read_rows(file)) == 3


def test_results_of_other_data_are_set_aside_not_used(tmp_path):
    file = tmp_path / "meta.txt"
    grid = combinations([1], [0.01], [10], loss="mse")
    run(file, grid)
    before = file.read_text(encoding="utf-8")
    run(file, grid, loss="ranking")
    assert (tmp_path / "meta-1.txt").read_text(encoding="utf-8") == before
    assert file.read_text(encoding="utf-8") != before


def test_a_file_that_is_something_else_is_left_alone(tmp_path):
    (tmp_path / "meta.txt").write_text("my notes\n", encoding="utf-8")
    with pytest.raises(DataError, match="move it away"):
        run(tmp_path / "meta.txt", [Combination(1, 0.1, 2)])
    assert (tmp_path / "meta.txt").read_text(encoding="utf-8") == "my notes\n"


def test_the_ranking_loss_is_the_mean_shortfall_of_all_pairs():
    scores, predicted = np.array([0.0, 1.0, 1.0, 2.0]), np.array([0.0, 2.0, 0.5, 0.5])
    # pairs better-worse: (1,0) 2.0, (2,0) 0.5, (3,0) 0.5, (3,1) -1.5, (3,2) 0.0; margin 1
    expected = (0 + 0.5 + 0.5 + 2.5 + 1) / 5
    assert grid_search._loss(scores, predicted, "ranking") == pytest.approx(expected)


def test_of_equal_rows_the_lower_loss_wins():
    one, two = Combination(1, 0.1, 2), Combination(2, 0.1, 2)
    assert best([Row(one, 0, 0.5, 0.8), Row(two, 0, 0.4, 0.8)]).combination == two
