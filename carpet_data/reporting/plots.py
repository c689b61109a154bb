"""Plots of trained classifiers as PNG: learning curves, confusion, recall of each class, conditions side by side.

One figure a call, drawn without a window and without the clock: equal figures give equal bytes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from carpet_data.core.colors import SERIES
from carpet_data.core.plot_style import STYLE
from carpet_data.reporting.series import averaged
from carpet_data.reporting.texts import shortened
from carpet_data.store.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from carpet_data.reporting.pages import Condition, Estimate

__all__ = ["accuracies", "comparison", "confusion", "curves", "recalls"]

_DPI = 120
_INK, _GRID = "#444444", "#dddddd"
_MOST_COUNTED = 20
_MOST_NAME = 28


def curves(history: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Loss and accuracy of each epoch.

    Args:
        history: One mapping an epoch with `epoch` and any of `train_loss`, `val_loss`, `train_accuracy`,
            `val_accuracy` (None where it was not measured). With `condition` in them, one line a condition, the mean
            over its trainings.
        path: The PNG; replaced where it is there.

    Returns:
        The file.
    """
    return _save(path, lambda: _curves(history))


def confusion(matrix: ArrayLike, classes: Sequence[str], path: Path, *, title: str = "") -> Path:
    """A confusion table: rows are the truth, shaded by the share of their row.

    Args:
        matrix: Counts (k, k).
        classes: k names.
        path: The PNG; replaced where it is there.
        title: Such as the condition.

    Returns:
        The file.
    """
    return _save(path, lambda: _confusion(np.asarray(matrix, np.int64), classes, title))


def recalls(rows: Sequence[Condition], path: Path) -> Path:
    """Recall of each class with its interval, the conditions side by side.

    Args:
        rows: The conditions.
        path: The PNG; replaced where it is there.

    Returns:
        The file.
    """
    return _save(path, lambda: _recalls(rows))


def comparison(rows: Sequence[Condition], path: Path) -> Path:
    """Balanced accuracy of each condition with its interval, and every trained classifier as a point.

    Args:
        rows: The conditions.
        path: The PNG; replaced where it is there.

    Returns:
        The file.
    """
    return _save(path, lambda: _comparison(rows))


def _save(path: Path, draw: Callable[[], Figure]) -> Path:
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; that is no problem of the data.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        # No clock and no version in the file: equal data give equal bytes.
        draw().savefig(buffer, format="png", metadata={"Software": None})
    write_bytes(path, buffer.getvalue())
    return path


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=_DPI)
    # Unlike "tight", this one makes room for long names and for a legend outside the axes.
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.08)
    return figure


def _colour(number: int) -> str:
    return SERIES[number % len(SERIES)]


def _label(text: str, length: int = _MOST_NAME) -> str:
    """A name for an axis or a legend; matplotlib leaves labels out of a legend that begin with an underscore."""
    short = shortened(text, length)
    return f" {short}" if short.startswith("_") else short


def _curves(history: Sequence[Mapping[str, Any]]) -> Figure:
    figure = _figure(9.5, 3.8)
    for axes, measure in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        lines = averaged(history, measure)
        conditions = list(dict.fromkeys(line.condition for line in lines))
        for line in lines:
            # One training: a colour a side. Several conditions: a colour each, train dashed.
            number = conditions.index(line.condition) if len(conditions) > 1 else int(line.side == "val")
            axes.plot(
                line.epochs,
                line.values,
                color=_colour(number),
                linestyle="--" if line.side == "train" and len(conditions) > 1 else "-",
                linewidth=1.7,
                marker="o" if len(line.epochs) < 2 else "",
                label=_label(line.condition, 30) + (", " if line.condition else "") + line.side,
            )
        axes.set_title(measure.capitalize())
        axes.set_xlabel("epoch")
        axes.grid(color=_GRID, linewidth=0.6)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if measure == "accuracy":
            axes.set_ylim(0, 1.03)
        else:
            axes.set_ylim(bottom=0)
        if not lines:
            axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=_INK)
    handles, labels = max((axes.get_legend_handles_labels() for axes in figure.axes), key=lambda found: len(found[0]))
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(handles)))
    return figure


def _confusion(matrix: NDArray[np.int64], classes: Sequence[str], title: str) -> Figure:
    count = len(classes)
    side = max(2.0, 0.42 * count) if count <= _MOST_COUNTED else 0.26 * count + 3.2
    figure = _figure(side + 3.2, side + 2.0)
    axes = figure.add_subplot()
    axes.set_facecolor("#e4e4e4")
    sums = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, sums, out=np.full(matrix.shape, np.nan), where=sums > 0)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [_label(name, 24) for name in classes]
    axes.set_xticks(range(count), names, rotation=90 if count > 3 else 0)
    axes.set_yticks(range(count), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="minor", length=0)
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth" if sums.all() else "truth (grey: no image)")
    axes.set_title(_label(title, 60) if title else "Confusion: images")
    size = 9 if count <= 12 else 8 if count <= _MOST_COUNTED else 6
    for row, column in np.argwhere(matrix).tolist():
        ink = "white" if shares[row, column] > 0.55 else "#222222"
        text = str(matrix[row, column])
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=size if len(text) < 4 else size - 1)
    bar = figure.colorbar(image, ax=axes, fraction=0.035, pad=0.02, ticks=[0, 0.5, 1], shrink=min(1, 6 / side))
    bar.set_label("share of the row")
    bar.outline.set_visible(False)
    return figure


