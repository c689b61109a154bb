"""What a validation would do and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from carpet_data.core.results import Result
from carpet_data.core.text import counted, duration
from carpet_data.metrics.outlook import Outlook
from carpet_data.reporting.pages import Check, ComparisonMetrics, Verdict

__all__ = ["PlannedRuns", "ValidateResult"]

_MOST_NAMES = 6


@dataclass(frozen=True, slots=True)
class PlannedRuns(Result):
    """One condition on one partition: the number of images it trains on and is tested on."""

    partition: str
    condition: str
    real_images: int
    synthetic_images: int
    test_images: int


@dataclass(frozen=True, slots=True)
class ValidateResult(Result):
    """What a validation found, or with dry_run would do.

    Attributes:
        root: The prepared folder.
        name: The data set's name.
        split: The split that was used, or whose fractions the partitions have.
        run: The run folder; None for a dry run.
        report: The page for people; None for a dry run.
        architecture: The network that all conditions train.
        weights: Its initial weights: "none" or a name.
        plan: Every condition on every partition.
        seeds: Training runs of each of them.
        steps: Optimizer steps of each training run.
        outlook: Which verdict the test images allow.
        verdicts: One per recipe, or the one on the data set's own synthetic images.
        comparison: All metrics; None for a dry run.
        checks: Name of the synthetic images -> the shortcut check on them.
        notes: What the user should know.
        seconds: The run took; for a resumed one, its last part.
        resumed: Whether an interrupted run was resumed.
        dry_run: Nothing was trained or written.
    """

    root: Path
    name: str
    split: str
    run: Path | None
    report: Path | None
    architecture: str
    weights: str
    plan: tuple[PlannedRuns, ...]
    seeds: int
    steps: int
    outlook: Outlook
    verdicts: tuple[Verdict, ...]
    comparison: ComparisonMetrics | None
    checks: Mapping[str, tuple[Check, ...]]
    notes: tuple[str, ...]
    seconds: float
    resumed: bool = False
    dry_run: bool = False

    @property
    def metrics(self) -> ComparisonMetrics | None:
        """All metrics; None for a dry run."""
        return self.comparison

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on the first condition that was judged; None for a dry run."""
        return self.verdicts[0] if self.verdicts else None

    def text(self) -> str:
        """The result for people."""
        partitions = counted(len({each.partition for each in self.plan}), "partition")
        lines = [
            f"{self.name}, split {self.split}: {partitions}, {counted(self.seeds, 'seed')}, {self.steps} steps per run",
            f"network {self.architecture}, {'random weights' if self.weights == 'none' else f'weights {self.weights}'}",
            "",
            *(_plan_lines(self.plan) if self.comparison is None else _metrics_lines(self.comparison)),
            "",
            *(f"note: {note}" for note in self.notes),
        ]
        for pool, checks in self.checks.items():
            lines += [f"shortcut in {pool}: {check.detail}" for check in checks if check.result == "flagged"]
        lines += [verdict.sentence for verdict in self.verdicts]
        if self.run is None:
            lines += self.outlook.text()
            lines.append(f"dry run: {len(self.plan) * self.seeds} training runs on {self.root}")
        else:
            lines += [f"took {duration(self.seconds)}", f"report {self.report}"]
        return "\n".join(lines)


def _plan_lines(plan: Sequence[PlannedRuns]) -> list[str]:
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


def _metrics_lines(found: ComparisonMetrics) -> list[str]:
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
