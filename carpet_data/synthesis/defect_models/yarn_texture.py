"""What a yarn of the photographed cloth looks like: pieces of it, straightened, to cover laid strands with."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.weave.noise import F32
from carpet_data.weave.surface import ALONG_WARP, RGB, Fibres, Row

__all__ = ["sampled_fibres"]

_PIECES = 40
_LONG, _WIDE = 48, 24
"""Samples along and across a straightened piece."""
_STRETCH = 1.7
"""A piece is drawn out along the yarn: its fibres run along it, so that they stay fibres."""


def sampled_fibres(pixels: F32, run: NDArray[np.uint8], angle: float, pitch: float, light: RGB) -> Fibres | None:
    """Cut the lit middles of yarns out of a photograph.

    A yarn comes up between two crossings as a bright bump about a pitch long; those bumps are the pieces.

    Args:
        pixels: float32 SxSx3 RGB.
        run: uint8 SxS of ALONG_WARP and ALONG_WEFT.
        angle: Direction of the weft against the x axis, in radians.
        pitch: Mean distance of neighbouring yarns in pixels.
        light: RGB of the host's light fibres: strands of nearly this colour are covered with pieces.

    Returns:
        A function that colours strands; None where no piece is found.
    """
    soft = cv2.GaussianBlur(pixels.mean(axis=2), (0, 0), 0.22 * pitch)
    reach = 2 * int(0.35 * pitch) + 1
    peak = soft >= cv2.dilate(soft, np.ones((reach, reach), np.uint8))
    edge = int(pitch) + 1
    peak[:edge], peak[-edge:], peak[:, :edge], peak[:, -edge:] = False, False, False, False
    rows, columns = np.nonzero(peak)
    if len(rows) == 0:
        return None
    # The brightest are the surest bumps; every so many of them, so that all tones come in.
    order = np.argsort(-soft[rows, columns], kind="stable")[: max(1, int(0.85 * len(rows)))]
    order = order[:: max(1, len(order) // _PIECES)][:_PIECES]
    pieces = np.stack([_piece(pixels, run, angle, pitch, int(rows[k]), int(columns[k])) for k in order])
    mean = np.asarray(light).mean()

    def colours(shades: tuple[RGB, RGB], rng: np.random.Generator, along: Row, across: Row) -> F32 | None:
        tone = float(np.mean(shades[0])) / mean
        if shades[0] == shades[1] or not 0.75 <= tone <= 1.4:
            return None
        first, second = (pieces[int(rng.integers(len(pieces)))] for _ in range(2))
        wave = rng.uniform(0, 6.28) + along * rng.uniform(0.6, 1.2) / pitch
        share = (0.5 + 0.5 * np.sin(wave)).astype(np.float32)[:, None, None]
        place = along / pitch * (_LONG / _STRETCH) + rng.uniform(0, _LONG)
        where_x = (_folded(place, _LONG)[:, None] + 0 * across).astype(np.float32)
        where_y = ((across * 0.5 + 0.5) * (_WIDE - 1) + 0 * along[:, None]).astype(np.float32)
        one, other = (cv2.remap(p, where_x, where_y, cv2.INTER_LINEAR) for p in (first, second))
        # What the lens has blurred away comes back as single fibres, straight along the yarn.
        white = rng.standard_normal((len(along), 2 * len(across)), dtype=np.float32)
        fine = cv2.GaussianBlur(white, (0, 0), sigmaX=1.0, sigmaY=18.0)[:, ::2][:, : len(across)]
        fine = np.clip(fine / max(float(fine.std()), 1e-6), -2.5, 2.5)[..., None]
        rim = (1 - 0.3 * np.abs(across) ** 3).astype(np.float32)[:, None]
        gain = np.float32(tone) * rim * (1 + np.float32(0.16) * fine)
        return np.asarray((one + (other - one) * share) * gain, np.float32)

    return colours


def _piece(pixels: F32, run: NDArray[np.uint8], angle: float, pitch: float, row: int, column: int) -> F32:
    """A straightened piece, float32 _WIDE x _LONG x 3, fibres along its rows."""
    turn = angle + (np.pi / 2 if run[row, column] == ALONG_WARP else 0.0)
    along = np.linspace(-0.36, 0.36, _LONG)[None, :] * pitch
    across = np.linspace(-0.24, 0.24, _WIDE)[:, None] * pitch
    x = (column + along * np.cos(turn) - across * np.sin(turn)).astype(np.float32)
    y = (row + along * np.sin(turn) + across * np.cos(turn)).astype(np.float32)
    return np.asarray(cv2.remap(pixels, x, y, cv2.INTER_LINEAR), np.float32)


def _folded(place: Row, length: int) -> Row:
    """Positions on a piece that is run through back and forth, so that it has no end."""
    span = length - 1.0
    return np.asarray(span - np.abs(np.mod(place, 2 * span) - span), np.float64)
