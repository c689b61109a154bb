"""Lay a cut of a lattice on another image of it: turned as the other lattice lies, moved until the two coincide.

The lattice alone says how a cut may be turned and mirrored (all ways that carry one lattice into the other); how well
the pixels around the defect then agree with the host says which of these ways are symmetries of the texture too.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Image, Mask, Redraw
from carpet_data.synthesis.ops.pixels import F32, grey
from carpet_data.synthesis.ops.warp import inverse_of

_SIZE_RANGE = (0.88, 1.14)
_SHEAR = 1.08
"""The same mesh in two images is turned and a little nearer, not sheared."""
_TEMPLATE_PX = 200
_ALIKE = 0.06
"""Ways of laying a cut whose likeness is this near the best are as good."""
_COARSE_CELL_PX = 24.0
_ECC_STEPS = 40
_BENT = 0.06

Lattice = tuple[tuple[float, float], tuple[float, float]]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """A cut laid on a host.

    Attributes:
        matrix: 2x2, from the cut's directions to the host's.
        inverse: 2x3, from pixels of the canvas to those of the cut.
        corner: x, y of the canvas on the host; it may lie outside.
        size: Width and height of the canvas.
        likeness: Correlation of the two where they were compared, -1..1.
    """

    matrix: Floats
    inverse: Floats
    corner: tuple[float, float]
    size: tuple[int, int]
    likeness: float

    def moved(self, shift: Floats) -> Laid:
        """The same cut in another place."""
        corner = (self.corner[0] + float(shift[0]), self.corner[1] + float(shift[1]))
        return Laid(self.matrix, self.inverse, corner, self.size, self.likeness)


def isometries(own: Lattice, other: Lattice) -> list[Floats]:
    """The 2x2 matrices that carry one lattice into another and hardly change lengths or angles, the truest first."""
    here, there = (np.array(lattice, np.float64).T for lattice in (own, other))
    found = []
    for numbers in product((-2, -1, 0, 1, 2), repeat=4):
        counts = np.array(numbers, np.float64).reshape(2, 2)
        if abs(round(float(np.linalg.det(counts)))) != 1:
            continue
        matrix = there @ counts @ np.linalg.inv(here)
        large, small = (float(v) for v in np.linalg.svd(matrix, compute_uv=False))
        if _SIZE_RANGE[0] <= small and large <= _SIZE_RANGE[1] and large / small <= _SHEAR:
            found.append((large / small, numbers, matrix))
    return [matrix for _, _, matrix in sorted(found, key=lambda one: one[:2])]


def laid_on(
    host: Image, cut: Image, clean: Mask, own: Lattice, other: Lattice, least: float, rng: np.random.Generator
) -> Laid:
    """The cut somewhere on the host so that the lattices coincide: one of the ways in which they agree best.

    Args:
        host: uint8 HxWx3 or HxW.
        cut: uint8 hxwx3 or hxw.
        clean: bool hxw, where the cut shows clean texture.
        own: Of the cut.
        other: Of the host.
        least: Correlation below which the cut does not belong on this host.
        rng: Draws among the ways that agree equally well.

    Raises:
        Redraw: No way to lay it reaches the least likeness.
    """
    light, below = grey(cut), grey(host)
    cells = np.array(other, np.float64)
    step = 2 if float(np.hypot(*cells.T).min()) >= _COARSE_CELL_PX else 1
    ways = [_tried(below, light, clean, matrix, cells, step) for matrix in isometries(own, other)]
    best = max((way.likeness for way in ways), default=-1.0)
    if best < least:
        raise Redraw(f"the texture of the donor does not continue the host's (correlation {best:.2f})")
    good = [way for way in ways if way.likeness >= max(least, best - _ALIKE)]
    return good[int(rng.integers(len(good)))]


def _tried(below: F32, light: F32, clean: Mask, matrix: Floats, cells: Floats, step: int) -> Laid:
    """One way to lay a cut, moved within one cell around the host's middle to where it agrees best."""
    inverse, size = inverse_of(light.shape, matrix)
    coarse = inverse.copy()
    # A pixel of the coarse canvas is `step` pixels, its center in their middle.
    coarse[:, 2] += inverse[:, :2] @ np.full(2, (step - 1) / 2)
    coarse[:, :2] *= step
    small = (max(1, size[0] // step), max(1, size[1] // step))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    canvas = np.asarray(cv2.warpAffine(light, coarse, small, flags=flags), np.float32)
    weight = np.asarray(
        cv2.warpAffine(clean.view(np.uint8), coarse, small, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    )
    host = below
    if step > 1:
        host_size = (below.shape[1] // step, below.shape[0] // step)
        crop = below[: host_size[1] * step, : host_size[0] * step]
        host = np.asarray(cv2.resize(crop, host_size, interpolation=cv2.INTER_AREA), np.float32)
    reach = np.ceil(np.abs(cells).sum(axis=0) / step / 2).astype(int) + 1
    left, top, width, height = _best_window(
        weight, [min(_TEMPLATE_PX, n - 2 * int(r)) for n, r in zip(host.shape[::-1], reach, strict=True)]
    )
    part = np.s_[top : top + height, left : left + width]
    if width < 8 or height < 8 or not weight[part].any():
        return Laid(matrix, inverse, (0.0, 0.0), size, -1.0)
    x0, y0 = (host.shape[1] - width) // 2 - int(reach[0]), (host.shape[0] - height) // 2 - int(reach[1])
    x0, y0 = max(0, x0), max(0, y0)
    window = host[y0 : y0 + height + 2 * int(reach[1]), x0 : x0 + width + 2 * int(reach[0])]
    scores = _correlations(window, canvas[part], weight[part])
    row, column = (int(n) for n in np.unravel_index(int(scores.argmax()), scores.shape))
    corner = (float((x0 + column - left) * step), float((y0 + row - top) * step))
    return Laid(matrix, inverse, corner, size, float(scores[row, column]))


def _best_window(weight: NDArray[Any], most: list[int]) -> tuple[int, int, int, int]:
    """The window of at most a width and height that holds most of a weight: left, top, width, height."""
    width, height = (max(0, min(n, limit)) for n, limit in zip(weight.shape[::-1], most, strict=True))
    if width < 1 or height < 1:
        return 0, 0, 0, 0
    sums = cv2.integral(weight.astype(np.float32))
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = (int(n) for n in np.unravel_index(int(np.asarray(inside).argmax()), inside.shape))
    return left, top, width, height


def _correlations(window: F32, template: F32, weight: NDArray[Any]) -> NDArray[Any]:
    """The correlation coefficient of a template's weighted pixels with a window, at every place: -1..1."""
    scores = np.asarray(cv2.matchTemplate(window, template, cv2.TM_CCOEFF_NORMED, mask=weight.astype(np.float32)))
    # Flat windows give 0 / 0.
    return np.where(np.isfinite(scores), np.clip(scores, -1, 1), -1.0)


def refined(host: Image, cut: Image, clean: Mask, laid: Laid, reach_px: int) -> Laid:
    """The cut moved by at most `reach_px`, then bent by an affine map, until it coincides with the host to a fraction.

    The map maximizes the correlation where the cut is clean (Evangelidis and Psarakis, "Parametric image alignment
    using enhanced correlation coefficient maximization", PAMI 2008). The result's canvas is the part on the host, its
    corner whole pixels, its likeness that correlation.

    Raises:
        Redraw: Nothing that can be compared lies on the host.
    """
    light, below = grey(cut), grey(host)
    x, y = (round(n) for n in laid.corner)
    left, top = max(0, x), max(0, y)
    right, bottom = min(host.shape[1], x + laid.size[0]), min(host.shape[0], y + laid.size[1])
    if right - left < 16 or bottom - top < 16:
        raise Redraw("the defect would lie outside the host")
    inverse = laid.inverse.copy()
    inverse[:, 2] += inverse[:, :2] @ np.array([left - laid.corner[0], top - laid.corner[1]])
    size = (right - left, bottom - top)
    patch = np.ascontiguousarray(below[top:bottom, left:right])
    inverse = _shifted(patch, light, clean, inverse, reach_px)
    inverse, likeness = bent(patch, light, clean, inverse)
    matrix = np.asarray(np.linalg.inv(inverse[:, :2]), np.float64)
    return Laid(matrix, inverse, (float(left), float(top)), size, likeness)


def _shifted(patch: F32, light: F32, clean: Mask, inverse: Floats, reach: int) -> Floats:
    """The map with the whole shift of at most `reach` after which cut and host agree best."""
    height, width = patch.shape
    inner = (width - 2 * reach, height - 2 * reach)
    if min(inner) < 16:
        return inverse
    start = inverse.copy()
    start[:, 2] += inverse[:, :2] @ np.array([reach, reach], np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    canvas = np.asarray(cv2.warpAffine(light, start, inner, flags=flags), np.float32)
    weight = np.asarray(
        cv2.warpAffine(clean.view(np.uint8), start, inner, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    )
    if not weight.any():
        return inverse
    # Windows as large as need be: a few cells say as much as all of them, and the time goes with the pixels.
    left, top, wide, high = _best_window(weight, [_TEMPLATE_PX, _TEMPLATE_PX])
    part = np.s_[top : top + high, left : left + wide]
    window = patch[top : top + high + 2 * reach, left : left + wide + 2 * reach]
    scores = _correlations(window, canvas[part], weight[part])
    row, column = (int(n) for n in np.unravel_index(int(scores.argmax()), scores.shape))
    result = inverse.copy()
    result[:, 2] -= inverse[:, :2] @ np.array([column - reach, row - reach], np.float64)
    return np.asarray(result, np.float64)


def bent(patch: F32, light: F32, clean: Mask, inverse: Floats) -> tuple[Floats, float]:
    """A map after an affine correction, and the correlation that it reaches.

    Args:
        patch: float32, brightness of the host below the canvas.
        light: float32, brightness of the cut.
        clean: bool, where the cut may be compared.
        inverse: 2x3, from the canvas to the cut.

    Raises:
        Redraw: Nothing that can be compared lies on the host.
    """
    height, width = patch.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    canvas = np.asarray(cv2.warpAffine(light, inverse, (width, height), flags=flags), np.float32)
    shown = cv2.warpAffine(
        clean.view(np.uint8), inverse, (width, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    )
    weight = np.asarray(shown, np.uint8)
    if int(weight.sum()) < 256:
        raise Redraw("too little of the donor's texture lies on the host")
    before = _correlation(patch, canvas, weight)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ECC_STEPS, 1e-4)
    try:
        after, warp = cv2.findTransformECC(
            patch, canvas, np.eye(2, 3, dtype=np.float32), cv2.MOTION_AFFINE, stop, weight, 3
        )
    except cv2.error:  # it does not converge where there is too little to hold on to: the shift alone remains
        return inverse, before
    change = np.asarray(warp, np.float64)
    if np.abs(change[:, :2] - np.eye(2)).max() > _BENT or float(after) < before:
        return inverse, before
    whole = np.vstack([change, [0, 0, 1]])
    return np.asarray((np.vstack([inverse, [0, 0, 1]]) @ whole)[:2]), float(after)


def _correlation(one: F32, other: F32, weight: NDArray[Any]) -> float:
    where = weight > 0
    a, b = one[where], other[where]
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt(float((a * a).sum()) * float((b * b).sum())))
    return float((a * b).sum()) / norm if norm > 1e-6 else 0.0
