"""The tables of benchmarks/EVIDENCE.md are those of the metrics kept beside it."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEPT = sorted((ROOT / "benchmarks" / "evidence").glob("*.json"))


@pytest.fixture(scope="module")
def evidence() -> Iterator[ModuleType]:
    # What a script imports from beside itself is found there.
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield _loaded("evidence")
    sys.path.remove(str(ROOT / "benchmarks"))


def _loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{name}_benchmark", ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_the_page_shows_the_metrics_kept(path: Path, evidence: ModuleType) -> None:
    page = (ROOT / "benchmarks" / "EVIDENCE.md").read_text(encoding="utf-8")
    shown = page.split(f"<!-- table: {path.stem} -->")[1].split(f"<!-- end: {path.stem} -->")[0]
    values = json.loads(path.read_text(encoding="utf-8"))
    assert shown.strip() == evidence.table(values)
    if path.stem.startswith("dense-"):
        case = _loaded("dense").CASES[path.stem.removeprefix("dense-")]
        assert values["title"] == case.protocol.title
    elif path.stem.startswith("anomaly-"):
        assert values["title"] == _loaded("anomaly").title(path.stem.removeprefix("anomaly-"))
    else:
        assert values["title"] == evidence.PROTOCOLS[path.stem].title


def test_the_headline_protocols_have_metrics() -> None:
    assert {"mtd-longtail", "screw-third", "carpet-1-shot", "carpet-2-shot"} <= {path.stem for path in KEPT}


def _estimate(value: float | None) -> dict[str, object]:
    return {"value": value, "interval": None if value is None else {"low": value - 0.1, "high": value + 0.1}}


def test_the_table_of_the_dense_head_sets_it_against_the_linear_one(evidence: ModuleType) -> None:
    names = ("linear head", "real + augmentation + balancing")

    def task(score: str, first: float | None, second: float | None) -> dict[str, object]:
        test = {
            "statistic": score,
            "difference": 0.125,
            "interval": {"low": 0.0625, "high": 0.25},
            "p_value": 0.03125,
        }
        conditions = {
            name: {"scores": {score: _estimate(value)}} for name, value in zip(names, (first, second), strict=True)
        }
        return {"conditions": conditions, "contrasts": [{"paired": [] if second is None else [test]}]}

    share = {"right": 3, "images": 4, "low": 0.25, "high": 0.875}
    values = {
        "title": "made up",
        "seeds": 2,
        "chosen": {"turn0": {"settings": {"scale": 1.5, "strides": [8, 16]}, "notes": []}},
        "tasks": {
            "segment": task("pixel AP", 0.5, 0.625),
            "detect": task("AP50", None, None),
            "anomaly": task("image AUROC", 0.75, 0.875),
            "classify": task("balanced accuracy", 0.25, 0.5),
        },
        "whole_image": {
            "test_units": {"hole": 2},
            "conditions": {names[1]: {"scores": {"balanced accuracy": _estimate(0.375)}}},
        },
        "dense_against_whole_image": [],
        "type_accuracy": {"whole image": share, "linear head": share, "dense head": {**share, "images": 0}},
    }
    lines = evidence.table(values).splitlines()
    assert (
        "| pixel AP | | 0.500 (0.400 to 0.600) | 0.625 (0.525 to 0.725) | +0.125 (+0.062 to +0.250) | 0.0312 |" in lines
    )
    assert not any(line.startswith("| AP50") for line in lines)
    assert any(line.startswith("| balanced accuracy | 0.375 (0.275 to 0.475) | 0.250") for line in lines)
    assert "| type accuracy | 0.750 (0.250 to 0.875) | 0.750 (0.250 to 0.875) | – | | |" in lines
    assert "- Chosen in turn0: scale 1.5, strides 8,16" in lines
