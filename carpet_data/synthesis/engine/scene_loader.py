"""From a plan to pixels: the scene that a method may look at, its host varied as planned."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Box, Donor, Facts, Image, Mask, Scene, Structure
from carpet_data.synthesis.engine.plan import ImagePlan, Variation
from carpet_data.synthesis.engine.sources import DonorRef
from carpet_data.synthesis.engine.train_images import TrainImages, collared
from carpet_data.synthesis.ops.pixels import in_channels
from carpet_data.synthesis.ops.pose import pose_of, same_place, similarity


def load(images: TrainImages, plan: ImagePlan, facts: Facts, *, whole: bool) -> Scene:
    """The scene of a plan; donors and textures are grayscale or RGB as the host is.

    `whole` says that the method works on the whole donor image (`Method.needs_whole`).
    """
    name = facts.class_name
    if whole:
        host = images.host(plan.host)
        mask = np.zeros(host.shape[:2], np.bool_) if plan.null else images.mask(plan.host.sample, name)
        donors = () if plan.null else tuple(_like(images.donor(ref, name), host) for ref in plan.donors)
        return Scene(host, images.foreground(plan.host), donors, (), facts, whole=(host, mask), null=plan.null)
    host = vary(images.host(plan.host), plan.variation)
    found = images.foreground(plan.host)
    return Scene(
        host=host,
        foreground=None if found is None else vary_mask(found, plan.variation),
        donors=tuple(
            _null_donor(images, plan, ref, facts, host) if plan.null else _like(images.donor(ref, name), host)
            for ref in plan.donors
        ),
        textures=tuple(in_channels(images.host(ref), host) for ref in plan.textures),
        facts=facts,
        null=plan.null,
        structure=vary_structure(images.structure(plan.host), plan.variation, host.shape[1], host.shape[0]),
        flips=(plan.variation.flip_x, plan.variation.flip_y),
    )


def _like(donor: Donor, host: Image) -> Donor:
    return replace(donor, image=in_channels(donor.image, host))


def _null_donor(images: TrainImages, plan: ImagePlan, ref: DonorRef, facts: Facts, host: Image) -> Donor:
    """Good background in the shape of a real defect: for a texture from anywhere, for an object from itself."""
    assert plan.null_source is not None
    itself = facts.is_object and plan.null_source == plan.host
    source = host if itself else in_channels(images.host(plan.null_source), host)
    foreground = images.foreground(plan.null_source)
    if itself and foreground is not None:
        foreground = vary_mask(foreground, plan.variation)
    height, width = source.shape[:2]
    real = images.mask(ref.sample, facts.class_name)
    x, y, w, h = ref.box
    w, h = min(w, width), min(h, height)
    shape = real[y : y + h, x : x + w]
    if facts.is_object:
        center = _same_part(
            x + w / 2, y + h / 2, images.donor(ref, facts.class_name), images.foreground(plan.null_source)
        )
        left = min(max(0, round(center[0] - w / 2)), width - w)
        top = min(max(0, round(center[1] - h / 2)), height - h)
    else:
        left, top = (
            int(free * share) for free, share in zip((width - w, height - h), plan.null_shift_frac, strict=True)
        )
    # An object, which alone is its own source, has no such order.
    order = images.structure(plan.null_source)
    box: Box = collared((left, top, w, h), width, height, order)
    cut = source[box[1] : box[1] + box[3], box[0] : box[0] + box[2]]
    mask = np.zeros(cut.shape[:2], np.bool_)
    mask[top - box[1] : top - box[1] + h, left - box[0] : left - box[0] + w] = shape
    return Donor(plan.null_source.sample.id, cut, mask, box, (width, height), foreground, order)


def _same_part(x: float, y: float, donor: Donor, foreground: Mask | None) -> tuple[float, float]:
    """Where a place of the donor's object lies on another one: the same way along and across its long axis."""
    poses = [None if mask is None else pose_of(mask) for mask in (donor.foreground, foreground)]
    here, there = poses
    if here is None or there is None or not (here.elongated and there.elongated) or here.length_px <= 0:
        return x, y
    scale = there.length_px / here.length_px
    return same_place((x, y), here, there, similarity(there.angle_deg - here.angle_deg, scale, scale))


