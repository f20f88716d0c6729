"""The page of a search of settings."""

import re
from types import SimpleNamespace

import pytest

from src.reports.meta_report import axis, write


def row(epochs, lr, ab, head="mlp"):
    return {"epochs": epochs, "lr": lr, "batch": "8", "head": head,
            "train_loss": "0.3", "eval_loss": "0.5", "ab": ab}  # fmt: skip


ROWS = [row("50", "1e-4", "0.7"), row("100", "1e-4", "0.75"), row("100", "1e30", ""),
        row("", "", "0.72", "ridge")]  # fmt: skip


def found(rows, given_up=0):
    return SimpleNamespace(rows=rows, ab=0.75, given_up=given_up, sentence="The best: <b>.")


def test_few_values_get_places_in_the_order_of_numbers():
    assert axis("batch", ["16", "4", "8", "16"]) == {
        "name": "batch", "gap": False, "places": ["4", "8", "16"],
    }  # fmt: skip
    assert axis("relu", ["True", "", "False"])["places"] == ["False", "True"]
    assert axis("relu", ["True", "", "False"])["gap"]


@pytest.mark.parametrize(("factor", "log"), [(1, False), (10, True)])
def test_many_numbers_get_a_scale(factor, log):
    values = [str(factor**i * (10 + i)) for i in range(12)]
    found = axis("lr", values)
    assert (found["low"], found["high"], found["log"]) == (10, float(values[-1]), log)
    assert "log" in axis("x", [str(i - 5) for i in range(12)])
    assert axis("x", [str(i - 5) for i in range(12)])["log"] is False


def test_many_words_get_places():
    assert len(axis("hidden", [f"{i} 4" for i in range(12)])["places"]) == 12


def test_the_page_tells_what_was_tried_and_needs_nothing_beside_it(tmp_path):
    write(tmp_path / "meta.html", found(ROWS, given_up=3))
    page = (tmp_path / "meta.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:|#)""", page)
    assert "The best: &lt;b&gt;." in page
    assert "not shown: 3 poor combinations" in page
    assert "AB is empty): 1." in page
    assert "The same in all: batch 8." in page
    assert "75.0%" in page
    best = page[page.index('<tr class="best">') :]
    assert "75.00%" in best[: best.index("</tr>")]


def test_a_single_combination_has_a_table_only(tmp_path):
    write(tmp_path / "meta.html", found(ROWS[:1]))
    page = (tmp_path / "meta.html").read_text(encoding="utf-8")
    assert "70.00%" in page
    assert "<script>" not in page and "go well together" not in page


def test_of_many_rows_the_best_are_shown(tmp_path):
    rows = [row(str(i), "0.00012345678" if i else "1", f"0.{500 + i}") for i in range(150)]
    write(tmp_path / "meta.html", found(rows))
    page = (tmp_path / "meta.html").read_text(encoding="utf-8")
    assert "50 more are in meta.txt" in page
    assert "<td>149</td>" in page and "<td>49</td>" not in page
    assert "<td>0.0001235</td>" in page  # without the digits that nobody reads
