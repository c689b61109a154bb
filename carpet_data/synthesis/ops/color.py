"""Color and light: bring a patch to the light of the place it goes to.

The statistics are those of Reinhard et al. 2001 (mean and spread in a perceptual space), taken on the collar alone, so
that the defect's own color has no influence.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.pixels import grey, to_bytes

_SPREAD_RANGE = (0.9, 1.1)
_GAIN_RANGE = (0.5, 2.0)
_OBJECT_GAIN_RANGE = (0.8, 1.25)
_ALIKE_LEVELS = 40.0


def match(image: Image, host: Image, ring: Mask, strength: float = 1.0) -> Image:
    """A patch whose collar has the mean color, and nearly the contrast, of the host's pixels there.

    Image and host are uint8 hxwx3 RGB or hxw, `ring` (bool hxw) marks the collar; with no pixels in it the patch is
    returned as it is. A strength of 0 leaves the patch, 1 matches wholly.
    """
    if strength <= 0 or cv2.countNonZero(ring.view(np.uint8)) < 8:
        return image
    where = ring.view(np.uint8)
    if image.ndim == 2:
        gain, spread = _light(image, host, where)
        return np.asarray(cv2.LUT(image, _table(gain, spread, cv2.mean(image, where)[0], strength)), np.uint8)
    lab, target = (np.asarray(cv2.cvtColor(x, cv2.COLOR_RGB2LAB)) for x in (image, host))
    here, there = (np.array(cv2.mean(x, where)[:3]) for x in (lab, target))
    gain, spread = _light(lab[..., 0].copy(), target[..., 0].copy(), where)
    # The wanted mean: the host's light within the bounds of the gain, and the host's color.
    wanted = np.array([here[0] * gain, there[1], there[2]])
    rgb_here, rgb_wanted = (_rgb(x) for x in (here, wanted))
    gains = np.clip(rgb_wanted / np.maximum(rgb_here, 1.0), *_GAIN_RANGE)
    channels = [
        _table(float(channel_gain), spread, float(mean), strength)
        for channel_gain, mean in zip(gains, cv2.mean(image, where)[:3], strict=True)
    ]
    return np.asarray(cv2.LUT(image, np.stack(channels, axis=-1)[None]), np.uint8)


def gain_matched(image: Image, host: Image, ring: Mask, strength: float = 1.0) -> Image:
    """A patch as bright as the host where the two show the same part of an object; its colors stay.

    One gain, the median ratio where both differ by no more than light does: reflections lie otherwise on every bottle,
    and say nothing of the light. Arguments as `match`.
    """
    here, there = grey(image)[ring], grey(host)[ring]
    alike = np.abs(here - there) <= _ALIKE_LEVELS
    if strength <= 0 or np.count_nonzero(alike) < 64:
        return image
    ratio = float(np.median((there[alike] + 4.0) / (here[alike] + 4.0)))
    gain = 1 + (float(np.clip(ratio, *_OBJECT_GAIN_RANGE)) - 1) * strength
    return np.asarray(
        cv2.LUT(image, to_bytes(np.arange(256, dtype=np.float32) * np.float32(gain)).reshape(256)), np.uint8
    )


def _light(image: Image, host: Image, where: Image) -> tuple[float, float]:
    """Gain and contrast that bring one channel's ring to the host's."""
    (mean_here, spread_here), (mean_there, spread_there) = (
        (float(m[0, 0]), float(s[0, 0])) for m, s in (cv2.meanStdDev(x, mask=where) for x in (image, host))
    )
    gain = float(np.clip(mean_there / max(mean_here, 1.0), *_GAIN_RANGE))
    return gain, float(np.clip(spread_there / max(spread_here * gain, 1e-3), *_SPREAD_RANGE))


def _table(gain: float, spread: float, mean: float, strength: float) -> Image:
    """uint8 value -> uint8 value: gain, then contrast about the mean, which leaves black as it is."""
    gain, spread = 1 + (gain - 1) * strength, 1 + (spread - 1) * strength
    values = np.arange(256, dtype=np.float32) * np.float32(gain)
    level = np.float32(mean * gain)
    contrast = (values - level) * np.float32(spread) + level
    # Contrast must not lift or crush black: a hole is as dark as before.
    share = np.minimum(values / max(float(level), 1.0), 1)
    return to_bytes(values + (contrast - values) * share).reshape(256)


def _rgb(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """The RGB (0..255) of a color in OpenCV's 8-bit Lab."""
    scaled = np.array([[[lab[0] * 100 / 255, lab[1] - 128, lab[2] - 128]]], np.float32)
    rgb = np.asarray(cv2.cvtColor(scaled, cv2.COLOR_Lab2RGB), np.float64)
    return np.asarray(rgb[0, 0] * 255)
