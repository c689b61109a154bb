"""Registration: another image of the same product, laid over this one so that the same place lies at the same place.

Poses give the start, the enhanced correlation coefficient refines it (Evangelidis and Psarakis, PAMI 2008), and dense
inverse search flow (Kroeger et al., ECCV 2016) takes up what a rigid motion leaves, near the place that counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.pixels import F32, grey
from carpet_data.synthesis.ops.pose import pose_of

Matrix: TypeAlias = NDArray[np.float64]
"""2x3: from the pixels of the target to those of the reference."""

_SIDE = 256
_STEPS = 60
_LEAST_LIKE = 0.6
"""Correlation of two aligned images of one product; those of different poses have less."""
_FLOW_LIMIT_PX = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """An image to lay others over.

    Attributes:
        image: uint8 HxWx3 or HxW.
        known: bool HxW: where it may be compared.
        foreground: bool HxW: its object.
    """

    image: Image
    known: Mask
    foreground: Mask


def aligned(target: Target, reference: Image, foreground: Mask) -> Matrix | None:
    """How a reference (uint8, of the target's size) lies under a target; None where the two do not match."""
    height, width = target.known.shape
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    there, here = (_smooth(image, size) for image in (reference, target.image))
    known = np.asarray(cv2.resize(target.known.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)) > 0
    best: tuple[float, Matrix] | None = None
    for start in _starts(target.foreground, foreground):
        refined = _refined(here, there, known, _scaled(start, scale))
        likeness = _likeness(here, there, known, refined)
        if best is None or likeness > best[0]:
            best = likeness, _scaled(refined, 1 / scale)
    if best is None or best[0] < _LEAST_LIKE:
        return None
    return best[1]


def _starts(target: Mask, reference: Mask) -> Iterator[Matrix]:
    """As it lies; and, for long objects, along the axis, either way round."""
    yield np.eye(2, 3)
    here, there = pose_of(target), pose_of(reference)
    if here is None or there is None:
        return
    if not (here.elongated and there.elongated):
        yield np.array([[1, 0, there.center[0] - here.center[0]], [0, 1, there.center[1] - here.center[1]]])
        return
    for turn in (0.0, 180.0):
        angle = np.deg2rad(there.angle_deg - here.angle_deg + turn)
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        offset = np.array(there.center) - rotation @ np.array(here.center)
        yield np.column_stack([rotation, offset])


def _smooth(image: Image, size: tuple[int, int]) -> F32:
    small = cv2.resize(grey(image), size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 1.0), np.float32)


def _scaled(matrix: Matrix, scale: float) -> Matrix:
    result: Matrix = matrix.copy()
    # Pixel centers: x of the reduced image is (x + 0.5) * scale - 0.5 of the whole.
    middle = np.full(2, 0.5)
    result[:, 2] = scale * (matrix[:, 2] + matrix[:, :2] @ -middle + middle) - (matrix[:, :2] @ -middle + middle)
    return result


def _refined(here: F32, there: F32, known: Mask, start: Matrix) -> Matrix:
    """The start, refined by a rigid motion and then an affine one; itself where that does not converge."""
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, 1e-4)
    best = start
    for motion in (cv2.MOTION_EUCLIDEAN, cv2.MOTION_AFFINE):
        # The mask belongs to the second image, so the reference is the template and the motion is turned round.
        back = cv2.invertAffineTransform(best).astype(np.float32)
        try:
            _, found = cv2.findTransformECC(there, here, back, motion, stop, known.view(np.uint8) * np.uint8(255), 5)
        except cv2.error:
            return best  # no convergence: the likeness says what the start is worth
        refined: Matrix = np.asarray(cv2.invertAffineTransform(np.asarray(found, np.float64)), np.float64)
        if _likeness(here, there, known, refined) >= _likeness(here, there, known, best):
            best = refined
    return best


def _likeness(here: F32, there: F32, known: Mask, matrix: Matrix) -> float:
    """Correlation of the target with the reference laid under it."""
    size = (here.shape[1], here.shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = np.asarray(cv2.warpAffine(there, matrix, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=-1))
    both = known & (laid >= 0)
    if both.sum() < 0.5 * known.sum():
        return -1.0
    p, q = here[both] - here[both].mean(), laid[both] - laid[both].mean()
    norm = float(np.sqrt((p * p).sum() * (q * q).sum()))
    return float((p * q).sum()) / norm if norm > 0 else 0.0


def laid(image: Image, matrix: Matrix, window: tuple[slice, slice], flow: F32 | None = None) -> Image:
    """A reference as it lies in a window of the target, bent by a flow (float32 hxwx2, pixels of the target) if any."""
    rows, columns = window
    x, y = np.meshgrid(
        np.arange(columns.start, columns.stop, dtype=np.float32), np.arange(rows.start, rows.stop, dtype=np.float32)
    )
    if flow is not None:
        x, y = x + flow[..., 0], y + flow[..., 1]
    m = matrix.astype(np.float32)
    map_x, map_y = m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2]
    how = cv2.INTER_LANCZOS4 if image.dtype == np.uint8 and image.max(initial=0) > 1 else cv2.INTER_NEAREST
    found = cv2.remap(image, map_x, map_y, how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.uint8)


def laid_mask(mask: Mask, matrix: Matrix, window: tuple[slice, slice]) -> Mask:
    """Where a window of the target shows a pixel of a mask of the reference, or one that the reference lacks."""
    rows, columns = window
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ np.array([columns.start, rows.start], np.float64)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    found = cv2.warpAffine(mask.view(np.uint8), moved, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=1)
    return np.asarray(found) > 0


def bend(here: Image, there: Image, known: Mask) -> F32:
    """The flow (float32 hxwx2) by which a laid reference meets what is known of a window, continued into the rest."""
    height, width = known.shape
    if min(height, width) < 16 or not known.any():
        return np.zeros((height, width, 2), np.float32)
    weight = known.astype(np.float32)
    sigma = max(4.0, min(height, width) / 8)
    laid_grey = grey(there).astype(np.uint8)
    # Light is not motion: the reference takes the target's mean and spread first.
    here_grey, there_grey = grey(here), grey(there)
    gain = (here_grey[known].std() + 1) / (there_grey[known].std() + 1)
    lit = np.clip((there_grey - there_grey[known].mean()) * gain + here_grey[known].mean(), 0, 255)
    laid_grey = lit.astype(np.uint8)
    shown = np.where(known, here_grey, lit).astype(np.uint8)
    found = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(shown, laid_grey, None)  # type: ignore[call-overload]
    limited = np.clip(found, -_FLOW_LIMIT_PX, _FLOW_LIMIT_PX) * weight[..., None]
    mass = cv2.GaussianBlur(weight, (0, 0), sigma) + 1e-3
    return np.asarray(cv2.GaussianBlur(limited, (0, 0), sigma) / mass[..., None], np.float32)
