"""Grouping on the magnetic tiles: what is documented of them must come out. Screws and carpet are the doctor's."""

from __future__ import annotations

import os
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from carpet_data.grouping import duplicates, frame_runs, groups

pytestmark = pytest.mark.real

DATA = Path(os.environ.get("CARPET_DATA_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


def images_of(name: str) -> dict[str, Path]:
    root = DATA / name
    if not root.is_dir():
        pytest.skip(f"{name} is absent under {DATA} (CARPET_DATA_TEST_DATA)")
    files = sorted(path for side in ("train", "test") for path in (root / side).glob("*/*"))
    return {path.relative_to(root).as_posix(): path for path in files}


def test_the_tiles_have_224_runs() -> None:
    found = frame_runs.by_runs(images_of("mtd"), r"num_(\d+)", 100)
    assert len(found.of) == 1344
    assert found.unmatched == ()
    assert len(groups.join(found.of, found.links())) == 224


def test_near_duplicates_find_the_tiles() -> None:
    files = images_of("mtd")
    run_of = frame_runs.by_runs(files, r"num_(\d+)", 100).of
    found = duplicates.find(files)
    assert found.problems == ()
    of = groups.join(files, found.links).of
    members: dict[str, list[str]] = {}
    for name, run in run_of.items():
        members.setdefault(run, []).append(name)
    # Runs that hold an exposure twice hold two tiles, whose pairs are rightly not found.
    one_tile = [names for names in members.values() if max(Counter(Path(n).name[:4] for n in names).values()) == 1]
    pairs = [pair for names in one_tile for pair in combinations(names, 2)]
    recall = sum(of[a] == of[b] for a, b in pairs) / len(pairs)
    assert recall >= 0.995
    # 49 links join runs; all were looked at and show the same tile again. More of them would be suspect.
    assert sum(run_of[link.a] != run_of[link.b] for link in found.links) <= 60
