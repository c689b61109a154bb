"""A mark that only synthetic images carry is found; the shipped recipe on the sample carpet carries none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.carpets import copied, planted
from hypothesis import given
from hypothesis import strategies as st

from carpet_data.dataset import GOOD
from carpet_data.experiments import shortcut_check
from carpet_data.experiments.conditions import BASELINE_TRAINING
from carpet_data.experiments.partitions import DatasetSplit
from carpet_data.experiments.shortcut_check.cues import read_cues
from carpet_data.experiments.shortcut_check.suspects import auc, by_unit, chance
from carpet_data.reporting.pages import Check

SETTINGS = BASELINE_TRAINING.but(architecture="resnet18", weights="none", resize=64, device="cpu")
values = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12)


def asked(root: Path) -> tuple[Check, ...]:
    folder = DatasetSplit.of(root, "main")
    return shortcut_check.examine(shortcut_check.suspects(folder, folder), SETTINGS, workers=1)


def test_donor_paste_on_the_sample_carpet_carries_no_mark(carpet: Path) -> None:
    found = asked(carpet)
    assert [answer.result for answer in found if answer.result == "flagged"] == []
    assert [answer.result for answer in found[:2]] == ["passed", "passed"]


def test_a_corner_mark_is_found_and_its_place_named(carpet: Path, tmp_path: Path) -> None:
    root = copied(carpet, tmp_path / "copy")
    planted(root)
    cues, place = asked(root)[:2]
    assert cues.result == "flagged"
    assert "top left corner" in cues.detail
    assert place.result == "flagged"
    assert "the top left of the image" in place.detail


def test_a_mark_that_real_images_carry_too_is_no_shortcut(carpet: Path, tmp_path: Path) -> None:
    root = copied(carpet, tmp_path / "copy")
    planted(root, chosen=lambda sample: True)
    assert all(answer.result != "flagged" for answer in asked(root))


def test_a_mark_inside_the_defects_is_no_shortcut(carpet: Path) -> None:
    folder = DatasetSplit.of(carpet, "main")
    chosen = shortcut_check.suspects(folder, folder)
    assert all(sample.class_name != GOOD and sample.origin == "synthetic" for sample in chosen.synthetic)
    hidden = [read_cues((carpet, sample))[1] for sample in chosen.synthetic]
    assert all(np.isnan(picture).any() for picture in hidden), "the defects are not looked at"


def test_a_host_and_what_was_made_of_it_are_one_unit(carpet: Path) -> None:
    folder = DatasetSplit.of(carpet, "main")
    chosen = shortcut_check.suspects(folder, folder)
    assert set(chosen.hosts) <= set(chosen.units)
    assert set(chosen.donors) <= set(chosen.units)


def test_too_few_images_are_no_proof(carpet: Path) -> None:
    folder = DatasetSplit.of(carpet, "main")
    chosen = shortcut_check.suspects(folder, folder)
    some = shortcut_check.Suspects(
        folder, chosen.synthetic[:3], chosen.hosts[:3], chosen.donors[:3], folder, chosen.real[:3], chosen.units[:3]
    )
    assert {answer.result for answer in shortcut_check.examine(some, SETTINGS, workers=1)} == {"not run"}


@given(values, values)
def test_auc_is_the_share_of_pairs(ones: list[float], zeros: list[float]) -> None:
    pairs = [1.0 if one > zero else 0.5 if one == zero else 0.0 for one in ones for zero in zeros]
    assert auc(np.array(ones), np.array(zeros)) == pytest.approx(np.mean(pairs))


def test_chance() -> None:
    assert chance(0.5, 10, 10) == 1.0
    assert chance(1.0, 10, 10) < 1e-3
    assert chance(1.0, 3, 3) > 0.01
    assert chance(0.9, 0, 10) == 1.0


def test_by_unit_averages_what_is_there() -> None:
    means, names = by_unit(np.array([[1.0, np.nan], [3.0, np.nan], [5.0, 2.0]]), ["b", "b", "a"])
    assert names == ("a", "b")
    np.testing.assert_array_equal(means, [[5.0, 2.0], [2.0, np.nan]])
