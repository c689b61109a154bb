"""Pictures of a fit: real crops beside samples, class by class, and the curve of the losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core import sheets
from carpet_data.core.images import encode_png
from carpet_data.core.sheets import evenly
from carpet_data.learned.crops import Lesson
from carpet_data.learned.learning import Drawn
from carpet_data.store.files import write_bytes
from carpet_data.synthesis.contract import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw", "plot_losses", "write"]

_REAL = 3
"""Columns of real crops, so that samples are looked at beside what they were learned from."""
_TILE = 144
"""Most pixels across a crop; enlarged ones have whole multiples of their own, so that each pixel stays a square."""
_FAINT = 0.05
"""Masks that are nowhere stronger have no outline."""


def write(path: Path, lesson: Lesson, drawn: Sequence[Drawn], title: str) -> Path:
    """Write a sheet as PNG, see `draw`; gives back its path."""
    write_bytes(path, encode_png(draw(lesson, drawn, title)))
    return path


def draw(lesson: Lesson, drawn: Sequence[Drawn], title: str) -> Image:
    """Draw samples of a network beside real crops, uint8 HxWx3 RGB.

    Each class has a panel of real crops and one of samples; below each crop is the same with the outline of its mask.

    Args:
        lesson: What the network learned from.
        drawn: Samples.
        title: Above all.
    """
    tile = lesson.crop_px * (_TILE // lesson.crop_px) or _TILE
    panels = []
    for name in lesson.classes:
        real = [lesson.crop(e) for e in evenly([e for e in lesson.examples if e.class_name == name], _REAL)]
        made = [(one.image, one.mask) for one in drawn if one.class_name == name]
        for what, crops in (("real", real), ("samples", made)):
            blank = np.full((1, tile, 3), sheets.BACKGROUND, np.uint8)
            panels.append(sheets.panel([f"{name}: {what}"], [_pair(*crop, tile) for crop in crops] or [blank]))
    return sheets.sheet(panels, across=2, title=title)


def _pair(image: NDArray[np.uint8], mask: NDArray[np.float32], tile: int) -> Image:
    """A crop, and below it the same with the outline of its mask."""
    shown = sheets.fitted(image, tile)
    large = cv2.resize(mask, (tile, tile), interpolation=cv2.INTER_LINEAR)
    # A scratch thinner than a pixel covers less than half of it, and has an outline all the same.
    level = max(_FAINT, 0.5 * float(large.max()))
    return np.concatenate((shown, sheets.outlined(shown, large >= level)))


def plot_losses(path: Path, history: Sequence[Mapping[str, float]], title: str) -> None:
    """Write the losses over the steps as PNG.

    Args:
        path: The file.
        history: Rows of step, seconds and mean losses; at least one.
        title: Above the curve.
    """
    # matplotlib takes half a second, and is needed at the end of a fit only.
    from carpet_data.core import plots

    write_bytes(path, plots.to_png(plots.styled(_losses)(history, title)))


def _losses(history: Sequence[Mapping[str, float]], title: str) -> Figure:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    from carpet_data.core import plots

    names = sorted({name for row in history for name in row} - {"step", "seconds"})
    figure = plots.figure(8.5, 4.2)
    axes = figure.add_subplot()
    for number, name in enumerate(names):
        rows = [row for row in history if name in row]
        x, y = [row["step"] for row in rows], [row[name] for row in rows]
        axes.plot(x, y, ".-" if len(x) < 20 else "-", color=plots.color_of(number), label=name, linewidth=1.2)
    if all(row[name] > 0 for row in history for name in names if name in row):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="step", ylabel="loss", title=title)
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)
    return figure
