"""`prepare` on real photographs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.sources import hashes

from carpet_data import store
from carpet_data.core import masks
from carpet_data.formats import read
from carpet_data.preparation.groups import groups
from carpet_data.preparation.options import GroupOptions, SplitOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.preparation.split import split

pytestmark = pytest.mark.real


def runs_of(root: Path) -> list[list[str]]:
    """The 224 shots of the magnetic tiles: frame numbers, cut where neighbours differ by more than 100."""
    numbered = sorted(
        (int(path.stem.split("_num_")[1]), path.relative_to(root).as_posix()) for path in root.rglob("*.jpg")
    )
    found: list[list[str]] = []
    last = None
    for number, name in numbered:
        if last is None or number - last > 100:
            found.append([])
        found[-1].append(name)
        last = number
    return found


def test_tiles_keep_their_runs_on_one_side(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    root = real_data("mtd")
    before = hashes(root)
    result = prepare(
        root, tmp_path / "mtd", group_options=GroupOptions(group_runs=r"num_(\d+)", gap=100, near_duplicates=False)
    )
    assert hashes(root) == before
    assert result.named == {"run": 224}
    assert (result.samples, len(result.empty_masks)) == (1344, 4)
    assert {Path(path).stem for path in result.empty_masks} == {
        "exp3_num_45042_mask",
        "exp4_num_124690_mask",
        "exp4_num_352527_mask",
        "exp4_num_45057_mask",
    }
    assert result.masks == {"binary": 388, "kept": 4, "none": 952}
    split(tmp_path / "mtd", "fold", SplitOptions(k_fold=5))
    split(tmp_path / "mtd", "repeat", SplitOptions(repeats=3))
    dataset = read(tmp_path / "mtd")
    id_of = {sample.source: sample.id for sample in dataset}
    runs = runs_of(root)
    assert len(runs) == 224
    assert len(dataset.splits) == 9
    for partition in dataset.splits.values():
        assert all(len({partition.sides[id_of[name]] for name in names}) == 1 for names in runs), partition.name
    assert groups(tmp_path / "mtd").total == 224
    assert list(store.verify(tmp_path / "mtd")) == []
    raw = {sample.image_path: sample for sample in read(root)}
    for sample in dataset:
        if sample.mask_path is not None:
            assert sample.source is not None
            assert masks.load(dataset.root, sample).runs.area == masks.load(root, raw[sample.source]).runs.area


def test_near_duplicates_join_runs_and_cut_none(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    root = real_data("mtd")
    result = prepare(root, tmp_path / "mtd", group_options=GroupOptions(group_runs=r"num_(\d+)", gap=100))
    assert result.named == {"run": 224}
    assert result.links["near"] > 500
    dataset = read(tmp_path / "mtd")
    id_of = {sample.source: sample.id for sample in dataset}
    sides = dataset.splits["main"].sides
    assert all(len({sides[id_of[name]] for name in names}) == 1 for names in runs_of(root))


@pytest.mark.parametrize("name", ["mvtec/carpet", "mvtec/screw_512"])
def test_pixels_are_those_of_the_source(name: str, real_data: Callable[[str], Path], tmp_path: Path) -> None:
    root = real_data(name)
    before = hashes(root)
    # Problem near duplicates takes most of the time, and the tiles above have it covered.
    out = prepare(root, tmp_path / "out", group_options=GroupOptions(near_duplicates=False)).out
    assert hashes(root) == before
    raw = {sample.image_path: sample for sample in read(root)}
    dataset = read(out)
    assert len(dataset) == len(raw)
    for sample in dataset:
        assert sample.source is not None
        assert sample.image_sha256 == before[sample.source]
        ours = masks.load(out, sample).runs
        theirs = masks.load(root, raw[sample.source]).runs
        assert (ours.column.tolist(), ours.start.tolist(), ours.stop.tolist()) == (
            theirs.column.tolist(),
            theirs.start.tolist(),
            theirs.stop.tolist(),
        )
    assert list(store.verify(out)) == []
