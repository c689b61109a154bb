"""Charts of the HTML pages as plain geometry: the templates draw them as SVG and CSS in the page's own colours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carpet_data.reporting.pages import Condition, Estimate
from carpet_data.reporting.series import Line, averaged

__all__ = ["Chart", "ConfusionTable", "Curve", "Forest", "ForestRow", "Tick", "confusion_table", "curves", "forest"]

SERIES = 8
"""The page's style sheet has so many colours for lines."""

_WIDTH, _HEIGHT = 400, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 8, 10, 26
_MOST_POINTS = 120
_FLAT = 1e-9
"""Figures that differ by less are drawn as equal ones."""
_MOST_LYING, _LONGEST_LYING = 8, 12


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis, in the chart's own units (percent in a forest), and what it says."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Curve:
    """A line: its points as SVG takes them, its name, the number of its colour."""

    points: str
    name: str
    series: int
    dashed: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """Learning curves of one measure.

    Attributes:
        title: Such as "Loss".
        lines: In the order of the legend.
        x_ticks: Epochs.
        y_ticks: Values.
        summary: What it shows in words, for those who do not see it.
        single: The one place where there is only one epoch, so that a dot is drawn instead of a line.
    """

    title: str
    lines: tuple[Curve, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    summary: str
    single: bool
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _WIDTH - _RIGHT
    bottom: int = _HEIGHT - _BOTTOM

    @property
    def count(self) -> int:
        """Lines in it."""
        return len(self.lines)


def curves(history: Sequence[Mapping[str, Any]]) -> tuple[Chart, ...]:
    """Loss and accuracy of a history (see `plots.curves`); a measure without a figure is left out."""
    charts = (_chart(measure, averaged(history, measure)) for measure in ("loss", "accuracy"))
    return tuple(chart for chart in charts if chart is not None)


def _chart(measure: str, lines: Sequence[Line]) -> Chart | None:
    if not lines:
        return None
    first = min(line.epochs[0] for line in lines)
    last = max(line.epochs[-1] for line in lines)
    largest = max(max(line.values) for line in lines)
    top = 1.0 if measure == "accuracy" or largest < _FLAT else largest
    y_values = _round_values(0, top, 5)
    top = max(top, y_values[-1])
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def x(epoch: float) -> float:
        return _LEFT + wide * ((epoch - first) / (last - first) if last > first else 0.5)

    def y(value: float) -> float:
        return _TOP + high * (1 - value / top)

    conditions = list(dict.fromkeys(line.condition for line in lines))
    several = len(conditions) > 1
    drawn = []
    for line in lines:
        step = max(1, len(line.epochs) // _MOST_POINTS)
        places = [*range(0, len(line.epochs) - 1, step), len(line.epochs) - 1]
        points = " ".join(f"{x(line.epochs[at]):.1f},{y(line.values[at]):.1f}" for at in places)
        number = conditions.index(line.condition) if several else int(line.side == "val")
        name = f"{line.condition}, {line.side}" if line.condition else line.side
        drawn.append(Curve(points, name, number % SERIES, several and line.side == "train"))
    ends = "; ".join(
        f"{d.name} {line.values[0]:.3f} to {line.values[-1]:.3f}" for d, line in zip(drawn, lines, strict=True)
    )
    epochs = sorted({first, last, *(int(value) for value in _round_values(first, last, 5) if first <= value <= last)})
    # A round number right beside the last epoch would be written over it.
    epochs = [each for each in epochs if each in (first, last) or min(x(last) - x(each), x(each) - x(first)) > 28]
    return Chart(
        title=measure.capitalize(),
        lines=tuple(drawn),
        x_ticks=tuple(Tick(x(each), str(each)) for each in epochs),
        y_ticks=tuple(Tick(y(value), f"{value:g}") for value in y_values),
        summary=f"{measure.capitalize()} over epochs {first} to {last}: {ends}.",
        single=first == last,
    )


def _round_values(low: float, high: float, about: int) -> list[float]:
    """Round numbers from the first that is not below `low` to the first that is not below `high`."""
    if high - low < _FLAT:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    return [number * step for number in range(math.ceil(low / step - 1e-9), math.ceil(high / step - 1e-9) + 1)]


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One condition: where its figures lie on the axis, in percent of its length."""

    condition: Condition
    series: int
    value: float | None
    low: float | None
    high: float | None
    points: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Forest:
    """Balanced accuracies of the conditions on one axis.

    Attributes:
        rows: The conditions.
        ticks: Of the axis.
        baseline: Where the baseline's figure lies; None without one.
    """

    rows: tuple[ForestRow, ...]
    ticks: tuple[Tick, ...]
    baseline: float | None


def forest(conditions: Sequence[Condition]) -> Forest:
    """Lay out the conditions; the axis spans what there is to show, not always 0 to 1."""
    found = [
        value
        for each in conditions
        for value in (*_parts(each.balanced_accuracy), *(point.value for point in each.points))
        if value is not None and math.isfinite(value)
    ]
    low, high = (min(found), max(found)) if found else (0.0, 1.0)
    room = max(0.02, 0.06 * (high - low))
    low, high = max(0.0, low - room), min(1.0, high + room)

    def at(value: float | None) -> float | None:
        return None if value is None else round(100 * (value - low) / (high - low), 2)

    rows = []
    for number, each in enumerate(conditions):
        value, lower, upper = _parts(each.balanced_accuracy)
        points = tuple(place for point in each.points if (place := at(point.value)) is not None)
        rows.append(ForestRow(each, number % SERIES, at(value), at(lower), at(upper), points))
    ticks = tuple(
        Tick(place, f"{value:g}")
        for value in _round_values(low, high, 4)
        if low <= value <= high and (place := at(value)) is not None
    )
    return Forest(tuple(rows), ticks, next((row.value for row in rows if row.condition.baseline), None))


def _parts(estimate: Estimate) -> tuple[float | None, float | None, float | None]:
    return estimate.value, estimate.low, estimate.high


@dataclass(frozen=True, slots=True)
class ConfusionTable:
    """Counts with the share of each in its row.

    Attributes:
        title: Such as the condition.
        classes: Their names.
        rows: (class, images of it, recall or None, (count, share 0 … 1) of each predicted class).
    """

    title: str
    classes: tuple[str, ...]
    rows: tuple[tuple[str, int, float | None, tuple[tuple[int, float], ...]], ...]

    @property
    def upright(self) -> bool:
        """Whether the names over the columns stand upright, since they would make the columns too wide."""
        return len(self.classes) > _MOST_LYING or max(map(len, self.classes), default=0) > _LONGEST_LYING


def confusion_table(matrix: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> ConfusionTable:
    """Counts (k, k), rows the truth, for the page."""
    rows = []
    for number, (name, counts) in enumerate(zip(classes, matrix, strict=True)):
        images = sum(counts)
        cells = tuple((int(count), count / images if images else 0.0) for count in counts)
        rows.append((name, int(images), counts[number] / images if images else None, cells))
    return ConfusionTable(title, tuple(classes), tuple(rows))
