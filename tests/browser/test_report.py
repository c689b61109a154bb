"""The pages in a real browser: nothing is asked for, nothing is wider than the window, keys and colors work."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from helpers.chromium import Chromium
from helpers.run_pages import add_training, add_validation, prepared
from helpers.validation_pages import MANY, page

from carpet_data.reporting import validation
from carpet_data.reporting.report import report

pytestmark = pytest.mark.xdist_group("browser")

SIZES = [(1280, False), (390, False), (1280, True), (390, True)]

# The lowest contrast of any text with what lies behind it, by the formula of WCAG 2.2, and whose it is.
_CONTRAST = """(() => {
  const canvas = document.createElement('canvas'); canvas.width = canvas.height = 1;
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  const rgb = color => { pen.clearRect(0, 0, 1, 1); pen.fillStyle = color; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data]; };
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => { const l = [r, g, b].map(v => linear(v / 255));
    return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2]; };
  let worst = [99, ''];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.textContent.trim() || !element.getClientRects().length) continue;
    if (element.closest('svg, .skip, .hidden')) continue;
    let behind = element, ground;
    while (behind && !(ground = rgb(getComputedStyle(behind).backgroundColor))[3]) behind = behind.parentElement;
    if (!behind || ground[3] < 255) continue;
    const a = light(rgb(getComputedStyle(element).color)), b = light(ground);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < worst[0]) worst = [ratio, element.tagName + ' ' + element.className + ': ' + node.textContent.trim()];
  }
  return worst;
})()"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    root = prepared(folder / "set")
    bare = report(root, folder / "bare.html", workers=1).out
    add_validation(root)
    add_training(root)
    full = report(root, folder / "full.html", workers=1).out
    (folder / "run").mkdir()
    _, many = validation.write(folder / "run", page(MANY))
    return {"bare": bare, "full": full, "validation": many}


@pytest.mark.parametrize("which", ["bare", "full", "validation"])
def test_a_page_fits_any_window_and_asks_for_nothing(which: str, pages: dict[str, Path], browser: Chromium) -> None:
    for width, dark in SIZES:
        browser.open(pages[which].as_uri(), width=width, height=844, dark=dark)
        browser.evaluate("Promise.all([...document.images].map(image => image.decode()))")
        assert browser.console_errors == []
        assert [each.url for each in browser.requests if not each.url.startswith("data:")] == [pages[which].as_uri()]
        assert browser.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), (which, width)
        assert browser.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        ratio, whose = browser.evaluate(_CONTRAST)
        assert ratio >= 4.5, (which, width, dark, ratio, whose)


@pytest.mark.parametrize("which", ["full", "validation"])
def test_a_page_is_made_for_screen_readers_and_keys(which: str, pages: dict[str, Path], browser: Chromium) -> None:
    browser.open(pages[which].as_uri(), width=1280, height=844)
    levels = browser.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(each => Number(each.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert browser.evaluate("document.documentElement.lang") == "en"
    assert browser.evaluate("[...document.images].every(image => image.alt)")
    assert browser.evaluate(
        "[...document.querySelectorAll('table')].every(t => t.caption && t.querySelector('th[scope=col]'))"
    )
    assert browser.evaluate("[...document.querySelectorAll('th')].every(th => th.scope)")
    assert browser.evaluate(
        "[...document.querySelectorAll('[role=img]')].every(each => each.getAttribute('aria-label'))"
    )
    names = "[...document.querySelectorAll('[id]')].map(each => each.id)"
    assert browser.evaluate(f"new Set({names}).size == {names}.length")
    # The first key leads to the skip link, which leads to the content.
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.className") == "skip"
    browser.press("Enter")
    browser.wait_for("document.activeElement.id == 'main'")


def test_dark_is_dark(pages: dict[str, Path], browser: Chromium) -> None:
    grounds = []
    for dark in (False, True):
        browser.open(pages["full"].as_uri(), dark=dark)
        grounds.append(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
    light, dark_one = ([int(part) for part in each.strip("rgb()").split(",")] for each in grounds)
    assert min(light) > 230
    assert max(dark_one) < 40


def test_outlines_can_be_taken_away(pages: dict[str, Path], browser: Chromium) -> None:
    browser.open(pages["full"].as_uri())
    shown = "[...document.querySelectorAll('.thumb svg')].filter(each => each.getClientRects().length).length"
    assert browser.evaluate(shown) > 0
    browser.click("document.getElementById('outlines')")
    assert browser.evaluate(shown) == 0


def test_pictures_and_outlines_share_one_place(pages: dict[str, Path], browser: Chromium) -> None:
    browser.open(pages["full"].as_uri(), width=390, height=844)
    apart = browser.evaluate(
        """Math.max(...[...document.querySelectorAll('.thumb:has(svg)')].flatMap(each => {
          const [a, b] = ['img', 'svg'].map(tag => each.querySelector(tag).getBoundingClientRect());
          return ['left', 'top', 'right', 'bottom'].map(side => Math.abs(a[side] - b[side])); }))"""
    )
    assert apart < 1
