"""The figures of trained classifiers: learning curves, confusion, recall of each class, conditions side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from carpet_data.core import plots
from carpet_data.core.plots import color_of
from carpet_data.core.text import shortened
from carpet_data.metrics import Estimate
from carpet_data.store.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from carpet_data.reporting.pages import ConditionMetrics

__all__ = ["accuracies", "comparison", "confusion", "curves", "recalls", "save"]

_WIDTH = 4.8
"""Inches: legible on a phone, where a page shows a figure as wide as its window."""
_MANY = 20


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as a PNG, replacing the file, and return its path."""
    write_bytes(path, plots.to_png(figure))
    return path


@plots.styled
def curves(history: Sequence[Mapping[str, Any]], score: str = "accuracy") -> Figure:
    """Loss and score of each epoch.

    An epoch is a mapping with `epoch` and any of `train_loss`, `val_loss`, `train_accuracy`, `val_accuracy`; None where
    it was not measured. `score` is the name of another score than the accuracy, from 0 to 1.
    """
    figure = plots.figure(_WIDTH, 4.4)
    axes: Axes
    for axes, measure in zip(figure.subplots(2, 1, sharex=True), ("loss", score), strict=True):
        for number, side in enumerate(("train", "val")):
            rows = [(row["epoch"], row.get(f"{side}_{measure}")) for row in history]
            known = [(epoch, value) for epoch, value in rows if value is not None and math.isfinite(value)]
            if known:
                epochs, values = zip(*known, strict=True)
                shape = "o" if len(known) < 2 else "-"
                axes.plot(epochs, values, shape, color=color_of(number), linewidth=1.7, label=side)
        axes.set_title(measure.capitalize())
        axes.grid()
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(0, 1.03 if measure != "loss" else None)
        if axes.lines:
            axes.legend()
        else:
            axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=plots.MUTED)
    axes.set_xlabel("epoch")
    return figure


@plots.styled
def confusion(matrix: ArrayLike, classes: Sequence[str], *, title: str = "") -> Figure:
    """A confusion table from counts (k, k): rows are the truth, shaded by the share of their row."""
    table = np.asarray(matrix, np.int64)
    count = len(classes)
    side = max(1.6, 0.38 * count) if count <= _MANY else 0.26 * count + 2.4
    figure = plots.figure(side + 2.2, side + 1.7)
    axes = figure.add_subplot()
    sums = table.sum(axis=1)
    names = [_label(name, 20) for name in classes]
    axes.set_xticks(range(count), names, rotation=90 if count > 3 else 0)
    axes.set_yticks(range(count), names)
    axes.tick_params(length=0)
    axes.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5), aspect="equal")
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth" if sums.all() else "truth (gray: no image)")
    _title(figure, title or "Confusion: images")
    for row in np.flatnonzero(sums == 0).tolist():
        axes.add_patch(Rectangle((-0.5, row - 0.5), count, 1, facecolor=plots.EMPTY, linewidth=0))
    size = 9 if count <= 12 else 8 if count <= _MANY else 6
    for row, column in np.argwhere(table).tolist():
        share, text = table[row, column] / sums[row], str(table[row, column])
        cell = (column - 0.48, row - 0.48)
        # Pale enough for the numbers to be read, on a light page and on a dark one.
        axes.add_patch(Rectangle(cell, 0.96, 0.96, facecolor=plots.ACCENT, alpha=0.06 + 0.44 * share, linewidth=0))
        axes.text(column, row, text, ha="center", va="center", fontsize=size if len(text) < 4 else size - 1.5)
    for place in range(count):
        cell = (place - 0.48, place - 0.48)
        axes.add_patch(Rectangle(cell, 0.96, 0.96, fill=False, edgecolor=plots.ACCENT, linewidth=0.8))
    return figure


@plots.styled
def recalls(of: Mapping[str, Mapping[str, Estimate]], *, measure: str = "recall") -> Figure:
    """Recall, or another score, of each class with its interval; `of` maps condition -> class -> score."""
    classes = list(dict.fromkeys(name for row in of.values() for name in row))
    pitch = 0.8 / max(len(of), 1)
    # Many classes lie closer together.
    inches = max(0.3, (0.15 if len(classes) <= _MANY else 0.11) * len(of) + 0.12)
    figure = plots.figure(_WIDTH, 1.2 + (0.2 * len(of) if len(of) > 1 else 0) + max(1, len(classes)) * inches)
    axes = figure.add_subplot()
    for number, (condition, row) in enumerate(of.items()):
        shift = (number - (len(of) - 1) / 2) * pitch
        places = [(place + shift, row[name]) for place, name in enumerate(classes) if name in row]
        _intervals(axes, places, color_of(number), _label(condition, 48))
    for place in range(1, len(classes), 2):
        axes.axhspan(place - 0.5, place + 0.5, facecolor=plots.GRID, alpha=0.4, zorder=0, linewidth=0)
    _unit_axis(axes, [_label(name, 20) for name in classes])
    axes.set_xlabel(f"{measure}; bars: 95 % intervals")
    axes.set_title(f"{measure[:1].upper()}{measure[1:]} of each class")
    if len(of) > 1:
        figure.legend(loc="outside upper left")
    return figure


