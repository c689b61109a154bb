"""Bring a cut that coincides with its host, wire on wire and gap on gap, to the host's tones, light and sharpness.

Where both show the same structure, pixel on pixel, contrast and sharpness are matters of light and focus, which `color`
has to leave to the defect. Wires and gaps are told apart by Otsu's threshold ("A threshold selection method from
gray-level histograms", 1979): what lies behind a mesh is lit otherwise than the mesh.

Images are uint8 hxwx3 or hxw; `ring` (bool hxw) is where both show clean texture and can be compared.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.membrane import membrane
from carpet_data.synthesis.ops.pixels import F32, blurred, grey, like, to_bytes

_LEAST_PX = 64
_SLOPES = ((0.5, 1.3), (0.4, 2.5), (0.5, 1.3))
"""Least and greatest slope of tones: among the dark, from dark to bright, among the bright, where more would make
spots out of noise."""
_LEAST_KNOWN = 0.08
"""The wires of a mesh cover little of it: so small a share within reach is enough to compare their light."""
_FINE_PX = 1.0
_DARK = 4.0
_SHARPEST = 0.6
_SIGMAS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.95, 1.1, 1.3)


def tone_matched(image: Image, host: Image, ring: Mask, strength: float = 1.0) -> Image:
    """A cut in the tones of its host: dark and bright parts of the ring each get the levels of the host's.

    Each channel follows a rising curve through the quantiles of either part, so that the darkest wire of the one
    becomes as dark as the darkest of the other. Darker than all of the ring, where it says nothing, black stays black;
    brighter, highlights stay as near. A strength of 0 leaves the cut, 1 matches wholly.
    """
    if strength <= 0 or np.count_nonzero(ring) < _LEAST_PX:
        return image
    one, other = np.atleast_3d(image), np.atleast_3d(host)
    tables = [
        _curve(levels(one[..., channel], ring), levels(other[..., channel], ring), strength)
        for channel in range(one.shape[2])
    ]
    table = tables[0] if image.ndim == 2 else np.stack(tables, axis=-1)[None]
    return np.asarray(cv2.LUT(image, table), np.uint8)


def levels(channel: NDArray[Any], ring: Mask) -> NDArray[np.float64]:
    """The darkest tenth's level, the dark part's, the bright part's and the brightest tenth's: four rising levels.

    Of one channel (uint8 hxw); the parts are those of its ring (bool hxw).
    """
    values = channel[ring]
    middle, _ = cv2.threshold(values.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    dark, bright = values[values <= middle], values[values > middle]
    if not len(dark) or not len(bright):
        dark = bright = values
    return np.concatenate([np.quantile(dark, (0.1, 0.5)), np.quantile(bright, (0.5, 0.9))]).astype(np.float64)


def contrast_of(image: Image, host: Image, ring: Mask) -> float:
    """The step from dark to bright in the host over that in the cut, either at least one gray level."""
    here, there = (levels(to_bytes(grey(each)), ring) for each in (image, host))
    return float(max(there[2] - there[1], 1.0) / max(here[2] - here[1], 1.0))


def hardness_of(image: Image, host: Image, ring: Mask) -> float:
    """The same in stops: how much harder the light is on the host, however long either was exposed."""
    here, there = (levels(to_bytes(grey(each)), ring) + _DARK for each in (image, host))
    return float(np.log(there[2] / there[1]) / max(np.log(here[2] / here[1]), 0.02))


def _curve(here: NDArray[np.float64], there: NDArray[np.float64], strength: float) -> Image:
    """uint8 value -> uint8 value through the levels of a ring, no steeper or flatter than _SLOPES."""
    rises = [
        float(np.clip(other / max(own, 1.0), *bounds)) * own
        for own, other, bounds in zip(np.diff(here), np.diff(there), _SLOPES, strict=True)
    ]
    # The two parts' own levels are met, in the middle of both where their step was bounded.
    middle = float(there[1] + there[2] - rises[1]) / 2
    there = middle - rises[0] + np.concatenate([[0.0], np.cumsum(rises)])
    values = np.arange(256, dtype=np.float64)
    low, high = float(here[0]), float(here[-1])
    overall = (there[-1] - there[0]) / max(high - low, 1.0)
    found = np.interp(values, here, there)
    found = np.where(values < low, max(float(there[0]), 0.0) * values / max(low, 1.0), found)
    found = np.where(values > high, there[-1] + min(overall, 1.0) * (values - high), found)
    return to_bytes(np.asarray(values + (found - values) * strength, np.float32)).reshape(256)


def lit_alike(image: Image, host: Image, ring: Mask, smooth_px: float, strength: float = 1.0) -> Image:
    """A cut whose gaps and wires, each by themselves, are as bright as the host's around them, cell by cell.

    One membrane for both would carry what the wires lack over to the gaps, and patches would show.
    """
    light, below = grey(image), grey(host)
    if strength <= 0 or np.count_nonzero(ring) < _LEAST_PX:
        return image
    here = levels(to_bytes(below), ring)
    dark, bright = here[1], here[2]
    share = np.clip((blurred(light, 1.0) - dark) / max(float(bright - dark), 1.0), 0, 1)
    share = np.asarray(share * share * (3 - 2 * share), np.float32)
    middle = (dark + bright) / 2
    parts = (ring & (light < middle) & (below < middle), ring & (light > middle) & (below > middle))
    # Smoothed once more: what is known of the one part ends at the other, and no light does.
    wires, gaps = (blurred(membrane(host, image, part, smooth_px, _LEAST_KNOWN), smooth_px / 2) for part in parts)
    added = wires + (gaps - wires) * like(share, image)
    return to_bytes(np.asarray(image + np.float32(strength) * added, np.float32))


def sharpness_of(image: Image, ring: Mask) -> float:
    """How much of an image is finer than a pixel or two: the spread of what a blur takes away, in gray levels."""
    return _fine(grey(image), ring)


def as_sharp(image: Image, host: Image, ring: Mask, contrast: float = 1.0) -> Image:
    """A cut as sharp as its host on the ring: blurred where it is sharper, sharpened a little where it is softer.

    `contrast` is that of the host over that of the cut, see `contrast_of`: what has more of it is not sharper for that.
    """
    if np.count_nonzero(ring) < _LEAST_PX:
        return image
    light, wanted = grey(image), _fine(grey(host), ring) / contrast
    here = _fine(light, ring)
    if here > 1.05 * wanted:
        off = [abs(_fine(blurred(light, sigma), ring) - wanted) for sigma in _SIGMAS]
        best = int(np.argmin(off))
        return image if here - wanted <= off[best] else to_bytes(blurred(image, _SIGMAS[best]))
    amount = min(wanted / max(here, 0.1) - 1, _SHARPEST)
    if amount < 0.05:
        return image
    pixels = image.astype(np.float32)
    return to_bytes(np.asarray(pixels + np.float32(amount) * (pixels - blurred(pixels, _FINE_PX)), np.float32))


def _fine(light: F32, ring: Mask) -> float:
    return float((light - blurred(light, _FINE_PX))[ring].std())
