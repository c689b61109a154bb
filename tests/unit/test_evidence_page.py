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
    else:
        assert values["title"] == evidence.PROTOCOLS[path.stem].title


def test_the_headline_protocols_have_metrics() -> None:
    assert {"mtd-longtail", "screw-third", "carpet-1-shot", "carpet-2-shot"} <= {path.stem for path in KEPT}
