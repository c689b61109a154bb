"""Real against synthetic defects, one row of plots a class.

The colours are those of Okabe and Ito (2008).
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from carpet_data.experiments.quality.metrics import scale_of
from carpet_data.experiments.quality.texture_statistics import BINS, Crop

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MOST_CLASSES", "draw"]

MOST_CLASSES = 12
_REAL = "#000000"
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_MOST_POINTS = 300
_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "axes.unicode_minus": False,
    # Names of classes are text: a $ in one is no formula.
    "text.parse_math": False,
}

Groups = Mapping[str, Mapping[str, Sequence[Crop]]]
"""class -> recipe -> its crops."""


def draw(name: str, real: Mapping[str, Sequence[Crop]], made: Groups) -> bytes:
    """Draw areas, lightness and texture of every class.

    Args:
        name: Of the data set.
        real: class -> real crops.
        made: class -> recipe -> synthetic crops; at most MOST_CLASSES are drawn.

    Returns:
        A PNG.
    """
    classes = sorted(made)[:MOST_CLASSES]
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; that is no problem of the data.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure = Figure(figsize=(12, 0.9 + 2.9 * len(classes)), dpi=110, layout="constrained")
        left = len(made) - len(classes)
        more = f"; {left} more classes are in the table" if left else ""
        figure.suptitle(f"{name}: real defects (black) against synthetic ones{more}", x=0.01, ha="left")
        axes = figure.subplots(len(classes), 3, squeeze=False)
        for row, class_name in zip(axes, classes, strict=True):
            groups = [("real", real.get(class_name, ()), _REAL, "o")]
            for number, (recipe, crops) in enumerate(sorted(made[class_name].items())):
                k = number % len(_COLOURS)
                groups.append((recipe, crops, _COLOURS[k], _MARKERS[k]))
            groups = [group for group in groups if group[1]]
            _areas(row[0], class_name, groups)
            _lightness(row[1], groups)
            _texture(row[2], groups)
        file = io.BytesIO()
        figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


_Drawn = Sequence[tuple[str, Sequence[Crop], str, str]]


def _areas(axes: Axes, class_name: str, groups: _Drawn) -> None:
    for name, crops, colour, marker in groups:
        percent = np.sort([100 * crop.area_frac for crop in crops])
        share = np.arange(1, len(percent) + 1) / len(percent)
        few = {"marker": marker, "markersize": 4} if len(percent) <= 20 else {}
        style: Any = {"linewidth": 2.2 if name == "real" else 1.4, **few}
        axes.step(percent, share, where="post", color=colour, label=f"{name} ({len(crops)})", **style)
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
    for name, crops, colour, _ in groups:
        shares = np.mean([crop.colours[0] for crop in crops], axis=0) * 100
        axes.plot(middle, shares, color=colour, linewidth=2.2 if name == "real" else 1.4)
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
    tables = [scale.apply(np.stack([crop.statistics for crop in _some(crops)])) for _, crops, _, _ in groups]
    centre = np.concatenate(tables).mean(axis=0)
    _, _, turn = np.linalg.svd(np.concatenate(tables) - centre, full_matrices=False)
    for (name, _, colour, marker), table in reversed(list(zip(groups, tables, strict=True))):
        place: NDArray[np.float64] = (table - centre) @ turn[:2].T
        size = 34 if name == "real" else 16
        axes.scatter(place[:, 0], place[:, 1], s=size, color=colour, marker=marker, alpha=0.65, linewidths=0,
                     zorder=3 if name == "real" else 2)  # fmt: skip
    axes.set_title("texture inside the masks")
    axes.set_xlabel("first main axis")
    axes.set_ylabel("second main axis")


def _some(crops: Sequence[Crop]) -> list[Crop]:
    chosen = np.linspace(0, len(crops) - 1, min(len(crops), _MOST_POINTS)).round().astype(int)
    return [crops[k] for k in chosen]
