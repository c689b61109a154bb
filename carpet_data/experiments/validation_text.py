"""What a validation would do and what it found, as the lines of a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from carpet_data.core.text import counted

if TYPE_CHECKING:
    from carpet_data.experiments.validate import PlannedRuns
    from carpet_data.reporting.pages import ComparisonMetrics

__all__ = ["metrics_lines", "plan_lines"]

_MOST_NAMES = 6


def plan_lines(plan: Sequence[PlannedRuns]) -> list[str]:
    """What would be trained on what; partitions with equal counts are listed once."""
    rows: dict[str, list[tuple[str, int, int, int]]] = {}
    for each in plan:
        rows.setdefault(each.partition, []).append(
            (each.condition, each.real_images, each.synthetic_images, each.test_images)
        )
    numbers = {partition: number for number, partition in enumerate(rows)}
    alike: dict[tuple[tuple[str, int, int, int], ...], list[str]] = {}
    for partition, those in rows.items():
        alike.setdefault(tuple(those), []).append(partition)
    width = max(len("condition"), *(len(each.condition) for each in plan))
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
    return f"{counted(len(partitions), 'partition')}, such as {', '.join(names[:_MOST_NAMES])}"


def metrics_lines(found: ComparisonMetrics) -> list[str]:
    """The metrics of every condition."""
    width = max(len("condition"), *map(len, found.conditions))
    lines = [f"{'condition':{width}}  balanced accuracy (95 %)    macro F1  recall of good"]
    for name, row in found.conditions.items():
        score, good = row.balanced_accuracy, row.recalls.get("good")
        interval = "no interval" if score.interval is None else score.interval.text()
        recall = "-" if good is None or good.value is None else f"{good.value:.3f}"
        text = f"{score.value:.3f} ({interval})"
        lines.append(f"{name:{width}}  {text:24}    {row.macro_f1.value:8.3f}  {recall:>14}")
    return lines