def vary(image: Image, variation: Variation) -> Image:
    """A host (uint8 HxWx3 RGB or HxW, not written into), varied as planned; the same array where nothing varies.

    Flips are exact. A rotated or shifted image is enlarged just enough that no pixel comes from outside: a mirrored
    border would break the weave along a line that real images never show. Cubic interpolation keeps the fibers sharp.
    """
    result = _flipped(image, variation)
    turn = matrix_of(variation, image.shape[1], image.shape[0])
    if turn is not None:
        height, width = image.shape[:2]
        warped = cv2.warpAffine(result, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        result = warped.astype(np.uint8, copy=False)
    if variation.gain != 1.0:
        table = np.clip(np.rint(np.arange(256) * variation.gain), 0, 255).astype(np.uint8)
        result = cv2.LUT(result, table).astype(np.uint8, copy=False)
    return result


def vary_deep(image: NDArray[np.uint16], variation: Variation, full: int) -> NDArray[np.uint16]:
    """The same for a host of 16 bits, whose largest value can be `full`."""
    result = np.asarray(_flipped(image, variation), np.uint16)
    turn = matrix_of(variation, image.shape[1], image.shape[0])
    if turn is not None:
        size = (image.shape[1], image.shape[0])
        warped = cv2.warpAffine(result, turn, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        result = np.asarray(warped, np.uint16)
    if variation.gain != 1.0 or turn is not None:
        result = np.asarray(np.clip(np.rint(result * np.float32(variation.gain)), 0, full), np.uint16)
    return result


def vary_mask(mask: Mask, variation: Variation) -> Mask:
    """The same for a mask, bool HxW, of a host."""
    result = _flipped(mask.astype(np.uint8), variation)
    turn = matrix_of(variation, mask.shape[1], mask.shape[0])
    if turn is not None:
        size = (mask.shape[1], mask.shape[0])
        warped = cv2.warpAffine(result, turn, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        result = warped.astype(np.uint8, copy=False)
    return result > 0


def vary_structure(structure: Structure | None, variation: Variation, width: int, height: int) -> Structure | None:
    """The same for the strict order of a host of a width and height in pixels."""
    if structure is None:
        return None
    change = np.diag([-1.0 if variation.flip_x else 1.0, -1.0 if variation.flip_y else 1.0])
    turn = matrix_of(variation, width, height)
    if turn is not None:
        change = turn[:, :2] @ change
    lattice = structure.lattice
    if lattice is not None:
        first, second = (change @ np.array(vector) for vector in lattice)
        lattice = ((float(first[0]), float(first[1])), (float(second[0]), float(second[1])))
    direction = structure.direction_deg
    if direction is not None:
        x, y = change @ np.array([math.cos(math.radians(direction)), math.sin(math.radians(direction))])
        direction = (math.degrees(math.atan2(y, x)) + 90.0) % 180.0 - 90.0
    return Structure(lattice, direction)


def _flipped(image: NDArray[Any], variation: Variation) -> NDArray[Any]:
    if not (variation.flip_x or variation.flip_y):
        return image
    how = -1 if variation.flip_x and variation.flip_y else int(variation.flip_x)
    return np.asarray(cv2.flip(image, how), image.dtype)


def matrix_of(
    variation: Variation, width: int, height: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]] | None:
    """The affine matrix that rotates, shifts and enlarges; None where it would change nothing."""
    angle = math.radians(abs(variation.angle_deg))
    shift_x, shift_y = variation.shift_frac[0] * width, variation.shift_frac[1] * height
    if angle == 0 and shift_x == 0 and shift_y == 0:
        return None
    # The rotated frame must still contain the frame itself, with room for the shift on either side.
    sin, cos = math.sin(angle), math.cos(angle)
    wide, high = width + 2 * abs(shift_x), height + 2 * abs(shift_y)
    zoom = max((wide * cos + high * sin) / width, (high * cos + wide * sin) / height)
    found = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), variation.angle_deg, zoom)
    matrix = found.astype(np.float64, copy=False)
    matrix[:, 2] += np.array((shift_x, shift_y))
    return matrix
