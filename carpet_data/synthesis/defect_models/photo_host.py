"""A photograph as a host of the weave's defect models: it can be asked at displaced places."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.defect_models.yarn_texture import sampled_fibres
from carpet_data.weave.noise import F32
from carpet_data.weave.surface import ALONG_WARP, ALONG_WEFT, Fibres, Surface

__all__ = ["PhotoHost", "photo_host"]

RGB = tuple[float, float, float]

_STRAND_GAIN = 1.12
"""Laid strands are shaded, and the colours of a photograph are shaded already."""
_GROUND_GAIN = 2.6
"""The models darken the ground of an opening, and the darkest colours of a photograph are dark already."""


@dataclass(frozen=True, slots=True, eq=False)
class PhotoHost:
    """A square photograph that stands for a surface; a `carpet_data.weave.Host`.

    Its light is in its colours already, so its own height is 0 everywhere: shading leaves it as it is, and lights only
    what a defect raises or lowers.

    Attributes:
        pixels: float32 SxSx3 RGB, 0 … 255, as if exposed like the cloth the models were made for.
        run: uint8 SxS, ALONG_WARP, ALONG_WEFT, or 0 without a weave.
        unit: Pixels a cloth unit; a yarn is about 14 units wide.
        angle: Direction of the weft against the x axis, in radians.
        ground: RGB seen through a hole.
        yarn: RGB of a light and of a dark fibre.
        fibres: Colours laid strands like the yarns of the photograph.
    """

    pixels: F32
    run: NDArray[np.uint8]
    unit: float
    angle: float
    ground: RGB
    yarn: tuple[RGB, RGB]
    fibres: Fibres | None = None

    @property
    def size(self) -> int:
        """Edge in pixels."""
        return int(self.pixels.shape[0])

    def clean(self) -> Surface:
        """The whole undisturbed surface."""
        flat = np.zeros(self.run.shape, np.float32)
        return Surface(self.pixels.copy(), flat, flat.copy(), self.run.copy(), self.fibres)

    def surface(
        self, x: F32, y: F32, *, no_warp: NDArray[np.bool_] | None = None, no_weft: NDArray[np.bool_] | None = None
    ) -> Surface:
        """The surface at real pixel positions.

        What lies under a yarn is not in a photograph. Where one family of yarns is missing, its yarns are replaced by
        the shaded ground, so that the other family is left as single yarns; where both are, there is only ground.

        Args:
            x: Columns, float32 HxW.
            y: Rows, float32 HxW.
            no_warp: bool HxW, where the warp is missing.
            no_weft: bool HxW, where the weft is missing.

        Returns:
            The surface, HxW.
        """
        # Displacements come from interpolated knots in small steps, which would show as teeth on a bright yarn.
        x, y = (np.asarray(cv2.GaussianBlur(part, (0, 0), 1.5), np.float32) for part in (x, y))
        albedo = np.asarray(cv2.remap(self.pixels, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT), np.float32)
        np.clip(albedo, 0, 255, out=albedo)
        run = np.asarray(cv2.remap(self.run, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT), np.uint8)
        none = np.zeros(x.shape, np.bool_)
        no_warp = none if no_warp is None else no_warp
        no_weft = none if no_weft is None else no_weft
        bare = (no_warp & no_weft) | (no_warp & (run == ALONG_WARP)) | (no_weft & (run == ALONG_WEFT))
        # Specks of yarn that nothing holds would float in the opening.
        width = 2 * round(2 * self.unit) + 1
        closed = cv2.morphologyEx(bare.view(np.uint8), cv2.MORPH_CLOSE, np.ones((width, width), np.uint8))
        single = closed.view(np.bool_) & ~(no_warp & no_weft)
        bare = closed.view(np.bool_)
        # A trace of the texture keeps the ground from being one flat colour.
        trace = albedo[bare].mean(axis=1, keepdims=True) / max(float(self.pixels.mean()), 1.0)
        albedo[bare] = np.asarray(self.ground, np.float32) * (np.float32(0.7) + np.float32(0.3) * trace)
        # What holds the other family of yarns lies in their shadow.
        albedo[single] *= np.float32(0.5)
        run[bare] = 0
        flat = np.zeros(x.shape, np.float32)
        return Surface(albedo, flat, flat.copy(), run, self.fibres)


def photo_host(pixels: F32, run: NDArray[np.uint8] | None, unit: float, angle: float, pitch: float = 0.0) -> PhotoHost:
    """A host whose yarn and ground colours are those of its pixels.

    Args:
        pixels: float32 SxSx3 RGB, 0 … 255.
        run: uint8 SxS of ALONG_WARP and ALONG_WEFT; None without a weave.
        unit: Pixels a cloth unit.
        angle: Direction of the weft against the x axis, in radians.
        pitch: Mean distance of neighbouring yarns in pixels; needed with `run` only.
    """
    flat = pixels[::2, ::2].reshape(-1, 3)
    ordered = flat[np.argsort(flat.sum(axis=1), kind="stable")]
    count = len(ordered)

    def between(low: float, high: float) -> RGB:
        part = ordered[int(low * count) : max(int(high * count), int(low * count) + 1)].mean(axis=0)
        return float(part[0]), float(part[1]), float(part[2])

    light, dark = _scaled(between(0.86, 0.98), _STRAND_GAIN), _scaled(between(0.25, 0.5), _STRAND_GAIN)
    fibres = None if run is None else sampled_fibres(pixels, run, angle, pitch, light)
    run = np.zeros(pixels.shape[:2], np.uint8) if run is None else run
    return PhotoHost(pixels, run, unit, angle, _scaled(between(0.0, 0.05), _GROUND_GAIN), (light, dark), fibres)


def _scaled(colour: RGB, gain: float) -> RGB:
    return colour[0] * gain, colour[1] * gain, colour[2] * gain
