"""A photograph as a host of the weave's defect models: it can be asked at displaced places.

Strands that a model lays on it are colored with pieces of its own yarns.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.ops.pixels import F32, blurred
from carpet_data.weave.surface import ALONG_WARP, ALONG_WEFT, RGB, Fibers, Row, Surface

_STRAND_GAIN = 1.12
"""Laid strands are shaded, and the colors of a photograph are shaded already."""
_GROUND_GAIN = 2.6
"""The models darken the ground of an opening, and the darkest colors of a photograph are dark already."""
_PIECES = 40
_LONG, _WIDE = 48, 24
"""Samples along and across a straightened piece of yarn."""
_STRETCH = 1.7
"""A piece is drawn out along the yarn: its fibers run along it, so that they stay fibers."""


@dataclass(frozen=True, slots=True, eq=False)
class PhotoHost:
    """A square photograph that stands for a surface; a `carpet_data.weave.Host`.

    Its light is in its colors already, so its own height is 0 everywhere: shading leaves it as it is, and lights only
    what a defect raises or lowers.

    Attributes:
        pixels: float32 SxSx3 RGB, 0..255, as if exposed like the cloth the models were made for.
        run: uint8 SxS, ALONG_WARP, ALONG_WEFT, or 0 without a weave.
        fibers: Colors laid strands like the yarns of the photograph.
    """

    pixels: F32
    run: NDArray[np.uint8]
    unit: float
    angle: float
    ground: RGB
    yarn: tuple[RGB, RGB]
    fibers: Fibers | None = None

    @property
    def size(self) -> int:
        """Edge in pixels."""
        return int(self.pixels.shape[0])

    def clean(self) -> Surface:
        """The whole undisturbed surface."""
        flat = np.zeros(self.run.shape, np.float32)
        return Surface(self.pixels.copy(), flat, flat.copy(), self.run.copy(), self.fibers)

    def surface(
        self, x: F32, y: F32, *, no_warp: NDArray[np.bool_] | None = None, no_weft: NDArray[np.bool_] | None = None
    ) -> Surface:
        """The surface at real pixel positions; arguments as `carpet_data.weave.cloth.Cloth.surface`.

        What lies under a yarn is not in a photograph. Where one family of yarns is missing, its yarns are replaced by
        the shaded ground, so that the other family is left as single yarns; where both are, there is only ground.
        """
        # Displacements come from interpolated knots in small steps, which would show as teeth on a bright yarn.
        x, y = (blurred(part, 1.5) for part in (x, y))
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
        # A trace of the texture keeps the ground from being one flat color.
        trace = albedo[bare].mean(axis=1, keepdims=True) / max(float(self.pixels.mean()), 1.0)
        albedo[bare] = np.asarray(self.ground, np.float32) * (np.float32(0.7) + np.float32(0.3) * trace)
        # What holds the other family of yarns lies in their shadow.
        albedo[single] *= np.float32(0.5)
        run[bare] = 0
        flat = np.zeros(x.shape, np.float32)
        return Surface(albedo, flat, flat.copy(), run, self.fibers)


def photo_host(pixels: F32, run: NDArray[np.uint8] | None, unit: float, angle: float, pitch: float = 0.0) -> PhotoHost:
    """A host whose yarn and ground colors are those of its pixels (float32 SxSx3 RGB, 0..255).

    `run` is uint8 SxS of ALONG_WARP and ALONG_WEFT, None without a weave; with it comes `pitch`, the mean distance of
    neighboring yarns in pixels. `unit` is pixels per cloth unit, `angle` the weft's direction against the x axis in
    radians.
    """
    flat = pixels[::2, ::2].reshape(-1, 3)
    ordered = flat[np.argsort(flat.sum(axis=1), kind="stable")]
    count = len(ordered)

    def between(low: float, high: float) -> RGB:
        part = ordered[int(low * count) : max(int(high * count), int(low * count) + 1)].mean(axis=0)
        return float(part[0]), float(part[1]), float(part[2])

    light, dark = _scaled(between(0.86, 0.98), _STRAND_GAIN), _scaled(between(0.25, 0.5), _STRAND_GAIN)
    fibers = None if run is None else _sampled_fibers(pixels, run, angle, pitch, light)
    run = np.zeros(pixels.shape[:2], np.uint8) if run is None else run
    return PhotoHost(pixels, run, unit, angle, _scaled(between(0.0, 0.05), _GROUND_GAIN), (light, dark), fibers)


def _scaled(color: RGB, gain: float) -> RGB:
    return color[0] * gain, color[1] * gain, color[2] * gain


def _sampled_fibers(pixels: F32, run: NDArray[np.uint8], angle: float, pitch: float, light: RGB) -> Fibers | None:
    """A function that colors strands of nearly the host's light fibers with pieces of its yarns; None without pieces.

    A yarn comes up between two crossings as a bright bump about a pitch long; those bumps are the pieces, straightened.
    """
    soft = blurred(pixels.mean(axis=2), 0.22 * pitch)
    reach = 2 * int(0.35 * pitch) + 1
    peak = soft >= cv2.dilate(soft, np.ones((reach, reach), np.uint8))
    edge = int(pitch) + 1
    peak[:edge], peak[-edge:], peak[:, :edge], peak[:, -edge:] = False, False, False, False
    rows, columns = np.nonzero(peak)
    if len(rows) == 0:
        return None
    # The brightest are the surest bumps; every n-th of them, so that all tones come in.
    order = np.argsort(-soft[rows, columns], kind="stable")[: max(1, int(0.85 * len(rows)))]
    order = order[:: max(1, len(order) // _PIECES)][:_PIECES]
    pieces = np.stack([_piece(pixels, run, angle, pitch, int(rows[k]), int(columns[k])) for k in order])
    mean = np.asarray(light).mean()

    def colors(shades: tuple[RGB, RGB], rng: np.random.Generator, along: Row, across: Row) -> F32 | None:
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
        # What the lens has blurred away comes back as single fibers, straight along the yarn.
        white = rng.standard_normal((len(along), 2 * len(across)), dtype=np.float32)
        fine = cv2.GaussianBlur(white, (0, 0), sigmaX=1.0, sigmaY=18.0)[:, ::2][:, : len(across)]
        fine = np.clip(fine / max(float(fine.std()), 1e-6), -2.5, 2.5)[..., None]
        rim = (1 - 0.3 * np.abs(across) ** 3).astype(np.float32)[:, None]
        gain = np.float32(tone) * rim * (1 + np.float32(0.16) * fine)
        return np.asarray((one + (other - one) * share) * gain, np.float32)

    return colors


def _piece(pixels: F32, run: NDArray[np.uint8], angle: float, pitch: float, row: int, column: int) -> F32:
    """A straightened piece, float32 _WIDE x _LONG x 3, fibers along its rows."""
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
