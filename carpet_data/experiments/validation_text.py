"""What a validation would do and what it found, as the lines of a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from carpet_data.experiments.comparison import Comparison

__all__ = ["figure_lines", "plan_lines"]

Row: TypeAlias = tuple[str, int, int, int]

_MOST_NAMES = 6


def plan_lines(plan: Sequence[tuple[str, str, int, int, int]]) -> list[str]:
    """What would be trained on what; partitions with equal counts are told once, however many they are.

    Args:
        plan: (partition, condition, real train images, synthetic train images, test images) of every training.
    """
    rows: dict[str, list[Row]] = {}
    for partition, condition, real, made, test in plan:
        rows.setdefault(partition, []).append((condition, real, made, test))
    numbers = {partition: number for number, partition in enumerate(rows)}
    alike: dict[tuple[Row, ...], list[str]] = {}
    for partition, those in rows.items():
        alike.setdefault(tuple(those), []).append(partition)
    width = max(len("condition"), *(len(condition) for _, condition, *_ in plan))
    lines = [f"  {'condition':{width}}    real  synthetic    test"]
    for same, partitions in alike.items():
        lines.append(f"{_named(partitions, numbers)}:")
        lines += [f"  {name:{width}}  {real:6}  {made:9}  {test:6}" for name, real, made, test in same]
    return lines


def _named(partitions: Sequence[str], numbers: dict[str, int]) -> str:
    """Names of partitions in their order: three and more in a row by the first and the last."""
    runs: list[list[str]] = []
    for partition in partitions:
        if runs and numbers[partition] == numbers[runs[-1][-1]] + 1:
            runs[-1].append(partition)
        else:
            runs.append([partition])
    names = [name for run in runs for name in ([f"{run[0]} … {run[-1]}"] if len(run) > 2 else run)]
    if len(names) <= _MOST_NAMES:
        return ", ".join(names)
    return f"{len(partitions)} partitions, such as {', '.join(names[:_MOST_NAMES])}"


def figure_lines(comparison: Comparison) -> list[str]:
    """The figures of every condition."""
    width = max(len("condition"), *(len(row.name) for row in comparison.rows))
    lines = [f"{'condition':{width}}  balanced accuracy (95 %)    macro F1  recall of good"]
    for row in comparison.rows:
        interval = row.balanced_accuracy.interval
        ends = "no interval" if interval is None else f"{interval.low:.3f} to {interval.high:.3f}"
        good = row.recalls.get("good")
        shown = "-" if good is None or good.value is None else f"{good.value:.3f}"
        figure = f"{row.balanced_accuracy.value:.3f} ({ends})"
        lines.append(f"{row.name:{width}}  {figure:24}    {row.macro_f1.value:8.3f}  {shown:>14}")
    return lines
