"""Pages, plots and thumbnails."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from markupsafe import Markup
from PIL import Image

from src.aesthetic.evaluate import Results
from src.evaluation.rank_metrics import evaluate
from src.reports.aesthetic_report import write_report
from src.reports.html import write_page
from src.reports.plots import plot
from src.reports.thumbnails import thumbnails
from tests.browser import faults
from tests.conftest import make_images


class Text(HTMLParser):
    """What a person reads on a page."""

    def __init__(self):
        super().__init__()
        self.words, self.images, self.hidden = [], [], 0

    def handle_starttag(self, tag, attributes):
        self.hidden += tag == "style"
        if tag == "img":
            self.images.append(dict(attributes)["src"])

    def handle_endtag(self, tag):
        self.hidden -= tag == "style"

    def handle_data(self, data):
        if not self.hidden:
            self.words.append(data.strip())


def read(path) -> tuple[str, list[str]]:
    parser = Text()
    parser.feed(path.read_text(encoding="utf-8"))
    return " ".join(word for word in parser.words if word), parser.images


def measure(given, predicted, test):
    return {
        "train": evaluate(given[~test], predicted[~test]),
        "test": evaluate(given[test], predicted[test], bootstrap=100),
        "all": evaluate(given, predicted),
        "learning_curve": [],
        "feature_parts": {},
        "interval_coverage": [],
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    make_images(folder / "<b>&", 20)
    make_images(folder / "other", 20, seed=1)
    paths = [f"<b>&/{i:03d}.png" for i in range(20)] + [f"other/{i:03d}.png" for i in range(20)]
    given = np.linspace(-1.7, 1.7, 40)
    predicted = given + np.where(np.arange(40) == 7, 5, 0)
    test = np.arange(40) % 4 == 0
    return Results(
        directory=folder,
        paths=paths,
        given=given,
        predicted=predicted,
        test=test,
        metrics=measure(given, predicted, test),
        predictions={},
        table="",
        history=[{"epoch": 1.0, "train_ab": 0.6, "test_ab": 0.55}, {"epoch": 2.0, "test_ab": 0.7}],
        notes=["A note with <tags>."],
        provenance={"made": "by hand"},
    )


def test_the_report_shows_figures_pictures_and_names(results, tmp_path):
    write_report(tmp_path / "report.html", results, images=3)
    text, images = read(tmp_path / "report.html")
    assert "A note with <tags>." in text and "<b>&" in text
    assert "100.0%" in text  # the test images are in perfect order
    # best, worst, liked more (none: nothing lies above its prediction), liked less (one)
    assert len(images) == 3 + 3 + 1
    assert all(image.startswith("data:image/jpeg;base64,") for image in images)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>&" not in page  # escaped
    assert "How training went" in text and page.count("<svg") == 2
    assert "<b>&/ 007.png" in text.split("The model likes them more than you do")[1]


def test_a_report_without_test_images_says_so(results, tmp_path):
    none = np.zeros(40, bool)
    metrics = measure(results.given, results.predicted, none)
    untested = replace(results, test=none, metrics=metrics, notes=["Nobody knows."])
    write_report(tmp_path / "report.html", untested, images=0)
    text, images = read(tmp_path / "report.html")
    assert "Nobody knows." in text and not images


def test_thumbnails_are_small_upright_jpegs_and_missing_ones_empty(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (1200, 600), "red").save(tmp_path / "a.jpg", exif=exif)
    first, second = thumbnails([tmp_path / "a.jpg", tmp_path / "gone.jpg"], side=100)
    assert second == ""
    content = base64.b64decode(first.removeprefix("data:image/jpeg;base64,"))
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "JPEG" and image.size == (50, 100)


def test_plots_are_svg_that_scales():
    svg = plot(lambda axes: axes.plot([1, 2, 3]))
    assert isinstance(svg, Markup)
    tag = re.match(r"<svg[^>]*>", svg)
    assert tag and "viewBox" in tag.group() and not re.search(r"\s(width|height)=", tag.group())


def test_a_page_that_lacks_a_value_is_a_fault_and_leaves_nothing(tmp_path):
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        write_page(tmp_path / "x.html", "aesthetic.html", title="t")
    assert not list(tmp_path.iterdir())


@pytest.mark.browser
def test_the_report_can_be_read_on_every_screen(browser, results, tmp_path):
    write_report(tmp_path / "report.html", results, images=3)
    assert faults(browser, (tmp_path / "report.html").as_uri()) == []
