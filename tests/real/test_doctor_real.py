"""The doctor and the counts on real data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from carpet_data.diagnosis.doctor import Diagnosis, doctor
from carpet_data.statistics.stats import stats

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def tiles(real_data: Callable[[str], Path]) -> Diagnosis:
    return doctor(real_data("mtd"))


def test_no_error_in_the_tiles(tiles: Diagnosis) -> None:
    assert tiles.exit_code == 0
    assert (tiles.images, tiles.masks) == (1344, 392)
    assert {fault.code for fault in tiles.problems} == {
        "mask-empty",
        "mask-grey",
        "near-duplicates",
        "split-leak",
        "sizes-vary",
    }


def test_the_four_empty_masks_of_uneven_are_named(tiles: Diagnosis) -> None:
    names = ("exp3_num_45042", "exp4_num_124690", "exp4_num_352527", "exp4_num_45057")
    assert [fault.where for fault in tiles.of("mask-empty")] == [f"ground_truth/uneven/{n}_mask.png" for n in names]


def test_every_other_mask_has_grey_edges(tiles: Diagnosis) -> None:
    assert len(tiles.of("mask-grey")) == 388


def test_the_repeated_tiles_are_found_and_the_way_to_group_them_is_named(tiles: Diagnosis) -> None:
    groups = tiles.of("near-duplicates")
    assert len(groups) > 200
    assert sum(1 + len(fault.files) for fault in groups) > 1300
    random_split = tiles.of("split-leak")[0]
    assert r"--group-runs 'num_(\d+)' --gap 100" in random_split.hint
    assert "224 groups" in random_split.hint


@pytest.mark.parametrize(
    ("name", "twins"),
    [
        # Looked at: the same screw under other light, and the same piece of carpet 80 pixels further.
        ("mvtec/screw_512", ("train/good/053.png", "train/good/173.png")),
        ("mvtec/carpet", ("test/metal_contamination/006.png", "test/metal_contamination/011.png")),
    ],
)
def test_neither_screws_nor_carpet_are_blamed_falsely(
    real_data: Callable[[str], Path], name: str, twins: tuple[str, str]
) -> None:
    diagnosis = doctor(real_data(name))
    assert diagnosis.exit_code == 0
    warnings = [fault for fault in diagnosis.problems if fault.severity == "warning"]
    assert [(fault.code, fault.where, fault.files) for fault in warnings] == [("near-duplicates", twins[0], twins[1:])]


def test_counts_of_the_tiles(real_data: Callable[[str], Path]) -> None:
    found = stats(real_data("mtd"), workers=1)
    assert (found.images, found.without_defects, found.skipped) == (1344, 952, ())
    assert {each.name: each.images for each in found.classes} == {
        "good": 952,
        "blowhole": 115,
        "uneven": 103,
        "break": 85,
        "crack": 57,
        "fray": 32,
    }
    assert [each.empty_masks for each in found.classes if each.empty_masks] == [4]
    assert found.imbalance == pytest.approx(952 / 32)
    assert found.defect_imbalance == pytest.approx(115 / 32)
