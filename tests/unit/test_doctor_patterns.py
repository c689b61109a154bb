"""The guess at what names say, on names alone."""

from __future__ import annotations

import re
from itertools import combinations, pairwise

import numpy as np
import pytest

from carpet_data.diagnosis.patterns import Guess, guess
from carpet_data.grouping import frame_runs

Pairs = list[tuple[str, str]]


def within(groups: list[list[str]]) -> tuple[list[str], Pairs]:
    return [name for names in groups for name in names], [pair for names in groups for pair in combinations(names, 2)]


def found(names: list[str], pairs: Pairs) -> Guess:
    result = guess(names, pairs)
    assert result is not None
    return result


def test_equal_numbers_are_grouped_by_value() -> None:
    names, pairs = within([[f"train/good/tile{tile:03}_light{light}.png" for light in range(4)] for tile in range(30)])
    best = found(names, pairs)
    assert best.options == r"--group-by 'tile(\d+)'"
    assert best.explained == 1
    assert best.groups == 30
    assert len(set(frame_runs.by_regex(names, best.pattern).of.values())) == 30


def test_near_numbers_are_grouped_by_runs() -> None:
    groups = [
        [f"test/crack/exp{shot}_num_{5000 * tile + 31 * shot}.jpg" for shot in range(1, 7)] for tile in range(1, 40)
    ]
    names, pairs = within(groups)
    best = found(names, pairs)
    assert best.options == r"--group-runs 'num_(\d+)' --gap 50"
    assert len(set(frame_runs.by_runs(names, best.pattern, best.gap or 0).of.values())) == 39


def test_the_pattern_finds_its_number_also_where_a_folder_has_the_word() -> None:
    groups = [
        [f"num_7/good/exp{shot}_num_{5000 * tile + 31 * shot}.jpg" for shot in range(1, 7)] for tile in range(1, 40)
    ]
    names, pairs = within(groups)
    best = found(names, pairs)
    for name in names:
        match = re.search(best.pattern, name)
        assert match is not None
        assert match.group(1) == name.rsplit("_", 1)[1].removesuffix(".jpg")


def test_plain_numbers() -> None:
    names, pairs = within([[f"a/{100 * scene + shot}.png" for shot in range(5)] for scene in range(1, 30)])
    best = found(names, pairs)
    assert best.gap == 1
    assert best.groups == 29
    assert len(set(frame_runs.by_runs(names, best.pattern, 1).of.values())) == 29


def test_characters_that_mean_something_in_a_pattern_are_escaped() -> None:
    names, pairs = within([[f"a/x.(y)+{tile}[{light}].png" for light in range(4)] for tile in range(30)])
    best = found(names, pairs)
    assert len(set(frame_runs.by_regex(names, best.pattern).of.values())) == 30


@pytest.mark.parametrize("case", ["in sequence", "at random", "few", "without numbers", "of many shapes"])
def test_no_guess_is_better_than_a_wrong_one(case: str) -> None:
    names = [f"train/good/{number:03}.png" for number in range(200)]
    numbers = np.random.default_rng(0).permutation(200)
    pairs = [(names[a], names[b]) for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
    if case == "in sequence":  # frames of a film: every name continues the last
        pairs = list(pairwise(names))
    elif case == "few":
        pairs = pairs[:3]
    elif case == "without numbers":
        names = [chr(97 + number // 14) + chr(97 + number % 14) for number in range(196)]
        pairs = list(zip(names[::2], names[1::2], strict=True))
    elif case == "of many shapes":
        names = [f"{'x' * number}_{number}" for number in range(200)]
        pairs = list(zip(names[::2], names[1::2], strict=True))
    assert guess(names, pairs) is None
