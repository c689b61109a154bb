"""Bend a donor's cut: one smooth map, so that its pixels are interpolated once.

A map is a chain: inner displacement (elastic, bend, swell) in the cut's own frame, then an affine to the canvas.
Cuts that are only flipped or turned by quarters keep their pixels exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.masks import depth_of
from carpet_data.synthesis.ops.pixels import F32

_EXACT = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A warped cut.

    Attributes:
        image: uint8 hxwx3 or hxw.
        mask: bool hxw, the defect as the annotators drew it.
        valid: bool hxw, where the cut had pixels.
        foreground: bool hxw, where the object is that the defect belongs to; None for textures.
        extent: bool hxw, how far the defect's change of its surroundings reaches; None where the mask says it.
    """

    image: Image
    mask: Mask
    valid: Mask
    foreground: Mask | None = None
    extent: Mask | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.mask.shape[1], self.mask.shape[0]

    def part(self, rows: slice, columns: slice) -> Patch:
        """The patch cut to some rows and columns."""
        foreground, extent = (None if m is None else m[rows, columns] for m in (self.foreground, self.extent))
        return Patch(self.image[rows, columns], self.mask[rows, columns], self.valid[rows, columns], foreground, extent)

    def with_image(self, image: Image) -> Patch:
        """The patch with other pixels."""
        return replace(self, image=image)


@dataclass(frozen=True, slots=True)
class Inner:
    """How a cut is deformed within its own frame.

    Attributes:
        elastic_px: Largest displacement of a smooth random field.
        bend_px: How far the ends of a long defect move sideways.
        swell_frac: Growth of the defect's middle; 0.2 shows it about a fifth larger.
        keep_rim: Whether the displacement fades to nothing at the mask's outline, so that the collar stays as it is.
    """

    elastic_px: float = 0.0
    bend_px: float = 0.0
    swell_frac: float = 0.0
    keep_rim: bool = False

    @property
    def is_identity(self) -> bool:
        """Whether it moves nothing."""
        return abs(self.elastic_px) + abs(self.bend_px) + abs(self.swell_frac) < _EXACT


def turned(image: Image, mask: Mask, quarters: int, flip: bool) -> tuple[Image, Mask]:
    """A cut mirrored left to right where `flip`, then turned by quarters counter-clockwise; pixels stay exact."""
    if flip:
        image, mask = image[:, ::-1], mask[:, ::-1]
    image, mask = np.rot90(image, quarters), np.rot90(mask, quarters)
    return np.ascontiguousarray(image), np.ascontiguousarray(mask)


def apply(
    image: Image,
    mask: Mask,
    matrix: NDArray[np.floating[Any]],
    inner: Inner,
    rng: np.random.Generator,
    *,
    foreground: Mask | None = None,
    extent: Mask | None = None,
    sharp: bool = True,
) -> Patch:
    """Warp a cut (uint8 hxwx3 or hxw) with its mask, foreground and extent (bool hxw) onto a canvas that just holds it.

    `matrix` is 2x2, from cut to canvas, see `pose.similarity`. `sharp` keeps fine texture (bicubic); without it, where
    texture will not be shown, bilinear is quicker. The patch's pixels are the cut's own where nothing moves.
    """
    whole = np.allclose(matrix, np.eye(2), atol=_EXACT)
    if whole and inner.is_identity:
        return Patch(image, mask, np.ones(mask.shape, np.bool_), foreground, extent)
    inverse, size = inverse_of(mask.shape, matrix)
    return sampled(
        image, mask, inverse, size, inner, rng, foreground=foreground, extent=extent, sharp=sharp, whole=whole
    )


