"""Contact sheets: pictures side by side on a dark sheet, with lines of text above them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = [
    "BACKGROUND",
    "INK",
    "OUTLINE",
    "around",
    "evenly",
    "fitted",
    "font",
    "framed",
    "is_strip",
    "outlined",
    "panel",
    "rgb",
    "sheet",
    "stacked",
]

U8: TypeAlias = NDArray[np.uint8]
Color: TypeAlias = tuple[int, int, int]
T = TypeVar("T")

BACKGROUND, INK, OUTLINE, CAPTION = (24, 24, 24), (225, 225, 225), (255, 220, 0), (150, 150, 150)
_GAP = 6
_LINE_PX, _TEXT_PX = 20, 13
_MIN_CROP_PX = 64
_STRIP = 3
"""An image longer than this many times its other side is a strip."""
_MARGIN = 0.35
"""Of the defect's box, shown around it."""


def evenly(items: Sequence[T], count: int) -> list[T]:
    """At most `count` items, evenly spaced, the first and the last among them.

    Examples:
        >>> evenly("abcdefg", 3)
        ['a', 'd', 'g']
    """
    if len(items) <= count:
        return list(items)
    return [items[n] for n in np.linspace(0, len(items) - 1, count).round().astype(int).tolist()]


def rgb(image: U8) -> U8:
    """An image, uint8 HxWx3 or HxW, as HxWx3."""
    return image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB).astype(np.uint8)


def fitted(image: U8, side: int) -> U8:
    """An image scaled so that its longer side is `side`, uint8 HxWx3.

    Enlarged pixels stay squares, so that a seam cannot hide in a smooth blur.
    """
    height, width = image.shape[:2]
    scale = side / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return rgb(cv2.resize(np.ascontiguousarray(image), size, interpolation=how).astype(np.uint8))


