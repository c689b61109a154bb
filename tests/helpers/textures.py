"""Good images of a plain texture as samples of a folder, and the same with a square defect."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from carpet_data.core.images import write_png
from carpet_data.dataset import Sample


def texture(seed: int, height: int = 96, width: int = 96) -> np.ndarray:
    """uint8 (h, w, 3): smooth noise around gray."""
    values = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(values, (0, 0), 1.5)
    return np.clip(128 + 60 * smooth, 0, 255).astype(np.uint8)


def with_defect(image: np.ndarray, top: int = 40, left: int = 32, side: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """The image with a striped square, and its mask."""
    changed, mask = image.copy(), np.zeros(image.shape[:2], np.bool_)
    stripes = np.where(np.arange(side) % 4 < 2, 10, 245).astype(np.uint8)
    changed[top : top + side, left : left + side] = stripes[:, None, None] if image.ndim == 3 else stripes[:, None]
    mask[top : top + side, left : left + side] = True
    return changed, mask


def saved(path: Path, pixels: np.ndarray) -> None:
    """Write a PNG and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, pixels)


def good_samples(root: Path, count: int, *, group: str | None = None, **shape: int) -> list[Sample]:
    """Good images in a folder, as samples."""
    found = []
    for number in range(count):
        image = texture(number, **shape)
        saved(root / f"good_{number}.png", image)
        found.append(
            Sample(
                f"good_{number}",
                f"good_{number}.png",
                "good",
                image.shape[1],
                image.shape[0],
                group=group,
                root=root,
            )
        )
    return found
