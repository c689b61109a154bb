"""Draw what was counted: four PNGs in colors that are distinguishable with any kind of color vision."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from carpet_data.core import plots
from carpet_data.core.colors import SERIES
from carpet_data.statistics.summary import InstanceSize
from carpet_data.store.output import check_apart, fresh_folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from carpet_data.statistics.stats import Stats

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_SIDE_COLORS = {"all": "#0072B2", "train": "#0072B2", "val": "#009E73", "test": "#E69F00"}
_LONG_TAIL = 10
_FEW_SIZES = 8
_MOST_NAMED = 20
_MOST_NAME = 28


def write_plots(stats: Stats, out: Path, *, overwrite: bool = False) -> list[Path]:
    """Write class-counts.png, defect-areas.png, defect-boxes.png and image-sizes.png.

    Returns:
        The files written; without a defect those about defects are skipped.

    Raises:
        OutputError: The folder is not empty, or cannot be written.
        UsageError: The folder overlaps the data set.
    """
    check_apart(out, stats.root)
    found: list[tuple[str, Callable[[Stats], Figure]]] = [("class-counts.png", class_counts)]
    if any(each.instances for each in stats.defects):
        found += [("defect-areas.png", defect_areas), ("defect-boxes.png", defect_boxes)]
    found.append(("image-sizes.png", image_sizes))
    with fresh_folder(out, overwrite=overwrite) as folder:
        for name, draw in found:
            (folder / name).write_bytes(plots.to_png(plots.styled(draw)(stats)))
    return [out / name for name, _ in found]


def _figure(rows: float) -> tuple[Figure, Axes]:
    """A figure whose height suits the number of rows."""
    # Many rows are closer together.
    return _sized(1.4 + min(rows, 30) * 0.42 + min(max(rows - 30, 0), 170) * 0.22)


def _sized(height: float) -> tuple[Figure, Axes]:
    """A figure laid out so that no label is cut off, also beside a fixed aspect and a legend outside."""
    figure = plots.figure(8.5, height, layout="compressed")
    return figure, figure.add_subplot()


def _legend(axes: Axes, title: str | None = None) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0, title=title, alignment="left")


def class_counts(stats: Stats) -> Figure:
    """Images per class and side, as bars; on a log axis where the tail is long."""
    sides = list(stats.sides)
    high = 0.8 / max(len(sides), 1)
    figure, axes = _figure(len(stats.classes) * (1 if len(sides) == 1 else 0.55 * len(sides)) + 1)
    log = (stats.imbalance or 1) >= _LONG_TAIL
    most = max((max(each.sides.values(), default=0) for each in stats.classes), default=1)
    for number, side in enumerate(sides):
        counts = [each.sides[side] for each in stats.classes]
        rows = np.arange(len(counts)) + (number - (len(sides) - 1) / 2) * high
        axes.barh(rows, counts, height=high * 0.9, color=_SIDE_COLORS[side], label=side)
        for row, count in zip(rows.tolist(), counts, strict=True):
            # On a log axis nothing stands for 0, so the number says it.
            place = max(count, 1) if log else count
            axes.annotate(str(count), (place, row), (4, 0), textcoords="offset points", va="center", fontsize=8)
    _name_rows(axes, [_short(each.name) for each in stats.classes])
    axes.set_xlabel("images (log scale)" if log else "images")
    if log:
        axes.set_xscale("log")
        axes.set_xlim(0.8, most * 2)
        _plain_log(axes.xaxis)
    else:
        axes.set_xlim(0, most * 1.12)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    split = "" if stats.split is None else f", split {stats.split}"
    axes.set_title(f"{_short(stats.name)}: images of each class{split}")
    if len(sides) > 1:
        _legend(axes)
    return figure


def defect_areas(stats: Stats) -> Figure:
    """The areas of the instances of each defect type: a dot each, and a box plot."""
    found = _by_type(stats)
    names = list(found)
    figure, axes = _figure(len(names) + 1)
    areas = [np.array([instance.area_px for instance in found[name]], np.float64) for name in names]
    # A fixed seed: the jitter only keeps dots apart.
    jitter = np.random.default_rng(np.random.SeedSequence(0))
    for row, (values, (color, _)) in enumerate(zip(areas, _styles(len(names)), strict=True)):
        spread = row + jitter.uniform(-0.25, 0.25, len(values))
        axes.plot(values, spread, ".", color=color, markersize=7, alpha=0.6, markeredgewidth=0, zorder=3)
        low, lower, median, upper, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
        axes.hlines(row, low, lower, color="black", linewidth=1)
        axes.hlines(row, upper, high, color="black", linewidth=1)
        axes.add_patch(Rectangle((lower, row - 0.3), upper - lower, 0.6, fill=False, edgecolor="black"))
        axes.vlines(median, row - 0.3, row + 0.3, color="black", linewidth=2.5)
    _name_rows(axes, [f"{_short(name)} ({len(found[name])})" for name in names])
    _log_range(axes, "x", np.concatenate(areas))
    axes.set_xlabel("area of an instance, px (log scale); box: quartiles, thick: median, thin: range")
    axes.set_title(f"{_short(stats.name)}: defect areas of each type (instances)")
    return figure


def defect_boxes(stats: Stats) -> Figure:
    """Widths and heights of the bounding boxes of the instances."""
    found = _by_type(stats)
    figure, axes = _sized(6)
    # More types than a legend can hold: those with fewest instances share one entry, and lie below the others.
    named = sorted(found, key=lambda name: -len(found[name]))[:_MOST_NAMED]
    others = [instance for name in found if name not in named for instance in found[name]]
    if others:
        label = f"{len(found) - len(named)} more types ({len(others)})"
        _boxes(axes, others, "#999999", ".", label)
    in_order = [name for name in found if name in named]
    for name, (color, marker) in zip(in_order, _styles(len(named)), strict=True):
        _boxes(axes, found[name], color, marker, f"{_short(name)} ({len(found[name])})")
    every = np.array([side for each in found.values() for i in each for side in (i.width_px, i.height_px)], np.float64)
    for which in ("x", "y"):
        _log_range(axes, which, every)
    axes.set_aspect("equal")
    low, high = axes.get_xlim()
    axes.plot([low, high], [low, high], color="#999999", linewidth=0.8, zorder=0)
    axes.set_xlabel("width of the bounding box, px (log scale)")
    axes.set_ylabel("height, px (log scale)")
    axes.set_title(f"{_short(stats.name)}: sizes of defects; on the gray line: width equals height")
    _legend(axes, "type (instances)")
    return figure


def _boxes(axes: Axes, instances: Sequence[InstanceSize], color: str, marker: str, label: str) -> None:
    """One dot per instance: hollow, so that one type does not hide another."""
    widths = [instance.width_px for instance in instances]
    heights = [instance.height_px for instance in instances]
    axes.plot(
        widths,
        heights,
        marker,
        markersize=6,
        markerfacecolor="none",
        markeredgecolor=color,
        alpha=0.9,
        # matplotlib omits labels from the legend that begin with an underscore.
        label=f" {label}" if label.startswith("_") else label,
    )


def image_sizes(stats: Stats) -> Figure:
    """Widths and heights of the images: few sizes by name, many as dots whose area grows with the number of images."""
    figure, axes = _sized(6)
    sizes = np.array(stats.image_sizes, np.float64).reshape(-1, 3)
    widths, heights, counts = sizes[:, 0], sizes[:, 1], sizes[:, 2]
    top = max(widths.max(initial=1), heights.max(initial=1)) * 1.15
    axes.plot([0, top], [0, top], color="#999999", linewidth=0.8, zorder=0)
    if len(sizes) <= _FEW_SIZES:
        for (width, height, count), (color, marker) in zip(stats.image_sizes, _styles(len(sizes)), strict=True):
            axes.plot(width, height, marker, color=color, markersize=8, label=f"{width}x{height}: {count}")
        if len(sizes):
            _legend(axes, "size: images")
        title = f"{_short(stats.name)}: image sizes"
    else:
        shares = (counts - 1) / max(counts.max() - 1, 1)
        axes.scatter(widths, heights, s=16 + 180 * shares, alpha=0.45, color=SERIES[0], lw=0)
        title = f"{_short(stats.name)}: {len(sizes)} sizes of {stats.images} images; larger dots: more images"
    axes.set(xlim=(0, top), ylim=(0, top), aspect="equal")
    axes.set_xlabel("image width, px; on the gray line: width equals height")
    axes.set_ylabel("image height, px")
    axes.set_title(title)
    return figure


def _by_type(stats: Stats) -> dict[str, list[InstanceSize]]:
    found: dict[str, list[InstanceSize]] = {each.name: [] for each in stats.defects if each.instances}
    for image in stats.measured:
        for instance in image.instances:
            found[instance.class_name].append(instance)
    return found


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _log_range(axes: Axes, which: str, values: np.typing.NDArray[np.float64]) -> None:
    """A log axis around the values, wide enough that it shows at least two labeled ticks."""
    low, high = float(values.min()), float(values.max())
    if high / low < 10:
        middle = math.sqrt(low * high)
        low, high = middle / 4, middle * 4
    low, high = low / 1.4, high * 1.4
    axes.set(**{f"{which}scale": "log", f"{which}lim": (low, high)})
    _plain_log(axes.xaxis if which == "x" else axes.yaxis)


def _plain_log(axis: Axis) -> None:
    """Ticks of a log axis as plain numbers: at 1, 2 and 5 where there is room, else at powers of ten."""
    low, high = axis.get_view_interval()
    steps = (1.0,) if math.log10(high / low) > 3 else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(10, subs=steps))
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:,.0f}".replace(",", " ") if value >= 1 else f"{value:g}")
    )
    axis.set_minor_formatter(NullFormatter())


def _styles(count: int) -> list[tuple[str, str]]:
    # With more types than colors, a color is used again with another marker.
    size = len(SERIES)
    return [(SERIES[n % size], _MARKERS[(n + n // size) % len(_MARKERS)]) for n in range(count)]


def _short(name: str) -> str:
    return name if len(name) <= _MOST_NAME else name[: _MOST_NAME - 1] + "…"
