"""Defects that are left in a plate, because an annotation left them out.

On a texture: places that look like what the mask marks. Light, color and detail of small cells are compared one by one;
where a part of the mask stands clear of the clean texture, nothing that is left may be half as far out on the same
side. On an object: places that look like no other image there.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask
from carpet_data.synthesis.ops.masks import grown, largest_parts, parts_below
from carpet_data.synthesis.ops.pixels import F32, blurred, grey
from carpet_data.synthesis.plates.measures import detail
from carpet_data.synthesis.plates.nearest import Company

_CELL_FRAC, _CELL_RANGE_PX = 40, (5, 20)
_COVERED = 0.6
_LEAST_CELLS = 40
_PARTS = 12
_CLEAR = 3.5
"""Robust standard deviations of the clean texture by which a defect must stand out to be looked for."""
_LIKE_DEFECT = 0.5
_FAR = 3.5
_STRANGE_SIDE = 384
_STRANGE_QUANTILE, _STRANGE_ROOM, _STRANGE_FLOOR = 0.999, 1.25, 5.0


def likeness(before: Image, plate: Image, mask: Mask, area: Mask) -> tuple[float, Mask]:
    """How much of what is left looks like the defect: above 1 a place does; and which places do, bool HxW.

    Args:
        before: uint8 HxWx3 or HxW: the image with its defect.
        plate: The same, filled.
        mask: bool HxW: the annotated defect.
        area: bool HxW: what was filled.
    """
    side = int(np.clip(min(mask.shape) // _CELL_FRAC, *_CELL_RANGE_PX))
    inner = np.zeros_like(mask)
    inner[side:-side, side:-side] = True
    clean = inner & ~grown(area, side)
    cells = np.s_[side // 2 :: side, side // 2 :: side]
    worst = np.zeros(mask.shape, np.float32)
    if clean[cells].sum() < _LEAST_CELLS:
        return 0.0, worst > 1
    parts = [part for part in _parts(mask, side) if part.any()]
    for shown, left in zip(_features(before, side), _features(plate, side), strict=True):
        normal = left[cells][clean[cells]]
        middle = float(np.median(normal))
        spread = 1.4826 * float(np.median(np.abs(normal - middle))) + 0.02
        for part in parts:
            apart = float(np.median(shown[part])) - middle
            if abs(apart) >= _CLEAR * spread:
                out = (left - middle) * np.float32(np.sign(apart))
                score = np.minimum(out / (_LIKE_DEFECT * abs(apart)), out / (_FAR * spread))
                worst = np.maximum(worst, score * inner)
    # A speck smaller than a cell is only noise that happens to lie on that side.
    there = worst > 1
    there &= ~parts_below(there, side * side)
    return (float(worst[there].max()) if there.any() else min(1.0, float(worst.max()))), np.asarray(there)


def strangeness(plate: Image, known: Sequence[Mask], references: Sequence[Image]) -> float:
    """How far a whole plate is from all others of its product, over how far these are from each other; above 1 is far.

    Args:
        plate: uint8 HxWx3 or HxW.
        known: bool HxW each: where the plate, and then each reference, shows no marked defect.
        references: uint8, other images laid over the plate, pixel by pixel.
    """
    scale = min(1.0, _STRANGE_SIDE / max(plate.shape[:2]))
    size = (max(1, round(plate.shape[1] * scale)), max(1, round(plate.shape[0] * scale)))
    images = [
        np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_AREA), np.uint8) for each in (plate, *references)
    ]
    seen = [np.asarray(cv2.resize(m.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)) > 0 for m in known]
    company = Company(images, 2.0, seen)
    everywhere = np.ones_like(seen[0])
    reached = max(company.farthest(n, everywhere, _STRANGE_QUANTILE) for n in range(1, len(images)))
    return company.farthest(0, everywhere, _STRANGE_QUANTILE) / (_STRANGE_ROOM * reached + _STRANGE_FLOOR)


def _parts(mask: Mask, side: int) -> list[Mask]:
    """The cells of the mask's largest parts that they cover well; the best covered ones of a thin part."""
    kept, _ = largest_parts(mask, _PARTS)
    count, labels = cv2.connectedComponents(kept.astype(np.uint8), connectivity=8)
    found = []
    for number in range(1, count):
        share = blurred((labels == number).astype(np.float32), side / 2)
        found.append(np.asarray(share >= min(_COVERED, 0.8 * float(share.max()))))
    return found


def _features(image: Image, side: int) -> list[F32]:
    """Light, color and detail of the cell around each pixel, each float32 HxW."""
    light = grey(image)
    maps: list[F32] = [blurred(light, side / 2)]
    if image.ndim == 3:
        red, green, blue = (blurred(channel, side / 2) for channel in cv2.split(image.astype(np.float32)))
        maps += [red - green, blue - green]
    bands = detail(light)
    pairs = (bands[0] + bands[1], bands[2] + bands[3])
    return maps + [np.asarray(0.5 * np.log(blurred(pair, side / 2) + 0.5), np.float32) for pair in pairs]
