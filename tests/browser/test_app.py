"""The FiftyOne App on our data, driven in a real browser."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.chromium import BrowserError, Chromium
from helpers.run_folders import line, write_run

from carpet_data import store
from carpet_data.core.images import encode_png
from carpet_data.preparation.options import GroupOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.store.names import component
from carpet_data.synthesis.engine.synthesize import synthesize
from carpet_data.training.contract import Detection
from carpet_data.training.detection_json import detection_json
from carpet_data.weave.sample import sample

pytestmark = [
    pytest.mark.xdist_group("fiftyone"),
    # Looked for, not imported: FiftyOne takes its database when it is imported.
    pytest.mark.skipif(importlib.util.find_spec("fiftyone") is None, reason="the extra browse is not installed"),
]

COUNT = "document.querySelector('[data-cy=entry-counts]')?.innerText"
LOOKERS = "[...document.querySelectorAll('[data-cy=looker]')]"


@dataclass(frozen=True)
class App:
    url: str
    process: subprocess.Popen[str]


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def start(root: Path, *options: str) -> App:
    """The command, in a process of its own, on the database of these tests, until it says where the App is."""
    port = free_port()
    command = [sys.executable, "-m", "carpet_data", "browse", str(root), "--remote", "--port", str(port), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONWARNINGS": ""})
    assert process.stdout is not None
    for said in process.stdout:
        if said.startswith("open: "):
            return App(said.removeprefix("open: ").strip(), process)
    raise AssertionError(f"the App was not opened; exit code {process.wait()}")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sample carpet, prepared, with three synthetic holes."""
    folder = tmp_path_factory.mktemp("carpet")
    sample(folder / "carpet", size=160, counts={"good": 4, "hole": 3, "cut": 3, "color": 1, "thread": 1}, workers=1)
    prepare(folder / "carpet", folder / "carpet-prepared", group_options=GroupOptions(near_duplicates=False), workers=1)
    synthesize(folder / "carpet-prepared", ["hole"], 3, workers=1)
    _predict(folder / "carpet-prepared")
    return folder / "carpet-prepared"


def _predict(root: Path) -> None:
    """A run that found every defect of the test images, its left half missing, and drew heat maps."""
    rows, heats = [], {}
    for each in (each for each in store.read(root) if each.origin == "real"):
        heat = cv2.GaussianBlur(each.mask().astype(np.float32), (0, 0), 6)
        heats[f"{component(each.id)}.png"] = np.rint(255 * heat / max(float(heat.max()), 0.1)).astype(np.uint8)
        found = []
        for instance in each.instances():
            x, y, w, h = instance.bbox
            half = instance.mask()[y : y + h, x + w // 2 : x + w]
            box = (x + w // 2, y, half.shape[1], h)
            detection = Detection(instance.class_name, 0.81, box, half)
            found.append(detection_json(detection, each.width, each.height))
        row = line(each.id, each.class_name, {"good": 0.1, "hole": 0.9}, condition="train")
        rows.append({**row, "anomaly": float(heat.max()), "detections": found})
    run = write_run(root, rows, name="train-001", command="train")
    values = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**values, "classes": ["good", "hole"]}))
    (run / "heatmaps").mkdir()
    for name, picture in heats.items():
        (run / "heatmaps" / name).write_bytes(encode_png(picture))


@pytest.fixture(scope="module")
def app(root: Path, fiftyone: Any) -> Iterator[App]:
    app = start(root)
    yield app
    app.process.send_signal(signal.SIGINT)
    assert app.process.stdout is not None
    app.process.stdout.read()
    app.process.stdout.close()
    assert app.process.wait(30) == 130, "Ctrl-C ends it as it ends every command"


def look(browser: Chromium, app: App) -> None:
    """Open the App and wait until it shows samples."""
    browser.open(app.url, width=1600, height=1000)
    browser.wait_for(COUNT, timeout=60)
    browser.wait_for(f"{LOOKERS}.length > 5", timeout=60)
    browser.evaluate("[...document.querySelectorAll('button')].find(e => e.innerText == 'Dismiss')?.click()")


