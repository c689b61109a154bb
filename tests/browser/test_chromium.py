"""The browser of the tests itself: what it reports is what a page did."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.chromium import BrowserError, Chromium

_PAGE = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>a page</title>
<style>body { background: white } @media (prefers-color-scheme: dark) { body { background: black } }</style>
<h1>Löcher</h1><button onclick="this.textContent = 'pressed'">press</button>"""


def page(folder: Path, extra: str = "") -> str:
    path = folder / "page.html"
    path.write_text(_PAGE + extra, encoding="utf-8")
    return path.as_uri()


def test_a_page_is_opened_read_and_clicked(browser: Chromium, tmp_path: Path) -> None:
    browser.open(page(tmp_path), width=390, height=700)
    assert browser.wait_for("document.querySelector('h1').textContent") == "Löcher"
    assert browser.evaluate("window.innerWidth") == 390
    browser.click("document.querySelector('button')")
    browser.wait_for("document.querySelector('button').textContent == 'pressed'")
    assert browser.console_errors == []
    assert [request.kind for request in browser.requests] == ["Document"]
    assert browser.external_requests == []


def test_errors_and_requests_that_leave_the_machine_are_reported(browser: Chromium, tmp_path: Path) -> None:
    extra = "<img src='https://example.invalid/x.png'><script>console.error('ouch', 1); nowhere()</script>"
    browser.open(page(tmp_path, extra))
    assert [request.url for request in browser.external_requests] == ["https://example.invalid/x.png"]
    browser.wait_for("document.images[0].complete")
    errors = "\n".join(browser.console_errors)
    assert "ouch 1" in errors
    assert "nowhere is not defined" in errors
    browser.open(page(tmp_path))
    assert browser.console_errors == []
    assert browser.external_requests == []


def test_dark_is_dark_and_a_screenshot_is_a_picture(browser: Chromium, tmp_path: Path) -> None:
    import cv2

    for dark, value in ((False, 255), (True, 0)):
        browser.open(page(tmp_path), width=640, height=480, dark=dark)
        picture = cv2.imread(str(browser.screenshot(tmp_path / f"{dark}.png")))
        assert picture.shape == (480, 640, 3)
        assert picture[-1, -1].tolist() == [value] * 3


def test_what_does_not_come_says_what_the_page_shows(browser: Chromium, tmp_path: Path) -> None:
    browser.open(page(tmp_path))
    with pytest.raises(BrowserError, match="Löcher"):
        browser.wait_for("document.querySelector('h2')", timeout=0.2)
    with pytest.raises(BrowserError, match="nothing is not defined"):
        browser.evaluate("nothing")
