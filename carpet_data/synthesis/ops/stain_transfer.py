"""Stains: the ground's texture goes on under them in another colour, so they are transferred and not pasted."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Donor, Image, Mask, Redraw
from carpet_data.synthesis.ops.guided_quilting import Source
from carpet_data.synthesis.ops.new_shape import signed_distance
from carpet_data.synthesis.ops.quilting import disc, grey

__all__ = ["is_stain", "likeness", "stained"]

F32 = NDArray[np.float32]

_PROBE_PX = 48
_PROBES = 6
_LIKENESS = 0.75
"""Share of the likeness that clean ground has to itself. Real carpet: stains 0.77 to 0.85, cuts, holes and metal 0.43
to 0.69 (two of nine up to 0.81, whose brightness is the ground's: see _SHIFT)."""
_SHIFT = 0.15


def is_stain(donor: Donor, alike: float | None) -> bool:
    """Whether a donor shows the ground's own texture in another brightness or colour.

    Args:
        donor: The defect.
        alike: As `likeness` measured it.

    Returns:
        False also where the defect is too small to tell.
    """
    around = _collar(donor.mask)
    if alike is None or alike < _LIKENESS or not around.any():
        return False
    defect, rest = donor.image[donor.mask].mean(axis=0), donor.image[around].mean(axis=0)
    shift = np.abs(np.log((np.asarray(defect, np.float64) + 2) / (np.asarray(rest, np.float64) + 2))).max()
    return bool(shift >= _SHIFT)


def likeness(donor: Donor, ground: Image) -> float | None:
    """How much of the ground's texture shows within a defect.

    Windows of the defect, local mean and contrast taken out, are looked for on clean ground by normalised
    correlation, and so are windows of the ground itself.

    Args:
        donor: The defect.
        ground: uint8 HxWx3 or HxW: a good image of the same material.

    Returns:
        The share of the ground's own correlation, about 1 for clean ground; None where the defect holds no window.
    """
    inside = _windows(_core(donor.mask, _PROBE_PX))
    height, width = ground.shape[:2]
    if not inside or min(height, width) < 2 * _PROBE_PX:
        return None
    side = min(height, width, 640)
    top, left = (height - side) // 2, (width - side) // 2
    field = _evened(ground[top : top + side, left : left + side])
    own = _windows(_frame(field.shape, _PROBE_PX // 2))
    evened = _evened(donor.image)
    found = np.median([_best(field, evened, window, skip=False) for window in inside])
    usual = np.median([_best(field, field, window, skip=True) for window in own])
    return float(found / max(float(usual), 1e-3))


def stained(window: Image, shape: Mask, source: Source, rng: np.random.Generator) -> Image:
    """Give the ground in a window the stain of a donor: its colour, its contrast, its cloudiness.

    Args:
        window: uint8 HxWx3 or HxW of the host, the frame of shape and source.
        shape: bool HxW: the new stain.
        source: A stain laid into the same frame.
        rng: Draws how the edge creeps.

    Returns:
        uint8 of the shape of `window`.

    Raises:
        Redraw: The donor shows nothing but its stain, or nothing of it.
    """
    around = _collar(source.mask) & source.valid
    inside = np.asarray(cv2.erode(source.mask.astype(np.uint8), disc(3), borderValue=0) > 0) & source.valid
    if not inside.any():
        inside = source.mask & source.valid
    if not around.any():
        around = source.valid & ~source.mask
    if not around.any() or not inside.any():
        raise Redraw("the donor shows no ground that its stain could be told from")
    host = window.astype(np.float32)
    donor = source.image.astype(np.float32)
    if host.ndim == 2:
        host, donor = host[:, :, None], donor[:, :, None]
    ground_mean, ground_spread = donor[around].mean(axis=0), donor[around].std(axis=0) + 1
    stain_mean, stain_spread = donor[inside].mean(axis=0), donor[inside].std(axis=0)
    local = _blurred(host, 12.0)
    gain = (stain_mean + 2) / (ground_mean + 2)
    contrast = np.minimum(stain_spread / ground_spread, 1.5)
    clouds = _clouds(donor, inside, shape)
    tinted = local * gain + (host - local) * contrast + clouds
    cover = _cover(shape, grey(window), rng)[:, :, None]
    mixed = host + cover * (tinted - host)
    result: Image = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return result[:, :, 0] if window.ndim == 2 else result


def _cover(shape: Mask, brightness: F32, rng: np.random.Generator) -> F32:
    """How much of the stain each pixel takes: it creeps along what is raised, and has a soft edge."""
    depth = signed_distance(shape)
    reach = float(np.clip(depth.max() * 0.3, 1.0, 5.0))
    fine = brightness - cv2.GaussianBlur(brightness, (0, 0), 9.0)
    relief = fine / (float(fine.std()) + 1e-3)
    relief = np.clip(relief, -2, 2) * np.float32(reach * 0.4 * rng.uniform(0.6, 1.2))
    cover = np.clip(0.5 + (depth - 1 + relief * (depth < 3 * reach)) / (2 * reach), 0, 1) * (depth > -2)
    return np.asarray(cover, dtype=np.float32)


def _clouds(donor: F32, inside: Mask, shape: Mask) -> F32:
    """The slow variation within the donor's stain, laid out over the new shape."""
    weight = inside.astype(np.float32)
    sigma = 14.0
    mass = _blurred(weight[:, :, None], sigma)
    mean = donor[inside].mean(axis=0)
    slow = _blurred((donor - mean) * weight[:, :, None], sigma) / (mass + 0.05)
    return np.asarray(np.where(shape[:, :, None], slow, 0), dtype=np.float32)


def _blurred(values: F32, sigma: float) -> F32:
    blurred = cv2.GaussianBlur(values, (0, 0), sigma)
    return np.asarray(blurred if blurred.ndim == 3 else blurred[:, :, None], dtype=np.float32)


def _collar(mask: Mask) -> Mask:
    """Around the defect, but not so near that its edge counts."""
    bits = mask.astype(np.uint8)
    return np.asarray((cv2.dilate(bits, disc(24)) > 0) & (cv2.dilate(bits, disc(6)) == 0))


def _core(mask: Mask, size: int) -> Mask:
    """Where a window of that size lies inside the shape for the most part."""
    return np.asarray(cv2.erode(mask.astype(np.uint8), disc(size // 4), borderValue=0) > 0) & _frame(
        mask.shape, size // 2
    )


def _frame(shape: tuple[int, ...], margin: int) -> Mask:
    inner = np.zeros(shape, np.bool_)
    inner[margin : shape[0] - margin, margin : shape[1] - margin] = True
    return inner


def _windows(centres: Mask) -> list[tuple[slice, slice]]:
    """A few windows spread evenly over the allowed centres."""
    rows, columns = np.nonzero(centres)
    if len(rows) == 0:
        return []
    half = _PROBE_PX // 2
    chosen = np.unique(np.linspace(0, len(rows) - 1, _PROBES + 2).astype(np.int64)[1:-1])
    return [np.s_[rows[n] - half : rows[n] + half, columns[n] - half : columns[n] + half] for n in chosen]


def _evened(image: Image) -> F32:
    """Grey values with local mean and contrast taken out."""
    values = grey(image)
    fine = values - cv2.GaussianBlur(values, (0, 0), 16.0)
    spread = np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 16.0)) + 1.5
    return np.asarray(fine / spread, dtype=np.float32)


def _best(field: F32, values: F32, window: tuple[slice, slice], *, skip: bool) -> float:
    """The best correlation of a window anywhere on the field, at half size; `skip`: but not at its own place."""
    half = cv2.resize(field, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    template = cv2.resize(values[window], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    found = np.asarray(cv2.matchTemplate(half, template, cv2.TM_CCOEFF_NORMED))
    if skip:
        row, column = window[0].start // 2, window[1].start // 2
        found[max(0, row - 12) : row + 13, max(0, column - 12) : column + 13] = -1
    return float(found.max())
