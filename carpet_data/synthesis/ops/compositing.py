"""From a changed window to a candidate: joined to what lies around it, put into the host, with its mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from carpet_data.synthesis.contract import Candidate, Image, Mask, Scene
from carpet_data.synthesis.ops.masks import grown, shrunk
from carpet_data.synthesis.ops.pixels import blurred, like, to_bytes
from carpet_data.synthesis.ops.quilting import agree, fill
from carpet_data.synthesis.ops.seam import cut_between

_TEXTURE_PX = 120


def candidate(
    host: Image,
    corner: tuple[int, int],
    window: Image,
    mask: Mask,
    drawn: Mapping[str, Any] | None = None,
    *,
    around: Mask | None = None,
) -> Candidate:
    """The host (uint8 HxWx3 or HxW, not written to) with a changed window and the defect's mask in it (bool hxw).

    `corner` is the window's column and row, `drawn` what was drawn, for the provenance, `around` (bool hxw) what of the
    window changed along with the defect, see `Candidate`.
    """
    (x, y), (height, width) = corner, mask.shape
    place = np.s_[y : y + height, x : x + width]
    image, whole = host.copy(), np.zeros(host.shape[:2], np.bool_)
    image[place], whole[place] = window, mask
    return Candidate(image, whole, (x, y, width, height), drawn or {}, around)


def join(
    window: Image, defect: Image, known: Mask, shape: Mask, *, ring_px: int, feather_px: float
) -> tuple[Image, Mask]:
    """Put a defect into a window: bent and lit to meet it, cut along the least visible way near the shape's edge.

    Args:
        window: uint8 hxwx3 or hxw of the host.
        defect: uint8 of the same shape.
        known: bool hxw: where `defect` holds pixels; the shape and some of its surroundings.
        shape: bool hxw.
        ring_px: How far the cut may leave the shape's edge, either way.
        feather_px: Standard deviation of the transition across the cut; 0 for none.

    Returns:
        The window, and bool hxw: where its pixels are new.
    """
    rim = known & ~shape
    met = agree(defect, window, rim) if int(rim.sum()) >= 64 else defect
    # At the window's own edge nothing is taken off: there the shape continues beyond the image.
    core = shrunk(shape, min(ring_px, 3)) & known
    if not core.any():
        core = shape & known
    new = cut_between(met, window, core, grown(shape, ring_px) & known) | core
    cover = new.astype(np.float32)
    if feather_px > 0:
        cover = blurred(new, feather_px) * known
    return to_bytes(window + like(cover, window) * (met.astype(np.float32) - window)), cover > 0.02


def good_on_good(scene: Scene, shape: Mask, corner: tuple[int, int], rng: np.random.Generator) -> Candidate:
    """A null sample: the shape filled with clean texture of the host, so that it carries every trace but the defect.

    `shape` (bool hxw) is where a defect would have been, `corner` the column and row of its window on the host. An
    object has no second place like the first: it stays unchanged.

    Raises:
        Redraw: The shape leaves too little texture.
    """
    (x, y), (height, width) = corner, shape.shape
    reach = _TEXTURE_PX + max(height, width)
    left, top = max(0, x - reach), max(0, y - reach)
    window = np.ascontiguousarray(scene.host[top : y + height + reach, left : x + width + reach])
    nothing = np.zeros(window.shape[:2], np.bool_)
    if scene.foreground is None and shape.any():
        hole = nothing.copy()
        hole[y - top : y - top + height, x - left : x - left + width] = shape
        window = fill(window, hole, ~hole, rng)
    return candidate(scene.host, (left, top), window, nothing, {"null": True})