@plots.styled
def comparison(
    conditions: Mapping[str, ConditionMetrics], baseline: str, *, measure: str = "balanced accuracy"
) -> Figure:
    """First score of each condition with its interval, every training run a point, the baseline a dotted line."""
    figure = plots.figure(_WIDTH, 1.0 + 0.5 * max(1, len(conditions)))
    axes = figure.add_subplot()
    partitions = list(dict.fromkeys(name for row in conditions.values() for name, _, _ in row.by_training))
    shown: list[float] = []
    for place, (name, row) in enumerate(conditions.items()):
        score = row.first
        values = [value for _, _, value in row.by_training]
        # Each partition keeps its height in every condition, so that a pair can be followed by eye.
        heights = [place + 0.3 * (partitions.index(p) + 0.5) / len(partitions) - 0.15 for p, _, _ in row.by_training]
        axes.plot(values, heights, "o", color=color_of(place), markersize=4, alpha=0.4, markeredgewidth=0)
        _intervals(axes, [(place, score)], color_of(place), "", size=8, line=2.5)
        text = _label(name + (" (baseline)" if name == baseline else ""), 62)
        axes.text(0, place - 0.28, text, transform=axes.get_yaxis_transform(), fontsize=9, va="center")
        shown += values
        shown += [] if score.interval is None else [score.interval.low, score.interval.high]
        shown += [] if score.value is None else [score.value]
        if name == baseline and score.value is not None:
            axes.axvline(score.value, color=plots.MUTED, linewidth=1, linestyle=":", zorder=1)
    _unit_axis(axes, [""] * len(conditions))
    axes.set_ylim(max(1, len(conditions)) - 0.6, -0.55)
    axes.spines["left"].set_visible(False)
    if shown:
        room = max(0.03, 0.08 * (max(shown) - min(shown)))
        axes.set_xlim(max(-0.01, min(shown) - room), min(1.01, max(shown) + room))
    axes.set_xlabel(f"{measure} on test images")
    axes.set_title("Conditions, with 95 % intervals")
    return figure


@plots.styled
def accuracies(
    rows: Sequence[tuple[str, Estimate, Sequence[float]]], *, title: str = "", chance: float | None = None
) -> Figure:
    """Test accuracy of training runs with their intervals, one below the other.

    A row is a name, the accuracy with its interval, and that of each seed where there are several. `chance` is the
    accuracy of always predicting the most frequent class; None to leave it out.
    """
    figure = plots.figure(9, 1.3 + 0.3 * max(1, len(rows)))
    axes = figure.add_subplot()
    for place, (_, estimate, points) in enumerate(rows):
        axes.plot(points, [place] * len(points), "o", color=plots.MUTED, markersize=3, alpha=0.5, markeredgewidth=0)
        _intervals(axes, [(place, estimate)], color_of(0), "")
    _unit_axis(axes, [_label(name, 64) for name, _, _ in rows])
    if chance is not None:
        axes.axvline(chance, color=plots.MUTED, linewidth=1, linestyle=":", zorder=1)
    guess = "" if chance is None else "\ndotted: always the most frequent class"
    axes.set_xlabel(f"test accuracy with 95 % intervals{guess}")
    _title(figure, title)
    return figure


def _title(figure: Figure, text: str) -> None:
    """A title from the left edge of the figure, since names make its axes narrow."""
    figure.suptitle(_label(text, int(11 * figure.get_figwidth())), x=0.02, ha="left", fontsize=11)


def _label(text: str, length: int) -> str:
    """A name for an axis or a legend; matplotlib leaves labels out of a legend that begin with an underscore."""
    short = shortened(text, length)
    return f" {short}" if short.startswith("_") else short


def _intervals(
    axes: Axes, places: Sequence[tuple[float, Estimate]], color: str, label: str, *, size: float = 6, line: float = 1.6
) -> None:
    for place, estimate in places:
        if estimate.interval is not None:
            axes.hlines(place, estimate.interval.low, estimate.interval.high, color=color, linewidth=line, zorder=3)
    found = [(estimate.value, place) for place, estimate in places if estimate.value is not None]
    edge: Any = {"markeredgecolor": plots.SURFACE, "markeredgewidth": 0.8}
    x, y = [value for value, _ in found], [place for _, place in found]
    axes.plot(x, y, "o", color=color, markersize=size, linestyle="none", zorder=4, label=label or "_", **edge)


def _unit_axis(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(max(1, len(names)) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(-0.02, 1.02)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