def sampled(
    image: Image,
    mask: Mask,
    inverse: NDArray[np.floating[Any]],
    size: tuple[int, int],
    inner: Inner,
    rng: np.random.Generator,
    *,
    foreground: Mask | None = None,
    extent: Mask | None = None,
    sharp: bool = True,
    whole: bool = False,
) -> Patch:
    """A cut on a canvas of a size (width, height): `inverse` (2x3) says where in the cut a pixel of the canvas lies.

    `whole` says that the canvas is the cut's own frame.
    """
    map_x, map_y = _maps(inverse, size)
    height, width = mask.shape
    valid = (map_x > -0.51) & (map_x < width - 0.49) & (map_y > -0.51) & (map_y < height - 0.49)
    if not inner.is_identity:
        moved = _displacement(mask, inner, rng)
        if not whole:
            moved = np.asarray(cv2.remap(moved, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
        map_x += moved[..., 0]
        map_y += moved[..., 1]
    kind = cv2.INTER_CUBIC if sharp else cv2.INTER_LINEAR
    pixels = cv2.remap(image, map_x, map_y, kind, borderMode=cv2.BORDER_REFLECT_101)

    def moved_mask(of: Mask) -> Mask:
        coverage = cv2.remap(of.view(np.uint8) * 255, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray((np.asarray(coverage) >= 128) & valid)

    others = (None if other is None else moved_mask(other) for other in (foreground, extent))
    return Patch(np.asarray(pixels, np.uint8), moved_mask(mask), valid, *others)


def moved(patch: Patch, inverse: NDArray[np.floating[Any]]) -> Patch:
    """A patch on its own canvas after a small affine map: `inverse` (2x3) says where a pixel is read from."""
    map_x, map_y = _maps(inverse, patch.size)
    pixels = cv2.remap(patch.image, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)

    def of(mask: Mask, beyond: int) -> Mask:
        bits = mask.view(np.uint8) * np.uint8(255)
        return np.asarray(cv2.remap(bits, map_x, map_y, cv2.INTER_LINEAR, borderMode=beyond)) >= 128

    valid = of(patch.valid, cv2.BORDER_CONSTANT)
    others = (None if m is None else of(m, cv2.BORDER_REPLICATE) for m in (patch.foreground, patch.extent))
    return Patch(np.asarray(pixels, np.uint8), of(patch.mask, cv2.BORDER_REPLICATE) & valid, valid, *others)


def inverse_of(
    shape: tuple[int, ...], matrix: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """The 2x3 matrix from a canvas that just holds a turned cut back to the cut, and the canvas's width and height."""
    height, width = shape[:2]
    center = np.array([(width - 1) / 2, (height - 1) / 2], np.float32)
    corners = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [-0.5, height - 0.5], [width - 0.5, height - 0.5]]) - center
    extent = np.abs(corners @ matrix.T).max(axis=0) * 2
    canvas_width, canvas_height = (max(1, round(float(side))) for side in extent)
    inverse = np.linalg.inv(matrix.astype(np.float64))
    shift = center - inverse @ np.array([(canvas_width - 1) / 2, (canvas_height - 1) / 2])
    return np.column_stack([inverse, shift]), (canvas_width, canvas_height)


def _maps(inverse: NDArray[np.floating[Any]], size: tuple[int, int]) -> tuple[F32, F32]:
    """Where each pixel of a canvas (width, height) reads from: columns and rows of the cut."""
    us = np.arange(size[0], dtype=np.float32)
    vs = np.arange(size[1], dtype=np.float32)[:, None]
    map_x, map_y = (np.asarray(row[0] * us + row[1] * vs + row[2], np.float32) for row in inverse)
    return map_x, map_y


def bow(place: NDArray[Any], curve: float, wave: float = 0.0, phase: float = 0.0) -> NDArray[Any]:
    """How far something long leaves its axis: a parabola and one wave, as shares of its half length.

    `place` runs along the axis from -1 at one end to 1 at the other; `curve` is how far both ends leave it, `wave` the
    height of the wave, which has one period over the length and starts at `phase` (radians).
    """
    place = np.clip(place, -1.5, 1.5)
    return np.asarray(curve * (place * place - 0.33) + wave * np.sin(np.pi * place + phase))


def _displacement(mask: Mask, inner: Inner, rng: np.random.Generator) -> F32:
    """hxwx2 float32: where each canvas pixel reads from, relative to itself, in the cut's frame."""
    height, width = mask.shape
    ys, xs = np.nonzero(mask)
    center = np.array([xs.mean(), ys.mean()]) if len(xs) else np.array([width / 2, height / 2])
    grid_x = np.arange(width, dtype=np.float32) - np.float32(center[0])
    grid_y = (np.arange(height, dtype=np.float32) - np.float32(center[1]))[:, None]
    field = np.zeros((height, width, 2), np.float32)
    if inner.elastic_px:
        nodes = rng.uniform(-1, 1, (4, 4, 2)).astype(np.float32)
        field += cv2.resize(nodes, (width, height), interpolation=cv2.INTER_CUBIC) * inner.elastic_px
    if inner.bend_px and len(xs) > 2:
        values, vectors = np.linalg.eigh(np.cov(np.stack([xs, ys]).astype(np.float64)))
        along = vectors[:, 1].astype(np.float32)
        half = np.float32(max(1.0, 1.8 * np.sqrt(values[1])))
        sideways = bow((grid_x * along[0] + grid_y * along[1]) / half, inner.bend_px)
        field[..., 0] -= sideways * along[1]
        field[..., 1] += sideways * along[0]
    if inner.swell_frac or inner.keep_rim:
        inside = depth_of(mask)
        depth = cv2.blur(np.clip(inside / (0.7 * max(float(inside.max()), 1.0)), 0, 1), (5, 5))
        pull = -np.float32(inner.swell_frac) * depth
        field[..., 0] += grid_x * pull
        field[..., 1] += grid_y * pull
        if inner.keep_rim:
            # The swell has faded once already; fading it again only makes it gentler.
            field *= depth[..., None]
    return field
