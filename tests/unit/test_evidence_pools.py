"""The pools of the evidence benchmark: equal in number, fitted per partition, made once, with a record of each."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from helpers.carpets import prepared_carpet

from carpet_data import store
from carpet_data.dataset import Dataset, Split

BENCHMARKS = str(Path(__file__).resolve().parents[2] / "benchmarks")
TO = 7


@pytest.fixture(scope="module")
def pools() -> Iterator[ModuleType]:
    sys.path.insert(0, BENCHMARKS)
    yield importlib.import_module("evidence_pools")
    sys.path.remove(BENCHMARKS)


@pytest.fixture(scope="module")
def tables(pools: ModuleType) -> ModuleType:
    return importlib.import_module("evidence_tables")


@pytest.fixture(scope="module")
def carpet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Split]:
    dataset = store.read(prepared_carpet(tmp_path_factory.mktemp("carpet"), to=None))
    # One class keeps a single donor: too few to learn from.
    split = dataset.splits["main"]
    holes = [s.id for s in dataset.on_side("train", "main") if s.class_name == "hole"][1:]
    return dataset, replace(split, sides={**split.sides, **dict.fromkeys(holes, "test")})


@pytest.fixture(scope="module")
def work(pools: ModuleType, carpet: tuple[Dataset, Split], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pools, side by side."""
    root = tmp_path_factory.mktemp("work")
    kept = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    pools.prepare([(pool, *carpet) for pool in wanted(pools, root)], 2)
    for name, value in kept.items():
        assert os.environ.get(name) == value, f"{name} must be as it was"
    return root


def wanted(pools: ModuleType, root: Path) -> list[Any]:
    def pool(name: str) -> Any:
        return pools.Pool(name, "main", root / name, ((pools.derived(root, name, 4), TO),), 0, "cpu", True)

    return [pool("donor-paste"), pool("ddpm-inpaint")]


def counts(root: Path) -> dict[str, int]:
    train = store.read(root).on_side("train", "main")
    return {name: sum(s.class_name == name for s in train) for name in ("hole", "thread")}


def test_every_pool_brings_each_class_to_the_same_number(work: Path) -> None:
    assert counts(work / "donor-paste") == counts(work / "ddpm-inpaint") == {"hole": TO, "thread": TO}


def test_a_class_with_too_few_donors_is_made_by_another_recipe_and_that_is_said(
    pools: ModuleType, tables: ModuleType, work: Path
) -> None:
    record = json.loads((work / "ddpm-inpaint.json").read_text())
    assert record["left_out"] == ["hole"]
    made = {
        (s.class_name, s.provenance["method"])
        for s in store.read(work / "ddpm-inpaint")
        if s.origin == "synthetic" and s.provenance is not None
    }
    assert made == {("hole", "donor-paste"), ("thread", "ddpm-inpaint")}
    text = tables.quality_table(pools.summary([record]))
    assert "ddpm-inpaint made no hole in main" in text


def test_a_pool_is_made_once(pools: ModuleType, work: Path, carpet: tuple[Dataset, Split]) -> None:
    for pool in wanted(pools, work):
        before = pool.record.stat().st_mtime_ns
        assert pools.make(pool, *carpet)["images"] > 0
        assert pool.record.stat().st_mtime_ns == before


def test_a_pool_of_another_recipe_is_made_anew(
    pools: ModuleType, carpet: tuple[Dataset, Split], tmp_path: Path
) -> None:
    def pool(recipe: str) -> Any:
        return pools.Pool("one", "main", tmp_path / "one", ((recipe, TO),), 0)

    pools.make(pool("donor-paste"), *carpet, workers=1)
    assert pools.made(pool("augment")) is None
    pools.make(pool("augment"), *carpet, workers=1)
    train = store.read(tmp_path / "one").on_side("train", "main")
    methods = {s.provenance["method"] for s in train if s.origin == "synthetic" and s.provenance is not None}
    assert methods == {"augment"}


def test_the_images_are_scored_and_copies_looked_for(pools: ModuleType, tables: ModuleType, work: Path) -> None:
    records = [pools.made(pool) for pool in wanted(pools, work)]
    rows = {row["pool"]: row for row in pools.summary(records)}
    for row in rows.values():
        assert row["diversity"] > 0
        assert 0 <= row["near_copies"] <= 1
        assert row["image_s"] > 0
    assert rows["ddpm-inpaint"]["fit_s"] > 0
    assert rows["donor-paste"]["fit_s"] == 0
    # What is pasted, turned and warped is a copy as often as not; that must not go unseen.
    assert rows["donor-paste"]["near_copies"] >= 0.25
    lines = tables.quality_table(pools.summary(records)).splitlines()
    assert {line.count("|") for line in lines if line.startswith("|")} == {11}


def test_steps_are_derived_for_learned_recipes_only(pools: ModuleType, tmp_path: Path) -> None:
    from carpet_data.synthesis.recipe import files

    assert pools.derived(tmp_path, "augment", 5) == "augment"
    derived, shipped = files.load(pools.derived(tmp_path, "ddpm-inpaint", 5)), files.load("ddpm-inpaint")
    assert derived.parameters.fit.steps == 5  # type: ignore[attr-defined]
    assert derived.parameters.model_copy(update={"fit": None}) == shipped.parameters.model_copy(update={"fit": None})
