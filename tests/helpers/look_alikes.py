"""Images of different things that look alike, and one thing photographed again, all by seed."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def _noise(seed: int, height: int, width: int, sigma: float) -> NDArray[np.float64]:
    layer = np.random.default_rng(seed).normal(size=(height, width))
    layer = cv2.GaussianBlur(layer, (0, 0), sigma) if sigma else layer
    return np.asarray(layer / layer.std())


def _pixels(values: NDArray[np.float64]) -> Pixels:
    return np.clip(values, 0, 255).astype(np.uint8)


def lattice(seed: int, size: int = 256, period: float = 21.3) -> Pixels:
    """A mesh of wires: every image is cut elsewhere from the same lattice, under its own light and noise."""
    random = np.random.default_rng(seed)
    dx, dy = random.uniform(0, period, 2)
    y, x = np.mgrid[:size, :size].astype(float)
    across = np.abs(np.sin(np.pi * ((x + dx) + 0.5 * (y + dy)) / period))
    down = np.abs(np.sin(np.pi * ((x + dx) - 0.5 * (y + dy)) / period))
    wires = np.exp(-((np.minimum(across, down) / 0.25) ** 2))
    light = 1 + random.uniform(-0.2, 0.2) * (x / size - 0.5)
    return _pixels((190 - 120 * wires) * light + 2.0 * _noise(seed + 7000, size, size, 0.8))


def broken(pixels: Pixels, seed: int) -> Pixels:
    """A wire cut and bent somewhere."""
    random = np.random.default_rng(seed)
    out = pixels.copy()
    x, y = random.integers(60, pixels.shape[1] - 60, 2).tolist()
    cv2.circle(out, (x, y), 9, 180, -1)
    cv2.line(out, (x, y), (x + int(random.integers(-25, 25)), y + int(random.integers(-25, 25))), 40, 4)
    return out


def bottle(seed: int, size: int = 256) -> Pixels:
    """An object seen from above, aligned to a pixel: the rings are those of its kind, grain and specks are its own."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size].astype(float)
    cx, cy = size / 2 + random.uniform(-1, 1, 2)
    radius = np.hypot(x - cx, y - cy) / (size / 2)
    rings = 90 + 50 * np.cos(22 * radius) * (radius > 0.45)
    grain = 6 * _noise(seed + 3000, size, size, 1.2) * ((radius > 0.45) & (radius < 0.75))
    values = np.where(radius < 0.9, rings + grain, 245.0) + _noise(seed + 9000, size, size, 0)
    out = _pixels(values)
    for _ in range(5):
        angle, r = random.uniform(0, 2 * np.pi), size * random.uniform(0.3, 0.42)
        cv2.circle(out, (int(cx + r * np.cos(angle)), int(cy + r * np.sin(angle))), 2, 230, -1)
    return out


def printed_board(seed: int, size: int = 256) -> Pixels:
    """One printed pattern, full of detail: boards differ by noise and a spot of solder."""
    random = np.random.default_rng(99)
    board = np.full((size, size), 60, np.uint8)
    for _ in range(90):
        (a, b), (c, d) = random.integers(0, size, (2, 2)).tolist()
        cv2.line(board, (a, b), (c, b), 190, 2)
        cv2.circle(board, (c, d), 4, 220, -1)
    own = np.random.default_rng(seed)
    x, y = own.integers(30, size - 30, 2).tolist()
    cv2.circle(board, (x, y), 7, 120, -1)
    shift = np.column_stack([np.eye(2), own.uniform(-2, 2, 2)])
    moved = cv2.warpAffine(board, shift, (size, size), borderMode=cv2.BORDER_REFLECT).astype(float)
    return _pixels(moved + 5.0 * _noise(seed + 500, size, size, 0))


def twill(seed: int, size: int = 256) -> Pixels:
    """A fine twill: strict diagonals, and yarns that are a little irregular in their own way."""
    y, x = np.mgrid[:size, :size].astype(float)
    wander = 0.8 * _noise(seed, size, size, 7)
    diagonals = np.sin(2 * np.pi * (x + y + wander) / 9)
    return _pixels(120 + 45 * diagonals + 9 * _noise(seed + 400, size, size, 1.5))


def tile(seed: int, exposure: float = 1.0, height: int = 240, width: int = 200) -> Pixels:
    """A ground surface under some exposure: the grain is the tile's, the noise is the photograph's."""
    grain = 10 * _noise(seed, height, width, 1.0) + 14 * _noise(seed + 200, height, width, 4)
    light = exposure * (1 + 0.25 * np.linspace(-1, 1, width))[None, :]
    shot = np.random.default_rng(int(1000 * exposure) + seed)
    return _pixels((110 + grain) * light + shot.normal(0, 1.5, (height, width)))


def photographed_again(pixels: Pixels, seed: int) -> Pixels:
    """The same part put under the camera once more: moved, turned a little, under other light."""
    random = np.random.default_rng(seed)
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-1.5, 1.5), 1.0)
    matrix[:, 2] += random.uniform(-0.04, 0.04, 2) * (width, height)
    moved = cv2.warpAffine(pixels, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    return _pixels(moved * random.uniform(0.75, 1.1) + random.normal(0, 2, (height, width)))
