"""A small data set in MVTec layout, to be damaged."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core.problems import Problem
from carpet_data.diagnosis.codes import CODES
from carpet_data.diagnosis.doctor import Diagnosis, doctor
from carpet_data.formats import ReadOptions

SIDE = 64


def picture(seed: int, *, side: int = SIDE) -> NDArray[np.uint8]:
    """A texture of its own for every seed."""
    noise = np.random.default_rng(seed).normal(0, 1, (side, side, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return np.clip(128 + 90 * smooth / smooth.std() / 2, 0, 255).astype(np.uint8)


def spot(value: int = 255, *, side: int = SIDE, kind: type[np.generic] = np.uint8) -> NDArray[np.generic]:
    mask = np.zeros((side, side), kind)
    mask[10:20, 12:30] = value
    return mask


def save(path: Path, pixels: NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def write_cloth(root: Path) -> Path:
    """train/good 6, test/good 2, and 5 each of hole and cut, with masks."""
    for number in range(6):
        save(root / f"train/good/{number:03}.png", picture(number))
    for number in range(2):
        save(root / f"test/good/{number:03}.png", picture(100 + number))
    for seed, name in ((200, "hole"), (300, "cut")):
        for number in range(5):
            save(root / f"test/{name}/{number:03}.png", picture(seed + number))
            save(root / f"ground_truth/{name}/{number:03}_mask.png", spot())
    return root


def examine(root: Path, **options: object) -> Diagnosis:
    return doctor(root, ReadOptions(**options), workers=1)  # type: ignore[arg-type]


def only(diagnosis: Diagnosis, code: str) -> Problem:
    found = diagnosis.of(code)
    assert len(found) == 1, diagnosis.problems
    assert found[0].severity == CODES[code].severity
    assert found[0].what
    assert found[0].hint
    return found[0]


HOLE, HOLE_MASK = "test/hole/002.png", "ground_truth/hole/002_mask.png"
"""One defect image and its mask."""