def _recalls(rows: Sequence[Condition]) -> Figure:
    classes = list(dict.fromkeys(name for row in rows for name in row.recalls))
    pitch = 0.8 / max(len(rows), 1)
    # Many classes lie closer together.
    pitch_inches = max(0.3, (0.17 if len(classes) <= _MOST_COUNTED else 0.12) * len(rows) + 0.12)
    figure = _figure(8.5, 1.5 + 0.11 * len(rows) + max(1, len(classes)) * pitch_inches)
    axes = figure.add_subplot()
    for number, row in enumerate(rows):
        places = [
            (place + (number - (len(rows) - 1) / 2) * pitch, row.recalls[name])
            for place, name in enumerate(classes)
            if name in row.recalls
        ]
        _intervals(axes, places, _colour(number), _label(row.name, 48))
    for place in range(1, len(classes), 2):
        axes.axhspan(place - 0.5, place + 0.5, color="#f4f4f4", zorder=0, linewidth=0)
    _unit_axis(axes, [_label(name) for name in classes])
    axes.set_xlabel("recall; bars: confidence intervals")
    axes.set_title("Recall of each class")
    if len(rows) > 1:
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def _comparison(rows: Sequence[Condition]) -> Figure:
    figure = _figure(8.5, 1.5 + 0.55 * max(1, len(rows)))
    axes = figure.add_subplot()
    partitions = list(dict.fromkeys(point.partition for row in rows for point in row.points))
    for place, row in enumerate(rows):
        values = [point.value for point in row.points]
        # Each partition keeps its height in every condition, so that a pair can be followed by eye.
        spread = 0.5 * (np.array([partitions.index(p.partition) for p in row.points]) + 0.5) / max(1, len(partitions))
        axes.plot(values, place - 0.25 + spread, "o", color=_colour(place), markersize=4, alpha=0.4, markeredgewidth=0)
        _intervals(axes, [(place, row.balanced_accuracy)], _colour(place), "", size=9, line=2.5)
        if row.baseline and row.balanced_accuracy.value is not None:
            axes.axvline(row.balanced_accuracy.value, color="#999999", linewidth=1, linestyle=":", zorder=1)
    _unit_axis(axes, [_label(row.name + (" (baseline)" if row.baseline else ""), 44) for row in rows])
    lows = [value for row in rows for value in (row.balanced_accuracy.low, *(p.value for p in row.points)) if value]
    highs = [value for row in rows for value in (row.balanced_accuracy.high, *(p.value for p in row.points)) if value]
    if lows and highs:
        room = max(0.03, 0.08 * (max(highs) - min(lows)))
        axes.set_xlim(max(-0.01, min(lows) - room), min(1.01, max(highs) + room))
    axes.set_xlabel("balanced accuracy on test; bars: confidence intervals, points: trainings")
    axes.set_title("Conditions")
    return figure


def _intervals(
    axes: Axes, places: Sequence[tuple[float, Estimate]], colour: str, label: str, *, size: float = 6, line: float = 1.6
) -> None:
    for place, estimate in places:
        if estimate.low is not None and estimate.high is not None:
            axes.hlines(place, estimate.low, estimate.high, color=colour, linewidth=line, zorder=3)
    found = [(estimate.value, place) for place, estimate in places if estimate.value is not None]
    axes.plot(
        [value for value, _ in found],
        [place for _, place in found],
        "o",
        color=colour,
        markersize=size,
        markeredgecolor="white",
        markeredgewidth=0.8,
        linestyle="none",
        zorder=4,
        label=label or "_",
    )


def _unit_axis(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(max(1, len(names)) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(-0.02, 1.02)
    axes.grid(axis="x", color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)


def accuracies(
    rows: Sequence[tuple[str, Estimate, Sequence[float]]], path: Path, *, title: str = "", chance: float | None = None
) -> Path:
    """Test accuracy of trainings with their intervals, one below the other.

    Args:
        rows: Name, accuracy with its interval, and the accuracy of each seed where there are several.
        path: The PNG; replaced where it is there.
        title: Such as the data set's name.
        chance: What guessing the commonest class gets; None to leave it out.

    Returns:
        The file.
    """
    return _save(path, lambda: _accuracies(rows, title, chance))


def _accuracies(rows: Sequence[tuple[str, Estimate, Sequence[float]]], title: str, chance: float | None) -> Figure:
    figure = _figure(9, 1.3 + 0.3 * max(1, len(rows)))
    axes = figure.add_subplot()
    for place, (_, estimate, points) in enumerate(rows):
        axes.plot(points, [place] * len(points), "o", color=_INK, markersize=3, alpha=0.5, markeredgewidth=0)
        _intervals(axes, [(place, estimate)], _colour(0), "")
    _unit_axis(axes, [_label(name, 64) for name, _, _ in rows])
    if chance is not None:
        axes.axvline(chance, color="#999999", linewidth=1, linestyle=":", zorder=1)
    guess = "" if chance is None else "; dotted: always the commonest class"
    axes.set_xlabel(f"test accuracy; bars: 95 % intervals{guess}")
    axes.set_title(_label(title, 80))
    return figure
