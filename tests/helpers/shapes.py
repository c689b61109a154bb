"""Masks that other tools get wrong, and a data folder made of masks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def blank(height: int = 96, width: int = 128) -> Mask:
    return np.zeros((height, width), np.bool_)


def _ring(radius: int, thickness: int) -> Mask:
    canvas = np.zeros((96, 128), np.uint8)
    cv2.circle(canvas, (64, 48), radius, 1, thickness)
    return canvas.astype(np.bool_)


def _specks(count: int) -> Mask:
    mask = blank(150, 160)
    cells = np.random.default_rng(5).permutation(50 * 53)[:count]
    mask[3 * (cells // 53), 3 * (cells % 53)] = True
    return mask


def make() -> dict[str, Mask]:
    """Name -> mask."""
    point = blank()
    point[50, 60] = True
    corners = blank()
    corners[0, 0] = corners[0, -1] = corners[-1, 0] = corners[-1, -1] = True
    diagonal = blank()
    diagonal[np.arange(30), np.arange(30) + 7] = True
    antidiagonal = blank()
    antidiagonal[np.arange(30), 40 - np.arange(30)] = True
    scratch = blank()
    scratch[20, 30:50] = True
    upright = blank()
    upright[30:50, 20] = True
    border = blank()
    border[:20, :30] = border[-9:, 50:70] = border[40:60, -5:] = True
    comb = blank()
    comb[10:60, 10:100:2] = comb[60, 10:100] = True
    checkers = np.indices((24, 24)).sum(axis=0) % 2 == 0
    holes = np.ones((64, 64), np.bool_)
    holes[2::4, 2::4] = False
    pinched = blank()
    pinched[10:20, 10:20] = pinched[20:30, 20:30] = pinched[10:20, 30:40] = pinched[5:10, 20:30] = True
    return {
        "point": point,
        "corner points": corners,
        "diagonal": diagonal,
        "antidiagonal": antidiagonal,
        "scratch 20x1": scratch,
        "scratch 1x20": upright,
        "ring": _ring(30, 5),
        "nested rings": _ring(40, 3) | _ring(25, 3) | _ring(10, 2) | point,
        "thin ring": _ring(20, 1),
        "border blobs": border,
        "full image": np.ones((96, 128), np.bool_),
        "comb": comb,
        "checkerboard": checkers,
        "sieve": holes,
        "pinched": pinched,
        "one column": np.ones((40, 1), np.bool_),
        "one row": np.ones((1, 40), np.bool_),
        "one pixel image": np.ones((1, 1), np.bool_),
        "2000 specks": _specks(2000),
        "empty": blank(),
    }


SHAPES = make()


def write_mvtec(root: Path, masks: Mapping[str, tuple[str, Mask]], good: int = 1) -> Path:
    """An MVTec folder of grey images with these masks: name -> (class, mask)."""
    for number in range(good):
        _write(root / "train" / "good" / f"{number:03}.png", np.full((32, 40), 90 + number, np.uint8))
    for name, (class_name, mask) in masks.items():
        image = np.where(mask, 200, 90).astype(np.uint8)
        _write(root / "test" / class_name / f"{name}.png", image)
        _write(root / "ground_truth" / class_name / f"{name}_mask.png", mask.astype(np.uint8) * 255)
    return root


def _write(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(".png", pixels)
    assert done
    path.write_bytes(data.tobytes())
