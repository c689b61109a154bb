"""The contact sheet of clean plates: each image before, what of it was filled, after, and the verdict."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from carpet_data.core import masks, sheets
from carpet_data.core.images import encode_png, read
from carpet_data.core.masks.runs import to_binary
from carpet_data.store.files import write_bytes
from carpet_data.synthesis.contract import Image
from carpet_data.synthesis.plates.survey import PlateRecord, area_path, plate_path, refusals

__all__ = ["draw", "write"]

_TILE_PX = 300
_SHOWN = 24
_PASSED, _REFUSED = (120, 230, 120), (255, 130, 110)
_PREVIEWS = "previews"


def write(root: Path, records: Sequence[PlateRecord]) -> Path:
    """Write the sheet of a survey under `previews/`; the same plates give the same file, which is drawn once."""
    keys = "\n".join(f"{record.sample.id} {record.key}" for record in records)
    path = root / _PREVIEWS / f"plates_{hashlib.sha256(keys.encode()).hexdigest()[:8]}.png"
    if not path.is_file():
        write_bytes(path, encode_png(draw(root, records)))
    return path


def draw(root: Path, records: Sequence[PlateRecord]) -> Image:
    """Draw at most 24 records, at least one, those that passed first: uint8 HxWx3 RGB."""
    passed = [record for record in records if record.passed]
    refused = [record for record in records if not record.passed]
    shown = sheets.evenly(passed, max(_SHOWN // 2, _SHOWN - len(refused)))
    shown += sheets.evenly(refused, _SHOWN - len(shown))
    counts = ", ".join(f"{name} {count}" for name, count in refusals(records).items())
    title = f"clean backgrounds: {len(passed)} of {len(records)} passed" + (f" (refused: {counts})" if counts else "")
    return sheets.sheet([_panel(root, record) for record in shown], across=2, title=title)


def _panel(root: Path, record: PlateRecord) -> Image:
    """Image with its mask; where it was filled; the plate; the plate enlarged."""
    image = read(root / record.sample.image_path)
    mask = to_binary(masks.load(root, record.sample).runs)
    whole = sheets.fitted(image, _TILE_PX)
    tiles = [sheets.outlined(whole, _reduced(mask, whole))]
    if record.key:
        plate = read(plate_path(root, record.key))
        x, y, width, height = sheets.around(mask)
        tiles += [
            sheets.outlined(whole, _reduced(read(area_path(root, record.key)) > 0, whole)),
            sheets.fitted(plate, _TILE_PX),
            sheets.fitted(plate[y : y + height, x : x + width], _TILE_PX),
        ]
    verdict = "passed" if record.passed else f"refused: {', '.join(record.reasons)}"
    lent = f", filled from {', '.join(record.filled_from)}" if record.filled_from else ""
    return sheets.panel([record.sample.id, (verdict + lent, _PASSED if record.passed else _REFUSED)], tiles)


def _reduced(
    mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], tile: Image
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    size = (tile.shape[1], tile.shape[0])
    return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)) > 0
