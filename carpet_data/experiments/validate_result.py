"""What a validation would do and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from carpet_data.core.results import Result
from carpet_data.core.text import counted, duration
from carpet_data.metrics.outlook import Outlook
from carpet_data.reporting.pages import LEARNERS, TASKS, Check, ComparisonMetrics, Verdict

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
        task: What the verdict is about; see `ValidateOptions`.
        architecture: The network of the whole-image classifier, the same for all conditions.
        weights: Its initial weights: "none" or a name.
        plan: Every condition on every partition.
        seeds: Training runs of each of them.
        steps: Optimizer steps of each training run.
        outlook: Which verdict the test images allow.
        verdicts: One per comparison and recipe, those asked for first; without recipes on the data set's own synthetic
            images.
        comparisons: All metrics, one comparison per task and kind of model, the one asked for first.
        checks: Name of the synthetic images -> the shortcut check on them.
        notes: What the user should know.
        seconds: The run took; for a resumed one, its last part.
        resumed: Whether an interrupted run was resumed.
        dry_run: Nothing was trained or written.
        learners: The kinds of model: "dense", "classifier".
        trainings: Number of training runs of all kinds of model, conditions, partitions and seeds.
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
    comparisons: tuple[ComparisonMetrics, ...]
    checks: Mapping[str, tuple[Check, ...]]
    notes: tuple[str, ...]
    seconds: float
    resumed: bool = False
    dry_run: bool = False
    task: str = "classify"
    learners: tuple[str, ...] = ("classifier",)
    trainings: int = 0

    @property
    def metrics(self) -> ComparisonMetrics | None:
        """The comparison that was asked for; None for a dry run."""
        return self.comparisons[0] if self.comparisons else None

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
            *(_metrics_lines(self.comparisons) if self.comparisons else _plan_lines(self.plan)),
            "",
            *(f"note: {note}" for note in self.notes),
        ]
        for pool, checks in self.checks.items():
            lines += [f"shortcut in {pool}: {check.detail}" for check in checks if check.result == "flagged"]
        for verdict in self.verdicts:
            title = f"{TASKS[verdict.task]}, {LEARNERS[verdict.learner]}: " if len(self.comparisons) > 1 else ""
            lines.append(f"{title}{verdict.sentence}")
        if self.run is None:
            lines += self.outlook.text()
            lines.append(f"dry run: {self.trainings} training runs on {self.root}")
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


def _metrics_lines(comparisons: Sequence[ComparisonMetrics]) -> list[str]:
    """The metrics of every condition, one table per comparison."""
    lines: list[str] = []
    for found in comparisons:
        if len(comparisons) > 1:
            lines += ["", found.title] if lines else [found.title]
        lines += _table(found)
    return lines


def _table(found: ComparisonMetrics) -> list[str]:
    """The first score with its interval, and the others without."""
    width = max(len("condition"), *map(len, found.conditions))
    first, *others = found.names
    head = f"{first} (95 %)"
    lines = ["  ".join([f"{'condition':{width}}", f"{head:24}", *(f"{name:>8}" for name in others)])]
    for name, row in found.conditions.items():
        score = row.first
        interval = "no interval" if score.interval is None else score.interval.text()
        text = "-" if score.value is None else f"{score.value:.3f} ({interval})"
        cells = [f"{name:{width}}", f"{text:{max(24, len(head))}}"]
        for other in others:
            value = row.scores[other].value if other in row.scores else None
            cells.append(f"{'-' if value is None else f'{value:.3f}':>{max(8, len(other))}}")
        lines.append("  ".join(cells))
    return lines
