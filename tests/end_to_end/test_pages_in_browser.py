"""The gallery and the review page in a real browser."""

import csv
import json
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from src.dataset.suspected_labels import SuspectedLabel, read_suspected
from src.reports import meta_report
from src.reports.gallery import write_gallery
from src.reports.suspects import write_suspects
from src.reports.thumbnails import THUMBNAILS, write_thumbnails
from tests.browser import faults
from tests.conftest import make_images

pytestmark = pytest.mark.browser


def downloaded(browser, name: str) -> list[list[str]]:
    path: Path = browser.downloads / name
    deadline = time.monotonic() + 20
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_the_gallery_draws_only_what_is_in_sight(browser, tmp_path):
    images = tmp_path / "my images, 100% <mine>"
    paths = [path.name for path in make_images(images, 3)]
    names = write_thumbnails(tmp_path / THUMBNAILS, [images / p for p in paths], [b"a", b"b", b"c"])
    n = 6000
    scores = np.arange(n) / 1000
    every = [paths[i] if i < 3 else f"x/{i}.png" for i in range(n)]
    write_gallery(
        tmp_path / "gallery.html", images, every,
        {"score": scores, "probability": scores / 6}, [names[i % 3] for i in range(n)], title="t",
    )  # fmt: skip
    page = (tmp_path / "gallery.html").as_uri()
    assert faults(browser, page) == []
    browser.get(page)

    def tiles() -> int:
        return browser.execute_script("return document.querySelectorAll('.tile').length")

    def first() -> str:
        return browser.execute_script("return document.querySelector('.tile').title")

    def choose(field: str, value: str, event: str = "oninput") -> str:
        return browser.execute_script(
            f"const f = document.getElementById('{field}'); f.value = {json.dumps(value)};"
            f"f.{event}(); return document.getElementById('count').textContent"
        )

    assert 0 < tiles() < 100
    assert first().startswith("x/5999.png")
    browser.execute_script("document.getElementById('way').click()")
    assert first().startswith("000.png")
    assert choose("words", "X/59").startswith("111 of")  # 59, 590 ... 599, 5900 ... 5999
    assert choose("words", "").startswith("6,000")
    assert choose("low", "5.9").startswith("100 of")
    choose("key", "probability", "onchange")
    assert choose("high", "10").startswith("601 of")  # in percent: 0.1 and less
    browser.execute_script("document.getElementById('save').click()")
    rows = downloaded(browser, "images.csv")
    assert rows[0] == ["path", "score", "probability"] and len(rows) == 602

    browser.execute_script("document.querySelector('.tile').click()")
    deadline = time.monotonic() + 20
    script = "return document.querySelector('#large img').naturalWidth"
    while browser.execute_script(script) != 64 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert browser.execute_script(script) == 64  # the image itself, in a folder of odd name
    browser.execute_script("document.querySelector('#large [data-step=\"1\"]').click()")
    assert "2 of 601" in browser.execute_script(
        "return document.querySelector('#large .text').textContent"
    )


def test_labels_are_decided_with_keys_and_saved(browser, tmp_path):
    (tmp_path / "keep").mkdir()
    names = ['keep/a, "b".png', "c.png", "c.png", "d.png"]
    for path in names:
        shutil.copy(make_images(tmp_path, 1)[0], tmp_path / path)
    suspects = [
        SuspectedLabel(names[0], "keep_delete", "keep", "delete", 0.1, 0.9),
        SuspectedLabel("c.png", "tag", "cat", "add", 0.9, 0.8),
        SuspectedLabel("c.png", "tag", "dog", "remove", 0.2, 0.7),
        SuspectedLabel("=d.png", "class", "-cat", "+1", 0.3, 0.7),
    ]
    write_suspects(tmp_path / "suspects.html", tmp_path, suspects, tags={"c.png": ["dog", "x"]})
    page = (tmp_path / "suspects.html").as_uri()
    assert faults(browser, page) == []
    browser.get(page)
    body = browser.find_element("tag name", "body")
    assert "Is “cat” missing?" in body.text and "now: dog, x" in body.text
    for key in "wrs":
        (browser.switch_to.active_element or body).send_keys(key)
    count = "return document.getElementById('count').textContent"
    assert browser.execute_script(count) == "1 to change, 1 to leave, 2 undecided"
    browser.execute_script("document.getElementById('rest').click()")
    assert browser.execute_script(count) == "3 to change, 1 to leave, 0 undecided"
    browser.execute_script("document.getElementById('save').click()")
    last = downloaded(browser, "suspected_labels.csv")[-1]
    assert last == ["'=d.png", "class", "'-cat", "+1", "0.3", "0.7", "wrong"]  # nothing computes
    decided = read_suspected(browser.downloads / "suspected_labels.csv")
    assert [item.decision for item in decided] == ["wrong", "right", "wrong", "wrong"]
    assert [item._replace(decision="") for item in decided] == suspects


def test_the_search_page_draws_a_field_for_each_pair_and_a_line_for_each_combination(
    browser, tmp_path
):
    rows = [
        {"epochs": epochs, "lr": lr, "batch": "8", "head": "mlp", "train_loss": "0.3",
         "eval_loss": "0.5", "ab": f"{0.6 + number / 100}"}
        for number, (epochs, lr) in enumerate(
            (epochs, lr) for epochs in ("50", "100") for lr in ("1e-4", "2e-4", "4e-4")
        )
    ]  # fmt: skip
    rows.append(dict.fromkeys(rows[0], "") | {"head": "ridge", "ab": "0.61"})
    found = SimpleNamespace(rows=rows, ab=0.65, given_up=0, sentence="best")
    meta_report.write(tmp_path / "meta.html", found)
    page = (tmp_path / "meta.html").as_uri()
    assert faults(browser, page) == []
    browser.get(page)

    def texts(place: str) -> list[str]:
        return browser.execute_script(
            f"return [...document.querySelectorAll('#{place} text')].map(t => t.textContent)"
        )

    def choose(field: str, value: str) -> None:
        browser.execute_script(
            f"const f = document.getElementById('{field}'); f.value = {json.dumps(value)};"
            "f.oninput()"
        )

    assert [t for t in texts("map") if "." in t] == ["60.0", "61.0", "62.0", "63.0", "64.0", "65.0"]
    assert "lr across, epochs down" in texts("map")
    outside = browser.find_element("id", "outside").text
    assert outside == "Head ridge, which has no such settings: 61.0."
    choose("down", "1")  # lr twice: one row, best over the epochs
    assert [t for t in texts("map") if "." in t] == ["63.0", "64.0", "65.0"]
    choose("how", "mean")
    assert [t for t in texts("map") if "." in t] == ["61.5", "62.5", "63.5"]
    lines = "return document.querySelectorAll('#lines path:not(.touch){}').length"
    assert browser.execute_script(lines.format("")) == 7
    choose("top", "2")
    assert browser.execute_script(lines.format(".far")) == 5
    browser.execute_script(
        "document.querySelector('#lines .touch:last-child, #lines .touch')"
        ".dispatchEvent(new Event('mouseenter'))"
    )
    assert "AB" in browser.find_element("id", "told").text
    errors = [e for e in browser.get_log("browser") if e["level"] == "SEVERE"]
    assert errors == []
