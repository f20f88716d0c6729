"""Makes the pictures in docs/images with the program itself.

    xvfb-run -a -s "-screen 0 1600x1000x24" python -m docs.make_pictures [rating] [pages MODEL]

Without words, all that can be made without a model to build the tagger on (MODEL, a folder with a
small image classifier such as MobileNetV2). Needs a screen, Chromium and chromedriver.

The photographs come inside scikit-image and scikit-learn and may be shown: they are in the public
domain or CC0, except "palace" by ultrahigh and "flower" by dany13, which are CC BY 2.0.
"""

import base64
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont, ImageGrab

from examples.demo_images import load_photograph, make_demo_images
from tests.browser import open_browser, show
from tests.window.conftest import Driver

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
TASTE = ("cat", "palace", "flower", "coffee", "rocket", "astronaut", "motorcycle")  # the best first
PARTS = {"": (0, 0, 1, 1), "-left": (0, 0, 0.7, 0.9), "-right": (0.25, 0.1, 1, 1)}
CHOICES = 60
SLOW = 4  # choices shown one by one; of the others one in `STRIDE`
STRIDE = 11
SMALL = "720x410"


def main(words: list[str]) -> None:
    """Make the pictures that are asked for."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        if not words or "rating" in words:
            make_photographs(place / "photographs")
            show_rating(place / "photographs")
        if not words or "pages" in words:
            show_pages(place, words[words.index("pages") + 1 :] if words else [])


# ---- the window


def make_photographs(folder: Path) -> None:
    """Write photographs and parts of them."""
    folder.mkdir()
    for name in TASTE:
        whole = load_photograph(name)
        for part, share in PARTS.items():
            box = [int(x * side) for x, side in zip(share, whole.size * 2, strict=True)]
            whole.crop(tuple(box)).save(folder / f"{name}{part}.jpg", quality=92)


def show_rating(folder: Path) -> None:
    """rating.gif, window.png and statistics.png."""
    driver = Driver(os.environ["DISPLAY"], folder, goal=100, seed=4)
    frames: list[tuple[Image.Image, int]] = []
    driver.resize(SMALL)
    due = [*range(SLOW), *range(SLOW + STRIDE, CHOICES, STRIDE)]
    for number in range(CHOICES):
        photographs = pair(driver)
        key = "1" if TASTE.index(photographs[0]) <= TASTE.index(photographs[1]) else "2"
        if due and number >= due[0] and len(set(photographs)) == 2:
            driver.idle(0.3)  # until the light below the last choice is gone
            shot = grab(driver).quantize(112, dither=Image.Dither.NONE)
            frames += [(shot, 1000 if number < SLOW else 400), (with_key(shot, key), 500)]
            due.pop(0)
            if not due:
                driver.resize("1200x600")
                driver.idle(0.5)
                grab(driver).quantize(256).save(IMAGES / "window.png", optimize=True)
                driver.resize(SMALL)
        driver.press(key)
    driver.idle(1)
    frames.append((grab(driver).quantize(112, dither=Image.Dither.NONE), 3000))
    driver.press("r")
    driver.resize("1200x800")
    driver.idle(1)
    driver.screenshot().quantize(256).save(IMAGES / "statistics.png", optimize=True)
    driver.close()
    frames[0][0].save(
        IMAGES / "rating.gif",
        save_all=True,
        append_images=[frame for frame, _ in frames[1:]],
        duration=[milliseconds for _, milliseconds in frames],
        loop=0,
    )


def pair(driver: Driver) -> list[str]:
    """The names of the photographs on show."""
    assert driver.session.pair is not None
    return [path.split("-")[0].removesuffix(".jpg") for path in driver.session.pair]


def grab(driver: Driver) -> Image.Image:
    """The window as it is on the screen."""
    root = driver.root
    x, y = root.winfo_rootx(), root.winfo_rooty()
    box = (x, y, x + root.winfo_width(), y + root.winfo_height())
    return ImageGrab.grab(box, xdisplay=driver.display)


def with_key(shot: Image.Image, key: str) -> Image.Image:
    """The key that is pressed, drawn over the image that is chosen."""
    shot = shot.copy()
    draw, font = ImageDraw.Draw(shot), ImageFont.load_default(40)
    x, y = shot.width * (1 if key == "1" else 3) // 4, shot.height * 2 // 5
    draw.rounded_rectangle((x - 34, y - 34, x + 34, y + 34), 12, "#f4f4f4", "#555555", 3)
    draw.text((x, y), key, "#222222", font, anchor="mm")
    return shot


# ---- the pages


def show_pages(place: Path, model: list[str]) -> None:
    """report.png, gallery.png and, with a model to build on, tags.png."""
    examples = make_demo_images(place / "images")
    browser = open_browser(place)
    run("aesthetic_predictor_training", place, "--feature_extractor=builtin", "--save_model=taste")
    picture(browser, (place / "taste" / "report.html").as_uri(), 930, 1230, "report.png")
    run("score_images", place, "--load_model=taste")
    gallery = place / "scored" / "images" / "gallery.html"
    picture(browser, gallery.as_uri(), 1240, 756, "gallery.png")
    if model:
        for example in examples:
            tags = f"{example.photograph}\n{example.damage}\n"
            (place / "images" / f"{example.relative_path}.txt").write_text(tags)
        words = ("--label_source=tags", f"--base_model={model[0]}", "--save_model=tagger")
        run("custom_classifier_training", place, *words)
        show_server(browser, place)
    browser.quit()


def show_server(browser: Any, place: Path) -> None:
    """tags.png: the page of the tagging server."""
    words = ("--load_model=tagger", "--action=serve", "--port=0")
    command = [sys.executable, str(ROOT / "tag_images.py"), *words]
    with subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        line = next(line for line in server.stderr if "http://" in line)
        url = next(word for word in line.split() if word.startswith("http"))
        show(browser, url, 960, "light")
        file = place / "images" / "untouched" / "palace-00.png"
        browser.find_element("id", "file").send_keys(str(file))
        while not browser.find_element("id", "count").text:
            time.sleep(0.1)
        save(browser, 960, 415, "tags.png")
        server.terminate()


def run(script: str, place: Path, *words: str) -> None:
    """Run a script on the images in a folder."""
    command = [sys.executable, str(ROOT / f"{script}.py"), "--top_level_image_directory=images"]
    subprocess.run([*command, *words], cwd=place, check=True)


def picture(browser: Any, url: str, width: int, height: int, name: str) -> None:
    """The upper part of a page."""
    show(browser, url, width, "light")
    save(browser, width, height, name)


def save(browser: Any, width: int, height: int, name: str) -> None:
    """What the browser shows in a window of this size."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    browser.execute_async_script("setTimeout(arguments[0], 500)")  # until images are drawn
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
    with Image.open(io.BytesIO(base64.b64decode(shot))) as image:
        image.convert("RGB").quantize(256).save(IMAGES / name, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])
