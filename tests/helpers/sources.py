"""Small raw data sets in MVTec AD layout whose images are all different."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

SMALL = {"train/good": 6, "test/good": 2, "test/hole": 5, "test/thread": 4}


def write_source(root: Path, counts: Mapping[str, int] | None = None, *, size: int = 40, seed: int = 0) -> Path:
    """Images of noise, and for the defects a mask with two blobs."""
    random = np.random.default_rng(seed)
    for folder, count in (counts or SMALL).items():
        (root / folder).mkdir(parents=True)
        defect = Path(folder).name
        for number in range(count):
            pixels = random.integers(0, 256, (size, size, 3), dtype=np.uint8)
            assert cv2.imwrite(str(root / folder / f"{number:03d}.png"), pixels)
            if defect != "good":
                mask = np.zeros((size, size), np.uint8)
                x, y = random.integers(1, size // 2 - 6, 2)
                mask[y : y + 5, x : x + 4] = 255
                mask[y + size // 2 : y + size // 2 + 3, x : x + 6] = 255
                (root / "ground_truth" / defect).mkdir(parents=True, exist_ok=True)
                assert cv2.imwrite(str(root / "ground_truth" / defect / f"{number:03d}_mask.png"), mask)
    return root


def hashes(root: Path) -> dict[str, str]:
    """Relative path -> SHA-256 of every file of a folder."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