def open_view(browser: Chromium, app: App, name: str, *, samples: int) -> None:
    """Open a saved view on a page without filters.

    FiftyOne 1.22 shows an error of its server ("SavedView is not JSON serializable") where a view is opened on a page
    that had a filter, or before the server knows the page's state, as on a busy machine. A user loads the page again.
    """
    for last in (False, False, True):
        look(browser, app)
        try:
            browser.click("document.querySelector('[data-cy=saved-views-selection]')")
            browser.click(f"document.querySelector('[data-cy=saved-views-{name}-selection-option]')")
            browser.wait_for(f"({COUNT} || '').startsWith('{samples} ')")
            browser.wait_for(f"{LOOKERS}.length == {samples}")
            return
        except BrowserError:
            if last:
                raise


@pytest.fixture(scope="module")
def page(app: App, browser: Chromium) -> Chromium:
    """The App, opened once."""
    look(browser, app)
    return browser


def tiles(page: Chromium, path: Path) -> np.ndarray[Any, Any]:
    """uint8 HxWx3 HSV: the part of the window where only tiles are, once their pictures are drawn.

    While they load, the App shows a play of colored squares on black, which moves.
    """
    until = time.monotonic() + 60
    before: np.ndarray[Any, Any] | None = None
    while True:
        picture = cv2.imread(str(page.screenshot(path)))[150:, 320:]
        hsv = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)
        drawn = np.mean(hsv[..., 2] > 60) > 0.3
        if drawn and before is not None and np.array_equal(picture, before):
            return hsv
        assert time.monotonic() < until, "the tiles are not drawn"
        before = picture
        time.sleep(0.5)


def test_the_app_shows_all_samples_in_color(page: Chromium, root: Path, artefacts: Path) -> None:
    page.wait_for(f"{COUNT} == '{len(store.read(root))} samples'")
    hsv = tiles(page, artefacts / "browse-grid.png")
    # Holes and cuts are drawn in their own colors over gray cloth.
    for hue in (10, 101):
        near = (np.abs(hsv[..., 0].astype(int) - hue) < 8) & (hsv[..., 1] > 100)
        assert near.sum() > 500, f"no mask of hue {hue} is drawn"
    ours = [
        error for error in page.console_errors if "fonts.googleapis.com" not in error and "postMessage" not in error
    ]
    assert ours == []


def test_a_class_filter_changes_the_count(page: Chromium, app: App) -> None:
    checkbox = "document.querySelector('[data-cy=checkbox-hole]')"
    for last in (False, False, True):
        look(page, app)
        before = page.evaluate(COUNT)
        try:
            page.click("document.querySelector('[data-cy=sidebar-field-arrow-enabled-class]')")
            # The list is drawn before its counts, which move its rows: a click before that may miss.
            page.wait_for(f"({checkbox}?.parentElement?.innerText || '').includes('6')")
            page.click(checkbox)
            # Three real holes and three synthetic ones.
            page.wait_for(f"{COUNT} == '6 of {before}'")
            return
        except BrowserError:
            if last:
                raise


def test_a_saved_view_opens_and_a_synthetic_sample_shows_its_recipe(
    page: Chromium, app: App, root: Path, artefacts: Path
) -> None:
    open_view(page, app, "synthetic-hole", samples=3)
    page.click(f"{LOOKERS}[0]")
    page.wait_for("document.querySelector('[data-cy=modal]')")
    made = [each for each in store.read(root) if each.origin == "synthetic"]
    recipe = made[0].provenance["recipe"] if made[0].provenance else ""
    page.wait_for(f"document.querySelector('[data-cy=modal]').innerText.includes('{recipe}')")
    text = page.evaluate("document.querySelector('[data-cy=modal]').innerText")
    assert "donor-paste" in text
    assert any(str(each.provenance["host"]) in text for each in made if each.provenance)
    time.sleep(1)  # Only for the picture: it is drawn after the text.
    page.screenshot(artefacts / "browse-sample.png")


def test_what_a_model_found_is_drawn_beside_the_truth(page: Chromium, app: App, artefacts: Path) -> None:
    look(page, app)
    before = tiles(page, artefacts / "browse-truth.png")
    for field in ("detections", "heatmap"):
        page.click(f"document.querySelector('[data-cy=checkbox-{field}]')")
        page.wait_for(f"document.querySelector('[data-cy=checkbox-{field}]').checked !== false")
    until = time.monotonic() + 60
    while True:
        after = tiles(page, artefacts / "browse-predictions.png")
        # A heat map tints the gray cloth of all its image, and labels tell the model's scores.
        colored = [np.mean(hsv[..., 1] > 60) for hsv in (before, after)]
        if colored[1] > 1.5 * colored[0]:
            return
        assert time.monotonic() < until, f"no heat map is drawn: {colored}"
