"""Real against synthetic defects as a plot, one row per class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.sheets import evenly
from carpet_data.errors import UsageError
from carpet_data.experiments.quality.distances import scale_of
from carpet_data.experiments.quality.score_result import ScoreResult
from carpet_data.experiments.quality.texture_statistics import BINS, Crop
from carpet_data.store.files import write_bytes
from carpet_data.store.output import check_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["check_plot", "write_plot"]

_MOST_CLASSES = 12
_MOST_POINTS = 300
_REAL = "#000000"
_MARKERS = ("o", "s", "^", "D", "v", "P")


def check_plot(out: Path, root: Path, *, overwrite: bool) -> None:
    """Refuse a path for the plot before anything is measured.

    Raises:
        UsageError: Not a PNG, or among the images of the data set.
        OutputError: It exists and is not to be overwritten.
    """
    if out.suffix.lower() != ".png":
        raise UsageError("the plot must be a PNG file", where=out, hint="use a name such as score.png")
    if any((root / part).resolve() in out.resolve().parents for part in ("images", "masks")):
        raise UsageError("the plot would lie among the images", where=out, hint="write it elsewhere")
    check_file(out, overwrite=overwrite)


def write_plot(found: ScoreResult, out: Path) -> Path:
    """Draw areas, lightness and texture of every class, at most 12 classes, as a PNG file; returns its path."""
    # matplotlib takes half a second to import, and most scores are computed without a plot.
    from carpet_data.core import plots

    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(out, plots.to_png(plots.styled(_draw)(found)))
    return out


def _draw(found: ScoreResult) -> Figure:
    from carpet_data.core import plots

    every = sorted({group.class_name for group in found.groups})
    classes = every[:_MOST_CLASSES]
    figure = plots.figure(12, 0.9 + 2.9 * len(classes))
    left = len(every) - len(classes)
    more = f"; {left} more classes are in the table" if left else ""
    figure.suptitle(f"{found.name}: real defects (black) and synthetic ones{more}", x=0.01, ha="left")
    axes = figure.subplots(len(classes), 3, squeeze=False)
    for row, class_name in zip(axes, classes, strict=True):
        groups = [("real", found.real[class_name], _REAL, "o")]
        for number, group in enumerate(group for group in found.groups if group.class_name == class_name):
            # The sixth color is the last one before black.
            groups.append((group.recipe, group.crops, plots.color_of(number % 6), _MARKERS[number % 6]))
        groups = [group for group in groups if group[1]]
        _areas(row[0], class_name, groups)
        _lightness(row[1], groups)
        _texture(row[2], groups)
    return figure


_Drawn = Sequence[tuple[str, Sequence[Crop], str, str]]


def _areas(axes: Axes, class_name: str, groups: _Drawn) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for name, crops, color, marker in groups:
        percent = np.sort([100 * crop.area_frac for crop in crops])
        share = np.arange(1, len(percent) + 1) / len(percent)
        few = {"marker": marker, "markersize": 4} if len(percent) <= 20 else {}
        style: Any = {"linewidth": 2.2 if name == "real" else 1.4, **few}
        axes.step(percent, share, where="post", color=color, label=f"{name} ({len(crops)})", **style)
    every = [crop.area_frac for _, crops, _, _ in groups for crop in crops]
    if every:
        low, high = 100 * min(every), 100 * max(every)
        if high / low < 10:
            middle = math.sqrt(low * high)
            low, high = middle / 4, middle * 4
        axes.set_xscale("log")
        axes.set_xlim(low / 1.3, high * 1.3)
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0,) if high / low > 300 else (1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(0, 1.03)
    axes.set_title(f"{class_name}: share of defects up to an area")
    axes.set_xlabel("area of a defect, % of the image (log)")
    axes.legend(loc="best", fontsize=8, title="(defects)", title_fontsize=8)


def _lightness(axes: Axes, groups: _Drawn) -> None:
    middle = (np.arange(BINS) + 0.5) * 100 / BINS
    for name, crops, color, _ in groups:
        shares = np.mean([crop.colors[0] for crop in crops], axis=0) * 100
        axes.plot(middle, shares, color=color, linewidth=2.2 if name == "real" else 1.4)
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)
    axes.set_title("lightness inside the masks")
    axes.set_xlabel("CIE L")
    axes.set_ylabel("% of pixels")


def _texture(axes: Axes, groups: _Drawn) -> None:
    """The statistics on their two main axes (principal components of all that is shown, standardized by the real)."""
    everything = [crop for _, crops, _, _ in groups for crop in crops]
    if len(everything) < 3:
        axes.set_axis_off()
        return
    seen = [crop for name, crops, _, _ in groups for crop in crops if name == "real"]
    scale = scale_of(seen if len(seen) > 2 else everything)
    tables = [
        scale.apply(np.stack([crop.statistics for crop in evenly(crops, _MOST_POINTS)])) for _, crops, _, _ in groups
    ]
    center = np.concatenate(tables).mean(axis=0)
    _, _, turn = np.linalg.svd(np.concatenate(tables) - center, full_matrices=False)
    for (name, _, color, marker), table in reversed(list(zip(groups, tables, strict=True))):
        place: NDArray[np.float64] = (table - center) @ turn[:2].T
        size = 34 if name == "real" else 16
        axes.scatter(place[:, 0], place[:, 1], s=size, color=color, marker=marker, alpha=0.65, linewidths=0,
                     zorder=3 if name == "real" else 2)  # fmt: skip
    axes.set_title("texture inside the masks")
    axes.set_xlabel("first main axis")
    axes.set_ylabel("second main axis")