def outlined(image: U8, mask: NDArray[np.bool_]) -> U8:
    """A copy of an image, uint8 HxWx3, with the outline of a mask, bool HxW."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(image.copy(), outlines, -1, OUTLINE, 1).astype(np.uint8, copy=False)


def around(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """The box (x, y, width, height) of a crop around the largest component of a mask that is not empty.

    The crop is a square with a margin of background, at least 64 px wide, as far as the image allows. In a long strip
    it shows the middle of a long component only, so that the defect is seen and not its place alone.
    """
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    x, y, w, h, _ = (int(value) for value in stats[largest])
    side = max(_MIN_CROP_PX, int(max(w, h) * (1 + 2 * _MARGIN)))
    height, width = mask.shape
    middle_x, middle_y = x + w // 2, y + h // 2
    if is_strip(width, height) and side > min(width, height):
        side = max(_MIN_CROP_PX, min(width, height))
        rows, columns = np.nonzero(numbers == largest)
        nearest = int(np.argmin(np.abs(columns - middle_x) + np.abs(rows - middle_y)))
        middle_x, middle_y = int(columns[nearest]), int(rows[nearest])
    side_x, side_y = min(side, width), min(side, height)
    left = min(max(0, middle_x - side_x // 2), width - side_x)
    top = min(max(0, middle_y - side_y // 2), height - side_y)
    return left, top, side_x, side_y


def is_strip(width: int, height: int) -> bool:
    """Whether an image is so long that its defects vanish where the whole of it is shown."""
    return max(width, height) > _STRIP * min(width, height)


def framed(image: U8, box: tuple[int, int, int, int]) -> U8:
    """A copy of an image, uint8 HxWx3, with a frame around a box (x, y, width, height)."""
    x, y, width, height = box
    last = (min(x + width, image.shape[1]) - 1, min(y + height, image.shape[0]) - 1)
    return np.asarray(cv2.rectangle(image.copy(), (x, y), last, OUTLINE, 1), np.uint8)


def stacked(pictures: Sequence[U8]) -> U8:
    """Pictures (at least one, uint8 HxWx3) below each other, at the left."""
    width = max(each.shape[1] for each in pictures)
    canvas = _blank(sum(each.shape[0] for each in pictures) + _GAP * (len(pictures) - 1), width)
    top = 0
    for each in pictures:
        _paste(canvas, each, 0, top)
        top += each.shape[0] + _GAP
    return canvas


def panel(lines: Sequence[str | tuple[str, Color]], tiles: Sequence[U8], *, captions: Sequence[str] = ()) -> U8:
    """Pictures in a row under lines of text; all are uint8 HxWx3.

    A line is a text, or a text and its color; what does not fit loses its middle. Each tile, at least one, is centered
    in a cell of the largest width and height. Captions, if any, are one for each tile, right above it.
    """
    assert len(captions) in (0, len(tiles)), "a caption for each tile"
    head = len(lines) * _LINE_PX
    top = head + (_LINE_PX if captions else 0)
    wide, high = max(tile.shape[1] for tile in tiles), max(tile.shape[0] for tile in tiles)
    canvas = _blank(top + high, len(tiles) * (wide + _GAP) - _GAP)
    for number, line in enumerate(lines):
        text, color = (line, INK) if isinstance(line, str) else line
        _write(canvas[number * _LINE_PX : (number + 1) * _LINE_PX], text, color)
    for number, tile in enumerate(tiles):
        cell = number * (wide + _GAP)
        if captions:
            _write(canvas[head:top, cell : cell + wide], captions[number], CAPTION)
        left = cell + (wide - tile.shape[1]) // 2
        _paste(canvas, tile, left, top + (high - tile.shape[0]) // 2)
    return canvas


def sheet(panels: Sequence[U8], *, across: int, title: str = "") -> U8:
    """Panels (at least one, uint8 HxWx3) in rows, each column as wide as its widest panel, under a title if any."""
    room = 3 * _GAP
    rows = [panels[first : first + across] for first in range(0, len(panels), across)]
    widths = [max(row[n].shape[1] for row in rows if n < len(row)) for n in range(len(rows[0]))]
    heights = [max(each.shape[0] for each in row) for row in rows]
    top = room + (_LINE_PX if title else 0)
    canvas = _blank(top + sum(heights) + room * len(rows), room + sum(widths) + room * len(widths))
    if title:
        _write(canvas[_GAP : _GAP + _LINE_PX, room:-room], title, INK)
    for row, height in zip(rows, heights, strict=True):
        left = room
        for each, width in zip(row, widths, strict=False):
            _paste(canvas, each, left, top)
            left += width + room
        top += height + room
    return canvas


def _blank(height: int, width: int) -> U8:
    return np.full((height, width, 3), BACKGROUND, np.uint8)


def _paste(canvas: U8, picture: U8, x: int, y: int) -> None:
    canvas[y : y + picture.shape[0], x : x + picture.shape[1]] = picture


def _write(strip: U8, text: str, color: Color) -> None:
    drawn = Image.fromarray(strip)
    ImageDraw.Draw(drawn).text((2, 3), _shortened(text, strip.shape[1] - 4), fill=color, font=font(_TEXT_PX))
    strip[:] = np.asarray(drawn)


def _shortened(text: str, width: int) -> str:
    """Text that fits, its middle left out where it does not: ids often differ at their ends."""
    shorter, kept = text, len(text)
    while kept > 1 and font(_TEXT_PX).getlength(shorter) > width:
        kept -= 1
        shorter = f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"
    return shorter


@lru_cache(maxsize=16)
def font(size_px: int) -> ImageFont.FreeTypeFont:
    """A font that has the letters of most languages."""
    # matplotlib brings one; it is found without importing matplotlib.
    package = importlib.util.find_spec("matplotlib")
    assert package is not None
    assert package.origin is not None
    return ImageFont.truetype(
        str(Path(package.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"), size_px
    )
