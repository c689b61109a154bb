"""The images that a network gets most wrong, each beside where it looked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from carpet_data.core.images import encode_png
from carpet_data.networks import Network
from carpet_data.store.files import write_bytes
from carpet_data.store.names import component
from carpet_data.training import gradcam
from carpet_data.training.evaluate import Predictions
from carpet_data.training.tables import ImageTable

__all__ = ["panel", "sheet", "write_worst"]

U8 = NDArray[np.uint8]

_TILE, _GAP, _BAR, _ACROSS = 224, 6, 40, 3
_GROUND, _INK, _RIGHT, _WRONG = (24, 24, 24), (225, 225, 225), (130, 210, 130), (255, 140, 120)
_TEXT_PX = 13


def write_worst(
    folder: Path,
    network: Network,
    table: ImageTable,
    predictions: Predictions,
    *,
    count: int = 12,
    device: torch.device | None = None,
    sheet_path: Path | None = None,
) -> list[Path]:
    """Write the images of the largest losses: the image, and Grad-CAM of the class that was predicted.

    Args:
        folder: Gets `{id}.png` of each.
        network: That made the predictions.
        table: The images, row by row those of the predictions.
        predictions: Of the network.
        count: How many images, worst first.
        device: Where to compute; None for where the network is.
        sheet_path: A PNG that shows them all; None for none.

    Returns:
        The files of the images, worst first.
    """
    assert table.ids == predictions.ids, "the predictions are of these images"
    rows = predictions.worst(count)
    if not rows:
        return []
    predicted = predictions.predicted
    pixels = np.ascontiguousarray(table.pixels[rows])
    warmth = gradcam.heat(network, pixels, predicted[rows], device=device)
    panels, files = [], []
    for place, row in enumerate(rows):
        truth, said = table.classes[int(predictions.truth[row])], table.classes[int(predicted[row])]
        share = float(predictions.probabilities[row, predicted[row]])
        drawn = panel(pixels[place], warmth[place], table.ids[row], truth, said, share)
        file = folder / f"{component(table.ids[row])}.png"
        write_bytes(file, encode_png(drawn))
        panels.append(drawn)
        files.append(file)
    if sheet_path is not None:
        write_bytes(sheet_path, encode_png(sheet(panels)))
    return files


def panel(pixels: U8, warmth: NDArray[np.float32], title: str, truth: str, predicted: str, probability: float) -> U8:
    """One image beside its heat, under its name and what was said of it.

    Args:
        pixels: uint8 (s, s, 3) RGB.
        warmth: float32 (s, s) in [0, 1].
        title: Such as the sample's id.
        truth: Its class.
        predicted: The class that was predicted, green where it is right, else red.
        probability: Of that class.

    Returns:
        uint8 HxWx3 RGB.
    """
    canvas = np.full((_BAR + _TILE, 2 * _TILE + _GAP, 3), _GROUND, np.uint8)
    shown = cv2.resize(pixels, (_TILE, _TILE), interpolation=_how(pixels)).astype(np.uint8)
    warm = cv2.resize(warmth, (_TILE, _TILE), interpolation=_how(warmth)).astype(np.float32)
    canvas[_BAR:, :_TILE] = shown
    canvas[_BAR:, _TILE + _GAP :] = gradcam.overlay(shown, warm)
    image = Image.fromarray(canvas)
    draw = ImageDraw.Draw(image)
    width = canvas.shape[1]
    draw.text((2, 3), _cut(title, width), fill=_INK, font=_font())
    said = f"is {truth}, predicted {predicted} ({probability:.0%})"
    draw.text((2, 21), _cut(said, width), fill=_RIGHT if truth == predicted else _WRONG, font=_font())
    return np.asarray(image)


def sheet(panels: Sequence[U8]) -> U8:
    """Panels in rows.

    Args:
        panels: At least one, of one shape.

    Returns:
        uint8 HxWx3 RGB.
    """
    across = min(_ACROSS, len(panels))
    down = -(-len(panels) // across)
    height, width = panels[0].shape[:2]
    room = 3 * _GAP
    canvas = np.full((down * (height + room) + room, across * (width + room) + room, 3), _GROUND, np.uint8)
    for number, drawn in enumerate(panels):
        row, column = divmod(number, across)
        top, left = room + row * (height + room), room + column * (width + room)
        canvas[top : top + height, left : left + width] = drawn
    return canvas


def _how(array: NDArray[Any]) -> int:
    return cv2.INTER_AREA if array.shape[0] > _TILE else cv2.INTER_LINEAR


def _cut(text: str, width: int) -> str:
    """Text that fits, its middle left out where it does not: ids often differ at their ends."""
    if _font().getlength(text) <= width - 4:
        return text
    kept = len(text)
    while kept > 2:
        kept -= 1
        shorter = f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"
        if _font().getlength(shorter) <= width - 4:
            return shorter
    return "…"


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont:
    # matplotlib brings a font that has the letters of most languages; Pillow's own has few.
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), _TEXT_PX)
