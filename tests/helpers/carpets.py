"""A small prepared carpet with synthetic images, for tests of experiments."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2

from carpet_data import store
from carpet_data.dataset import Sample
from carpet_data.preparation.options import SplitOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.synthesis.engine.rebalance import rebalance
from carpet_data.weave.sample import sample

COUNTS = {"good": 18, "test-good": 6, "color": 0, "cut": 0, "hole": 10, "metal_contamination": 0, "thread": 10}


def prepared_carpet(folder: Path, *, to: int | None = 14, size: int = 128) -> Path:
    """A prepared sample data set of good, hole and thread, half of it on the test side."""
    sample(folder / "raw", size=size, counts=COUNTS, workers=1)
    prepare(folder / "raw", folder / "prepared", SplitOptions(fractions=(0.5, 0.5)), workers=1)
    if to is not None:
        rebalance(folder / "prepared", to, workers=1)
    return folder / "prepared"


def copied(root: Path, to: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(root, to)
    return to


def planted(root: Path, *, chosen: Callable[[Sample], bool] = lambda sample: sample.origin == "synthetic") -> None:
    """Put a white mark of 6×6 px near the top left corner of images."""
    for each in store.read(root):
        if chosen(each):
            path = root / each.image_path
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            image[2:8, 2:8] = 255
            path.unlink()  # a real image is a link of its source
            assert cv2.imwrite(str(path), image)


def rewritten(root: Path, name: str, change: Callable[[dict[str, object]], dict[str, object]]) -> None:
    """Change every line of a file of a prepared folder."""
    path = root / name
    lines = [change(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
