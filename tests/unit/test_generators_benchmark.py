"""What the benchmark of the learned recipes counts, and what it says of the limits."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "generators.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generators_benchmark", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_operations_are_those_of_a_product_and_its_gradients(benchmark: ModuleType) -> None:
    a, b = torch.ones(8, 16, requires_grad=True), torch.ones(16, 4, requires_grad=True)
    assert benchmark.operations(lambda: a @ b) == 2 * 8 * 16 * 4
    assert benchmark.operations(lambda: (a @ b).sum().backward()) == 3 * 2 * 8 * 16 * 4


def test_the_rate_is_that_of_a_matrix_product(benchmark: ModuleType) -> None:
    rate = benchmark.matrix_rate(torch.device("cpu"), torch.float32, seconds=0.01)
    assert 1e8 < rate < 1e14


def test_steps_are_spread_over_the_whole_fit(benchmark: ModuleType) -> None:
    assert benchmark.spread(101, 5) == [0, 25, 50, 75, 100]
    assert benchmark.spread(3, 10) == [0, 1, 2]


@pytest.mark.parametrize(("step_s", "image_s", "said"), [(1.0, 1.9, ["yes", "yes"]), (1.3, 2.0, ["no", "no"])])
def test_limits_are_judged_by_what_was_measured(
    benchmark: ModuleType, step_s: float, image_s: float, said: list[str]
) -> None:
    row: dict[str, Any] = {
        "recipe": "one", "parameters": 2_500_000, "step_s": step_s, "step_gflop": 10.0, "rate_gflops": 100.0,
        "step_of_floor": step_s * 10, "steps": 1500, "fit_s": step_s * 1500, "peak_mib": 900.0,
        "image_s": image_s, "image_gflop": 1.0, "image_rate_gflops": 10.0, "image_of_floor": image_s * 10,
        "usable": 3, "draws": 4,
    }  # fmt: skip
    cells = [line.split("|") for line in benchmark.table([row], "cpu").splitlines() if line.startswith("| one")]
    assert [cells[0][8].strip(), cells[1][5].strip()] == said
    assert cells[0][5].strip() == f"{step_s * 10:.1f}"
