"""Pictures of a fit: real crops beside samples, class by class, and the curve of the losses."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core.colors import SERIES
from carpet_data.core.images import encode_png
from carpet_data.core.plot_style import STYLE
from carpet_data.learned.crops import Example, Lesson
from carpet_data.learned.learning import Drawn
from carpet_data.store.files import write_bytes
from carpet_data.synthesis.contract import Image

__all__ = ["draw", "plot_losses", "write"]

_REAL = 3
"""Columns of real crops, so that samples are looked at beside what they were learned from."""
_TILE = 144
"""Most pixels across a crop; enlarged ones have whole multiples of their own, so that each pixel stays a square."""
_GAP = 4
_BAR = 20
_GROUND, _INK, _OUTLINE = (24, 24, 24), (225, 225, 225), (255, 220, 0)
_FAINT = 0.05
"""Masks that are nowhere stronger have no outline."""
_DPI = 120


def write(path: Path, lesson: Lesson, drawn: Sequence[Drawn], title: str) -> Path:
    """Write a sheet as PNG, see `draw`; gives back its path."""
    write_bytes(path, encode_png(draw(lesson, drawn, title)))
    return path


def draw(lesson: Lesson, drawn: Sequence[Drawn], title: str) -> Image:
    """Draw samples of a network beside real crops.

    Each class has two lines, the crops as they are and the same with the outline of their masks: first the real ones,
    then, past a gap, the samples.

    Args:
        lesson: What the network learned from.
        drawn: Samples, of each class as many.
        title: Above all; only ASCII can be drawn.

    Returns:
        uint8 HxWx3 RGB.
    """
    rows = {name: [one for one in drawn if one.class_name == name] for name in lesson.classes}
    made = max((len(found) for found in rows.values()), default=0)
    real = {name: _some([e for e in lesson.examples if e.class_name == name]) for name in lesson.classes}
    tile = lesson.crop_px * (_TILE // lesson.crop_px) or _TILE
    across = tile + _GAP
    left = _GAP + max(map(len, real.values()), default=0) * across + 2 * _GAP
    height = 2 * _BAR + len(rows) * (_BAR + 2 * across)
    sheet = np.full((height, left + made * across, 3), _GROUND, np.uint8)
    _write(sheet, title, _GAP, _BAR - 6)
    _write(sheet, "real", _GAP, 2 * _BAR - 6)
    _write(sheet, "samples", left, 2 * _BAR - 6)
    top = 2 * _BAR
    for name, samples in rows.items():
        _write(sheet, name, _GAP, top + _BAR - 6)
        for number, example in enumerate(real[name]):
            _pair(sheet, *lesson.crop(example), tile, _GAP + number * across, top + _BAR)
        for number, one in enumerate(samples):
            _pair(sheet, one.image, one.mask, tile, left + number * across, top + _BAR)
        top += _BAR + 2 * across
    return sheet


def _some(examples: Sequence[Example]) -> list[Example]:
    chosen = np.linspace(0, len(examples) - 1, min(_REAL, len(examples))).round().astype(int)
    return [examples[index] for index in chosen.tolist()]


def _pair(sheet: Image, image: NDArray[np.uint8], mask: NDArray[np.float32], tile: int, x: int, y: int) -> None:
    """A crop, and below it the same with the outline of its mask."""
    how = cv2.INTER_AREA if image.shape[0] > tile else cv2.INTER_NEAREST
    shown = np.asarray(cv2.resize(np.ascontiguousarray(image), (tile, tile), interpolation=how), np.uint8)
    large = cv2.resize(mask, (tile, tile), interpolation=cv2.INTER_LINEAR)
    # A scratch thinner than a pixel covers less than half of it, and has an outline all the same.
    level = max(_FAINT, 0.5 * float(large.max()))
    outlines, _ = cv2.findContours((large >= level).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    sheet[y : y + tile, x : x + tile] = shown
    below = y + tile + _GAP // 2
    sheet[below : below + tile, x : x + tile] = cv2.drawContours(shown.copy(), outlines, -1, _OUTLINE, 1)


def _write(sheet: Image, text: str, x: int, y: int) -> None:
    ascii_text = text.encode("ascii", "replace").decode()
    cv2.putText(sheet, ascii_text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)


def plot_losses(path: Path, history: Sequence[Mapping[str, float]], title: str) -> None:
    """Write the losses over the steps as PNG.

    Args:
        path: The file.
        history: Rows of step, seconds and mean losses; at least one.
        title: Above the curve.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    names = sorted({name for row in history for name in row} - {"step", "seconds"})
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; that is no problem of the fit.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure = Figure(figsize=(8.5, 4.2), dpi=_DPI, layout="compressed")
        axes = figure.add_subplot()
        for number, name in enumerate(names):
            rows = [row for row in history if name in row]
            x, y = [row["step"] for row in rows], [row[name] for row in rows]
            axes.plot(x, y, ".-" if len(x) < 20 else "-", color=SERIES[number % len(SERIES)], label=name, linewidth=1.2)
        if all(row[name] > 0 for row in history for name in names if name in row):
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="step", ylabel="loss", title=title)
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)
        data = io.BytesIO()
        # No clock and no version in the file: equal fits give equal bytes.
        figure.savefig(data, format="png", metadata={"Software": None})
    write_bytes(path, data.getvalue())
