"""The tagging server: its page, its answers, and what it refuses."""

import http.client
import io
import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser import faults
from tests.tagging import COLOURS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server(trained_tagger):
    base, _ = trained_tagger
    words = [f"--load_model={base / 'model'}", "--action=serve", "--port=0"]
    process = subprocess.Popen(
        [sys.executable, "tag_images.py", *words], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
        assert address, process.stderr.read()
        yield address[0]
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        finally:
            process.kill()
            process.stderr.close()


def post(address, body, headers=None):
    request = urllib.request.Request(address, data=body, headers=headers or {}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def png(size):
    buffer = io.BytesIO()
    Image.new("1", size).save(buffer, "PNG")
    return buffer.getvalue()


def noise():
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_server_tags_what_is_posted(trained_tagger, server):
    base, _ = trained_tagger
    content = (base / "images" / "007.png").read_bytes()
    status, answer = post(f"{server}/api/tag?limit=500", content)
    assert status == 200
    assert (answer["width"], answer["height"]) == (48, 40)
    assert {tag["name"] for tag in answer["tags"]} == set(COLOURS)
    shares = [tag["probability"] for tag in answer["tags"]]
    assert shares == sorted(shares, reverse=True)
    _, strict = post(f"{server}/api/tag?threshold=1", content)
    assert strict["tags"] == []
    with urllib.request.urlopen(f"{server}/api/tags", timeout=60) as reply:
        assert {tag["name"] for tag in json.load(reply)} == set(COLOURS)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 415),
        (b"no image at all", 415),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), 415),
        (noise()[:1000], 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (png((20_000, 20_000)), 413),  # 400 megapixels in a few kilobytes
        (bytes((32 << 20) + 1), 413),
        (b"../../etc/passwd", 415),
    ],
    ids=["empty", "text", "header", "truncated", "svg", "bomb", "huge", "path"],
)
def test_what_is_no_good_is_refused(server, body, status):
    try:
        found, _ = post(f"{server}/api/tag", body)
    except (BrokenPipeError, ConnectionResetError, urllib.error.URLError) as error:
        # The server may answer 413 and close before a huge body is sent.
        assert len(body) > 32 << 20, error
        found = 413
    assert found == status
    assert post(f"{server}/api/tag", png((30, 20)))[0] == 200  # and it goes on


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?threshold=2", {}, 422),
        ("?threshold=x", {}, 422),
        ("?limit=0", {}, 422),
        ("?limit=9999999", {}, 422),
        ("", {"Host": "evil.example"}, 400),
        ("", {"Origin": "https://evil.example"}, 403),
        ("", {"Origin": "http://127.0.0.1:1"}, 403),
        ("", {"Origin": "null"}, 403),
    ],
)
def test_wrong_numbers_other_names_and_pages_of_other_sites_are_refused(
    server, query, headers, status
):
    assert post(f"{server}/api/tag{query}", png((30, 20)), headers)[0] == status
    assert post(f"{server}/api/tag", png((30, 20)), {"Origin": server})[0] == 200


@pytest.mark.parametrize("path", ["/../run.py", "/api/tag/../../run.py", "/docs", "/page.html"])
def test_there_is_nothing_else(server, path):
    with pytest.raises(urllib.error.HTTPError, match="404") as caught:
        urllib.request.urlopen(server + path, timeout=60)
    caught.value.close()


def test_an_upload_that_tells_no_size_is_read_no_further_than_allowed(server):
    connection = http.client.HTTPConnection(server.removeprefix("http://"), timeout=60)
    pieces = (bytes(1 << 20) for _ in range(33))
    try:
        connection.request("POST", "/api/tag", body=pieces, encode_chunked=True)
        status = connection.getresponse().status
    except (BrokenPipeError, ConnectionResetError):
        status = 413  # closed before all of it was sent
    finally:
        connection.close()
    assert status == 413


def wait(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 60).until(lambda _: condition())


@pytest.mark.browser
def test_the_page_tags_an_image_and_the_slider_chooses(trained_tagger, server, browser):
    base, _ = trained_tagger
    assert faults(browser, server) == []
    browser.get(server)
    browser.find_element("id", "file").send_keys(str(base / "images" / "003.png"))
    wait(browser, lambda: "tags" in browser.find_element("id", "count").text)

    def at(value):
        browser.execute_script(
            "const s = document.getElementById('threshold'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('input'))",
            value,
        )
        return [item.text for item in browser.find_elements("css selector", "#tags li")]

    assert len(at(0)) == 3
    assert at(1) == []
    assert not browser.find_element("id", "own").is_selected()
    browser.find_element("id", "file").send_keys(str(ROOT / "run.py"))
    wait(browser, lambda: "not an image" in browser.find_element("id", "problem").text)
    severe = [line for line in browser.get_log("browser") if "Security Policy" in line["message"]]
    assert not severe
