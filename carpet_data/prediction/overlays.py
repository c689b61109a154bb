"""Pictures for people: an image with the outlines and boxes that a model found, under its class and score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from carpet_data.core import sheets
from carpet_data.dataset import GOOD
from carpet_data.training.contract import Detection, ImagePrediction

__all__ = ["SURE", "draw_overlay"]

U8 = NDArray[np.uint8]
Color = tuple[int, int, int]

_SMALLEST, _LARGEST = 448, 2048
"""Longer side of the drawn image in pixels: smaller images are enlarged by a whole factor, larger ones reduced."""
SURE = 0.5
"""Score from which a model is more sure of a detection than not."""
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_BRIGHT = 0.45
"""Relative luminance above which black text is easier to read than white."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """How an image is drawn: its size on the picture, the widths of lines and the size of text in pixels."""

    width: int
    height: int
    factor: float
    line: int
    text: int

    @classmethod
    def of(cls, width: int, height: int) -> _Scale:
        longer = max(width, height)
        factor = _LARGEST / longer if longer > _LARGEST else float(max(1, -(-_SMALLEST // longer)))
        drawn = max(1, round(width * factor)), max(1, round(height * factor))
        return cls(*drawn, factor, line=max(2, round(max(drawn) / 500)), text=max(13, round(max(drawn) / 48)))


def draw_overlay(image: U8, prediction: ImagePrediction, colors: Mapping[str, str], *, threshold: float = SURE) -> U8:
    """Draw a prediction on its image.

    Args:
        image: uint8 HxWx3 RGB or HxW.
        prediction: Of this image.
        colors: class -> color as "#RRGGBB".
        threshold: Minimum score of what is drawn. The surest detection of an image that is not good always is.

    Returns:
        uint8 RGB: the image, enlarged where it is tiny and reduced where it is huge, below a bar with its class and
        score. Every line lies on a wider one of the opposite brightness, so it shows on dark and light images alike.
    """
    height, width = image.shape[:2]
    scale = _Scale.of(width, height)
    how = cv2.INTER_AREA if scale.factor < 1 else cv2.INTER_NEAREST
    resized = cv2.resize(np.ascontiguousarray(image), (scale.width, scale.height), interpolation=how)
    canvas = sheets.rgb(np.asarray(resized, np.uint8)).copy()
    # The surest last, so that its lines lie on top.
    drawn = _drawn(prediction, threshold)
    for detection in reversed(drawn):
        _outline(canvas, detection, scale, _rgb(colors, detection.class_name))
    picture = Image.fromarray(canvas)
    for detection in reversed(drawn):
        _label(picture, detection, scale, _rgb(colors, detection.class_name))
    return np.concatenate((_bar(prediction, scale, colors), np.asarray(picture)))


def _drawn(prediction: ImagePrediction, threshold: float) -> Sequence[Detection]:
    """Detectors list hundreds of boxes that they hardly believe in; drawn, they would hide the image."""
    sure = [each for each in prediction.detections if each.score >= threshold]
    return sure or (prediction.detections[:1] if prediction.class_name != GOOD else ())


def _rgb(colors: Mapping[str, str], name: str) -> Color:
    text = colors.get(name, "#D55E00")
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _opposite(color: Color) -> Color:
    """Black on bright colors, white on dark ones (relative luminance, WCAG 2)."""
    linear = [(value / 255) ** 2.2 for value in color]
    return _BLACK if 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > _BRIGHT**2.2 else _WHITE


def _outline(canvas: U8, detection: Detection, scale: _Scale, color: Color) -> None:
    x0, y0, x1, y1 = _corners(detection, scale)
    lines: list[NDArray[np.int32]] = [np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.int32)[:, None]]
    if detection.mask is not None:
        lines += _contours(detection.mask, (x0, y0, x1, y1))
    for thickness, ink in ((scale.line + 2, _opposite(color)), (scale.line, color)):
        cv2.polylines(canvas, lines, isClosed=True, color=ink, thickness=thickness)


def _corners(detection: Detection, scale: _Scale) -> tuple[int, int, int, int]:
    x, y, w, h = detection.bbox
    left, top = round(x * scale.factor), round(y * scale.factor)
    right, bottom = round((x + w) * scale.factor) - 1, round((y + h) * scale.factor) - 1
    return left, top, max(left, right), max(top, bottom)


def _contours(mask: NDArray[np.bool_], corners: tuple[int, int, int, int]) -> list[NDArray[np.int32]]:
    x0, y0, x1, y1 = corners
    size = (x1 + 1 - x0, y1 + 1 - y0)
    if size[0] >= mask.shape[1]:
        drawn = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    else:
        # Whatever is left of a thin scratch stays visible.
        drawn = (cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0).astype(np.uint8)
    found, _ = cv2.findContours(drawn, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE, offset=(x0, y0))
    return [np.asarray(contour, np.int32) for contour in found]


def _label(picture: Image.Image, detection: Detection, scale: _Scale, color: Color) -> None:
    """Class and score at the box: above it, or below where there is no room."""
    text = f"{detection.class_name} {detection.score:.2f}"
    pen = ImageDraw.Draw(picture)
    font = sheets.font(scale.text)
    x0, y0, _, y1 = _corners(detection, scale)
    pad = max(2, scale.text // 5)
    width, height = round(pen.textlength(text, font=font)) + 2 * pad, scale.text + 2 * pad
    left = max(0, min(x0, scale.width - width))
    top = y0 - height if y0 >= height else min(y1 + 1, scale.height - height)
    pen.rectangle((left, top, left + width - 1, top + height - 1), fill=color, outline=_opposite(color))
    pen.text((left + pad, top + height // 2), text, fill=_opposite(color), font=font, anchor="lm")


def _bar(prediction: ImagePrediction, scale: _Scale, colors: Mapping[str, str]) -> U8:
    """Class, its probability and the anomaly score, in the color of the class."""
    name = prediction.class_name
    color = _rgb(colors, name)
    chance = (prediction.probabilities or {}).get(name)
    shown = name if chance is None else f"{name} {chance:.2f}"
    text = shown if name == GOOD and chance is not None else f"{shown}   anomaly {prediction.anomaly:.2f}"
    font = sheets.font(scale.text)
    pad = scale.text // 3
    bar = Image.new("RGB", (scale.width, scale.text + 2 * pad), color)
    pen = ImageDraw.Draw(bar)
    # A narrow picture shows the class; the score is in the list.
    while len(text) > 1 and pen.textlength(text, font=font) > scale.width - 2 * pad:
        text = text[:-2].rstrip() + "…"
    pen.text((pad, bar.height // 2), text, fill=_opposite(color), font=font, anchor="lm")
    return np.asarray(bar, np.uint8)
