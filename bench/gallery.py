"""The gallery page of 20,000 images in headless Chromium.

    python -m bench.gallery

Needs selenium, chromium and chromedriver. Prints the size of the page in MB, the seconds to write
it, the milliseconds until it can be used, to sort by another column and to search, the median
milliseconds of a frame while scrolling by two screens in each, and the tiles and JavaScript heap in
MB at the end.
"""

import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench import needs
from bench.photographs import write_photographs
from src.reports.gallery import write_gallery
from src.reports.thumbnails import THUMBNAILS, write_thumbnails

if TYPE_CHECKING:
    from selenium import webdriver

COUNT = 20_000
SCROLL = """const done = arguments[0]; let frames = 0, last = performance.now(), times = [];
function frame() { const now = performance.now(); times.push(now - last); last = now;
  if (frames++ > 60) { times.sort((a, b) => a - b); done(times[30]); return; }
  scrollBy(0, 1600); requestAnimationFrame(frame); }
requestAnimationFrame(frame);"""


def open_browser() -> "webdriver.Chrome":
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for word in ("headless=new", "no-sandbox", "disable-gpu", "window-size=1400,900"):
        options.add_argument(f"--{word}")
    service = webdriver.chrome.service.Service(shutil.which("chromedriver") or "")
    return webdriver.Chrome(service=service, options=options)


def main() -> None:
    needs.packages("selenium")
    needs.programs("chromium", "chromedriver")
    rng = np.random.default_rng(0)
    result: dict[str, object] = {"bench": "gallery", "images": COUNT}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = write_photographs(folder / "images", 12, (730, 548))
        made = write_thumbnails(
            folder / THUMBNAILS, files, [bytes([240 + n]) * 12 for n in range(12)]
        )
        for number in range(COUNT):
            source, name = folder / THUMBNAILS / made[number % 12], f"{number:024d}.jpg"
            (folder / THUMBNAILS / name).hardlink_to(source)
        start = time.perf_counter()
        write_gallery(
            folder / "gallery.html",
            folder / "images",
            [f"folder {n // 500}/holiday picture {n}.jpg" for n in range(COUNT)],
            {name: rng.normal(size=COUNT) for name in ("score", "percentile", "uncertainty")},
            [f"{n:024d}.jpg" for n in range(COUNT)],
            title="20,000 images",
        )
        result["seconds_to_write"] = round(time.perf_counter() - start, 2)
        result["megabytes"] = round((folder / "gallery.html").stat().st_size / 1e6, 2)
        browser = open_browser()
        try:
            browser.get((folder / "gallery.html").as_uri())
            for name, script in {
                "ms_until_usable": "return performance.getEntriesByType('navigation')[0]"
                ".domContentLoadedEventEnd",
                "ms_to_sort": "const k = document.getElementById('key'), t = performance.now();"
                "k.value = 'percentile'; k.onchange(); document.body.offsetHeight;"
                "return performance.now() - t",
                "ms_to_search": "const w = document.getElementById('words'),"
                "t = performance.now(); w.value = '19'; w.oninput(); document.body.offsetHeight;"
                "const ms = performance.now() - t; w.value = ''; w.oninput(); return ms",
            }.items():
                result[name] = round(browser.execute_script(script))
            result["ms_per_frame"] = round(browser.execute_async_script(SCROLL))
            tiles = "return document.querySelectorAll('.tile').length"
            result["tiles"] = browser.execute_script(tiles)
            heap = "return performance.memory.usedJSHeapSize / 1e6"
            result["heap_megabytes"] = round(browser.execute_script(heap))
        finally:
            browser.quit()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
