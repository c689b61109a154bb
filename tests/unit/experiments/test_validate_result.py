"""What a validation would do, in few lines."""

from __future__ import annotations

from pathlib import Path

from carpet_data.experiments.validate_result import PlannedRuns, ValidateResult
from carpet_data.metrics.outlook import Outlook


def plan(real: list[int]) -> list[PlannedRuns]:
    return [
        PlannedRuns(f"partition {number}", name, count, made, 9)
        for number, count in enumerate(real)
        for name, made in (("real-only", 0), ("real + synthetic", 30))
    ]


def plan_lines(plan: list[PlannedRuns]) -> list[str]:
    """What a dry run prints of its plan."""
    result = ValidateResult(
        root=Path("x"),
        name="x",
        split="main",
        run=None,
        report=None,
        architecture="resnet18",
        weights="none",
        plan=tuple(plan),
        seeds=1,
        steps=10,
        outlook=Outlook({"good": 3}, {"good": 6}, verdict=False, detectable=None),
        verdicts=(),
        comparisons=(),
        checks={},
        notes=(),
        seconds=0.0,
        dry_run=True,
    )
    return result.text().split("\n\n")[1].splitlines()


def test_equal_partitions_are_told_once() -> None:
    assert plan_lines(plan([20] * 50)) == [
        "  condition           real  synthetic    test",
        "partition 0 … partition 49:",
        "  real-only             20          0       9",
        "  real + synthetic      20         30       9",
    ]


def test_partitions_that_differ_are_told_apart() -> None:
    lines = plan_lines(plan([20, 21, 20, 21, 21, 21, 22]))
    assert [line for line in lines if line.endswith(":")] == [
        "partition 0, partition 2:",
        "partition 1, partition 3 … partition 5:",
        "partition 6:",
    ]
    assert len(lines) == 1 + 3 * 3


def test_names_of_many_scattered_partitions_are_cut_short() -> None:
    lines = plan_lines(plan([20, 21] * 25))
    names = ", ".join(f"partition {number}" for number in (0, 2, 4, 6, 8, 10))
    assert lines[1] == f"25 partitions, such as {names}:"
    assert len(lines) == 1 + 2 * 3


def test_a_split_keeps_its_name() -> None:
    assert plan_lines([PlannedRuns("main", "real-only", 20, 0, 9)])[1] == "main:"
