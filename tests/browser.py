"""A headless Chromium, and what is wrong with a page as it is shown."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import IN_CI

WIDTHS = 1280, 420
SCHEMES = "light", "dark"
SMALLEST = 11  # pixels of the smallest letters, as shown
LEAST_CONTRAST = 4.5  # of text with what is behind it: WCAG 2, level AA

_WORDS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--window-size=1200,800"),
)


def open_browser(downloads: Path) -> Any:
    """A window of Chromium without a screen; the test is skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        (pytest.fail if IN_CI else pytest.skip)("headless Chromium and chromedriver are not here")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for word in _WORDS:
        options.add_argument(word)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(service=webdriver.chrome.service.Service(driver), options=options)
    window.downloads = downloads
    return window


def show(browser: Any, url: str, width: int, scheme: str) -> None:
    """Open a page as a screen of this width with this colour scheme does."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False},
    )
    wanted = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [wanted]})
    browser.get(url)


def faults(browser: Any, url: str) -> list[str]:
    """What cannot be read on a page, at each width and in each colour scheme."""
    found = []
    for width in WIDTHS:
        for scheme in SCHEMES:
            show(browser, url, width, scheme)
            faults = browser.execute_script(_FAULTS, SMALLEST, LEAST_CONTRAST)
            found += [f"{width} pixels, {scheme}: {fault}" for fault in faults]
    show(browser, "about:blank", 1200, "light")
    return found


_FAULTS = r"""
const [smallest, leastContrast] = arguments, faults = new Set(), root = document.documentElement;
if (root.scrollWidth > root.clientWidth) faults.add(`the page is ${root.scrollWidth} wide`);
const numbers = colour => (colour.match(/[\d.]+/g) || []).map(Number);
function luminance(colour) {
  const [r, g, b] = colour.slice(0, 3).map(v => v / 255).map(
    v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function behind(element) {
  const [r, g, b, alpha = 1] = numbers(getComputedStyle(element).backgroundColor);
  if (alpha === 1) return [r, g, b];
  const below = element.parentElement ? behind(element.parentElement) : [255, 255, 255];
  return below.map((under, i) => alpha * [r, g, b][i] + (1 - alpha) * under);
}
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node; node = texts.nextNode();) {
  const element = node.parentElement, text = node.textContent.trim();
  const range = document.createRange();
  range.selectNodeContents(node);
  if (!text || !range.getBoundingClientRect().width) continue;
  const svg = element.closest("svg"), style = getComputedStyle(element);
  const zoom = svg ? Math.hypot(element.getScreenCTM().a, element.getScreenCTM().b) : 1;
  const size = zoom * parseFloat(style.fontSize), what = text.slice(0, 40);
  if (size < smallest - 0.05) faults.add(`${size.toFixed(1)} pixels: ${what}`);
  const painted = svg && element.previousElementSibling?.tagName === "rect"  // a cell of a heat map
    ? numbers(getComputedStyle(element.previousElementSibling).fill) : behind(svg || element);
  const [dark, light] = [numbers(svg ? style.fill : style.color), painted].map(luminance)
    .sort((a, b) => a - b);
  const contrast = (light + 0.05) / (dark + 0.05);
  if (contrast < leastContrast) faults.add(`contrast ${contrast.toFixed(1)}: ${what}`);
  if (!svg) for (const word of node.textContent.matchAll(/[\p{L}\p{N}]{2,24}/gu)) {
    range.setStart(node, word.index);
    range.setEnd(node, word.index + word[0].length);
    if (range.getClientRects().length > 1) faults.add(`broken: ${word[0]} in ${what}`);
  }
}
return [...faults];
"""
