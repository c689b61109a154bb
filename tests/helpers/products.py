"""Photographs of made-up products, for clean plates: printed capsules, screws in any pose, a lattice, plain steel."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.plates.making import Other

SIDE = 160


def _photographed(picture: NDArray[np.float32], rng: np.random.Generator) -> Image:
    """With the noise and light of a camera."""
    lit = picture * rng.uniform(0.97, 1.03) + rng.normal(0, 1.5, picture.shape)
    return np.clip(np.rint(lit), 0, 255).astype(np.uint8)


def capsule(k: int, *, text: str = "500", side: int = SIDE) -> tuple[Image, Mask]:
    """A two-colored capsule on a plain background, printed, a little moved and turned: RGB, and where it is."""
    rng = np.random.default_rng([7, k])
    big = np.full((4 * side, 4 * side, 3), (205.0, 205, 200), np.float32)
    shape = np.zeros((4 * side, 4 * side), np.uint8)
    height, left, right = int(0.6 * side), int(0.8 * side), int(3.2 * side)
    middle = 2 * side
    for drawn, first, second in ((big, (40.0, 40, 50), (170.0, 75, 60)), (shape, 255, 255)):
        cv2.circle(drawn, (left, middle), height, first, -1)
        cv2.rectangle(drawn, (left, middle - height), (middle, middle + height), first, -1)
        cv2.rectangle(drawn, (middle, middle - height), (right, middle + height), second, -1)
        cv2.circle(drawn, (right, middle), height, second, -1)
    cv2.putText(big, text, (middle + 30, middle + 45), cv2.FONT_HERSHEY_SIMPLEX, side / 50, (225, 195, 190), side // 8)
    turn = cv2.getRotationMatrix2D((middle, middle), float(rng.uniform(-2, 2)), 1.0)
    turn[:, 2] += rng.uniform(-12, 12, 2)
    size = (4 * side, 4 * side)
    big = cv2.warpAffine(big, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shape = cv2.warpAffine(shape, turn, size)
    small = cv2.resize(cv2.GaussianBlur(big, (0, 0), 3), (side, side), interpolation=cv2.INTER_AREA)
    return _photographed(small, rng), cv2.resize(shape, (side, side), interpolation=cv2.INTER_AREA) > 127


def screw(k: int, *, side: int = SIDE) -> tuple[Image, Mask]:
    """A screw with a head, in any pose: grayscale, and where it is."""
    rng = np.random.default_rng([8, k])
    big = np.full((4 * side, 4 * side), 200.0, np.float32)
    shape = np.zeros((4 * side, 4 * side), np.uint8)
    middle, length, thick = 2 * side, int(1.3 * side), side // 5
    for drawn, body, head in ((big, 90.0, 70.0), (shape, 255, 255)):
        cv2.rectangle(drawn, (middle - length, middle - thick), (middle + length, middle + thick), body, -1)
        cv2.rectangle(
            drawn, (middle + length, middle - 2 * thick), (middle + length + thick, middle + 2 * thick), head, -1
        )
    for x in range(middle - length, middle, side // 8):
        cv2.line(big, (x, middle - thick), (x + side // 12, middle + thick), 130.0, side // 24)
    turn = cv2.getRotationMatrix2D((middle, middle), float(rng.uniform(0, 360)), 1.0)
    turn[:, 2] += rng.uniform(-20, 20, 2)
    size = (4 * side, 4 * side)
    big = cv2.warpAffine(big, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shape = cv2.warpAffine(shape, turn, size)
    small = cv2.resize(cv2.GaussianBlur(big, (0, 0), 3), (side, side), interpolation=cv2.INTER_AREA)
    return _photographed(small, rng), cv2.resize(shape, (side, side), interpolation=cv2.INTER_AREA) > 127


def lattice(k: int, *, side: int = 192, period: float = 17.0) -> Image:
    """Wires that cross, grayscale."""
    rng = np.random.default_rng([9, k])
    y, x = np.mgrid[:side, :side].astype(np.float32)
    wires = np.maximum(np.cos((x + y) * 2 * np.pi / period), np.cos((x - y) * 2 * np.pi / period))
    return _photographed(np.asarray(150 - 80 * np.clip(4 * wires - 2.6, 0, 1), np.float32), rng)


def steel(k: int, *, side: int = 192) -> Image:
    """Plain rolled steel, grayscale."""
    rng = np.random.default_rng([10, k])
    grain = cv2.GaussianBlur(rng.normal(0, 1, (side, side)).astype(np.float32), (0, 0), sigmaX=6, sigmaY=1)
    return _photographed(np.asarray(120 + 40 * grain, np.float32), rng)


def blot(image: Image, x: int, y: int, radius: int, value: int) -> tuple[Image, Mask]:
    """The image with a round defect, and the mask of that defect."""
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.circle(mask, (x, y), radius, 1, -1)
    result = image.copy()
    result[mask > 0] = value
    return result, mask > 0


def others(made: list[tuple[Image, Mask]]) -> list[Other]:
    """Good images as references."""
    return [Other(f"good_{k}", image, np.zeros(shape.shape, np.bool_), shape) for k, (image, shape) in enumerate(made)]
