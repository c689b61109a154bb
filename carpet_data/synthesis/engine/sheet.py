"""Contact sheets: each sample as image, as image with its mask's outline, and its largest defect enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from carpet_data.core import masks
from carpet_data.core.images import encode_png, read
from carpet_data.core.masks.runs import to_binary
from carpet_data.dataset import Sample
from carpet_data.errors import DataError
from carpet_data.store import manifest, names
from carpet_data.store.files import write_bytes
from carpet_data.store.manifest import Tombstone
from carpet_data.synthesis.contract import Box, Image, Mask
from carpet_data.synthesis.engine.batch import Lot

PREVIEWS = "previews"
SHOWN = 8

_TILE = 300
_GAP = 6
_BAR = 20
_ACROSS = 2
_GROUND, _INK, _OUTLINE = (24, 24, 24), (225, 225, 225), (255, 220, 0)
_LEAST_CROP = 64
_ROOM = 0.35
"""Of the defect's box, shown around it."""


def of_lot(root: Path, lot: Lot, recipe: str, added: Sequence[Sample] = ()) -> Path:
    """Write the sheet of a lot under `previews/`, of samples picked evenly over it.

    The picture depends on what the lot holds alone, not on how many commands made it.

    Args:
        root: The prepared folder.
        lot: What to show.
        recipe: Its name.
        added: Samples that are about to join the manifest.
    """
    kept = (entry for entry in manifest.stream(root / names.MANIFEST) if not isinstance(entry, Tombstone))
    by_id = {sample.id: sample for sample in (*kept, *added) if lot.holds(sample.provenance)}
    defects = [by_id[sample_id] for sample_id in sorted(by_id) if by_id[sample_id].class_name == lot.class_name]
    path = root / PREVIEWS / f"{names.component(f'{lot.class_name}_{recipe}_{lot.code}_s{lot.seed}')}.png"
    title = f"{lot.class_name}: {len(defects)} by {recipe} ({lot.recipe[:8]}), seed {lot.seed}, split {lot.split}"
    write_bytes(path, encode_png(draw(root, evenly(defects, SHOWN), title)))
    return path


def evenly(samples: Sequence[Sample], count: int) -> list[Sample]:
    """At most `count` samples, the first and the last among them."""
    if len(samples) <= count:
        return list(samples)
    return [samples[n] for n in np.linspace(0, len(samples) - 1, count).round().astype(int).tolist()]


def draw(root: Path, samples: Sequence[Sample], title: str) -> Image:
    """Draw a contact sheet.

    Args:
        root: The data set.
        samples: At least one.
        title: Above all; only ASCII can be drawn.

    Returns:
        uint8 HxWx3 RGB.

    Raises:
        DataError: There is no sample to show, or a file cannot be read.
    """
    if not samples:
        raise DataError("there is nothing to show", where=root, hint="ask for samples that are there")
    across = min(_ACROSS, len(samples))
    rows = -(-len(samples) // across)
    strip_width, strip_height = 3 * _TILE + 2 * _GAP, _BAR + _TILE
    height = _BAR + _GAP + rows * (strip_height + _GAP)
    sheet = np.full((height, across * (strip_width + 3 * _GAP) + _GAP, 3), _GROUND, np.uint8)
    _write(sheet, title, 2 * _GAP, _BAR - 4)
    for number, sample in enumerate(samples):
        row, column = divmod(number, across)
        top = _BAR + _GAP + row * (strip_height + _GAP)
        left = 2 * _GAP + column * (strip_width + 3 * _GAP)
        _write(sheet, sample.id, left, top + _BAR - 6)
        for place, tile in enumerate(_tiles(root, sample)):
            x, y = left + place * (_TILE + _GAP), top + _BAR
            x, y = x + (_TILE - tile.shape[1]) // 2, y + (_TILE - tile.shape[0]) // 2
            sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return sheet


def _write(sheet: Image, text: str, x: int, y: int) -> None:
    ascii_text = text.encode("ascii", "replace").decode()
    cv2.putText(sheet, ascii_text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)


def _tiles(root: Path, sample: Sample) -> list[Image]:
    image = read(root / sample.image_path)
    if image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB).astype(np.uint8)
    mask = to_binary(masks.load(root, sample).runs)
    whole: Box = (0, 0, image.shape[1], image.shape[0])
    if not mask.any():
        return [_fitted(image, whole)]
    return [_fitted(image, whole), _outlined(image, mask), _fitted(image, around(mask))]


def around(mask: Mask) -> Box:
    """A square-like crop around the largest component of a mask, with some ground."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    x, y, w, h, _ = (int(value) for value in stats[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))])
    side = max(_LEAST_CROP, int(max(w, h) * (1 + 2 * _ROOM)))
    height, width = mask.shape
    side_x, side_y = min(side, width), min(side, height)
    left = min(max(0, x + w // 2 - side_x // 2), width - side_x)
    top = min(max(0, y + h // 2 - side_y // 2), height - side_y)
    return left, top, side_x, side_y


def _fitted(image: Image, box: Box) -> Image:
    """A crop at the size of a tile; enlarged pixels stay squares, so that a seam cannot hide in a smooth blur."""
    x, y, w, h = box
    scale = _TILE / max(w, h)
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return cv2.resize(np.ascontiguousarray(image[y : y + h, x : x + w]), size, interpolation=how).astype(np.uint8)


def _outlined(image: Image, mask: Mask) -> Image:
    tile = _fitted(image, (0, 0, image.shape[1], image.shape[0]))
    small = cv2.resize(mask.astype(np.float32), (tile.shape[1], tile.shape[0]), interpolation=cv2.INTER_AREA)
    outlines, _ = cv2.findContours((small > 0).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    drawn: Image = cv2.drawContours(tile, outlines, -1, _OUTLINE, 1).astype(np.uint8, copy=False)
    return drawn
