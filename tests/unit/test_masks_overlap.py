"""Instances that claim the same pixels, against a rule applied pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from carpet_data.core.masks import LabelMask, find
from carpet_data.core.masks.overlap import Layer, crop, stack
from carpet_data.core.masks.runs import to_values
from carpet_data.dataset import Overlap
from carpet_data.errors import OverlapError

HEIGHT, WIDTH = 9, 11
RULES: tuple[Overlap, ...] = ("first", "last", "smaller-on-top")


def rectangle(top: int, left: int, height: int, width: int) -> NDArray[np.bool_]:
    pixels = np.zeros((HEIGHT, WIDTH), np.bool_)
    pixels[top : top + height, left : left + width] = True
    return pixels


def stacked(masks: list[NDArray[np.bool_]], names: list[str], rule: Overlap) -> LabelMask:
    layers = (crop(mask, name, f"annotation {n}") for n, (mask, name) in enumerate(zip(masks, names, strict=True), 1))
    return stack(layers, HEIGHT, WIDTH, rule=rule, where="a.png")


def decided(masks: list[NDArray[np.bool_]], names: list[str], rule: Overlap, y: int, x: int) -> int:
    """The number of the instance that gets a pixel, by the words of the documentation."""
    claims = [number for number, mask in enumerate(masks) if mask[y, x]]
    if not claims:
        return 0
    areas = [int(mask.sum()) for mask in masks]
    by_rule = {
        "first": claims[0],
        "last": claims[-1],
        "smaller-on-top": min(claims, key=lambda number: (areas[number], number)),
    }
    name = names[by_rule[rule]]
    return min((number for number in claims if names[number] == name), key=lambda number: (areas[number], number)) + 1


rectangles = st.builds(rectangle, st.integers(0, 8), st.integers(0, 10), st.integers(1, 9), st.integers(1, 11))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(rectangles, st.sampled_from(["hole", "cut", "stain"])), max_size=6), st.sampled_from(RULES))
def test_every_pixel_is_given_out_by_the_rule(instances: list[tuple[NDArray[np.bool_], str]], rule: Overlap) -> None:
    masks, names = [mask for mask, _ in instances], [name for _, name in instances]
    found = stacked(masks, names, rule)
    values = to_values(found.runs, np.uint16)
    expected = [[decided(masks, names, rule, y, x) for x in range(WIDTH)] for y in range(HEIGHT)]
    assert values.tolist() == expected
    assert found.names == tuple(names)
    claims = np.sum(masks, axis=0) if masks else np.zeros((HEIGHT, WIDTH))
    assert found.shared_px == (claims > 1).sum()
    assert found.hidden == len(masks) - len(set(np.unique(values)) - {0})


@pytest.mark.parametrize("rule", ["error", *RULES])
def test_within_a_class_the_smaller_instance_keeps_the_shared_pixels(rule: Overlap) -> None:
    found = stacked([rectangle(1, 1, 6, 6), rectangle(2, 2, 2, 2), rectangle(6, 6, 2, 2)], ["hole"] * 3, rule)
    assert find(found).area.tolist() == [36 - 4 - 1, 4, 4]
    assert (found.shared_px, found.hidden) == (5, 0)


@pytest.mark.parametrize("rule", ["error", *RULES])
def test_a_repeated_instance_is_kept_once(rule: Overlap) -> None:
    regions = find(stacked([rectangle(1, 1, 3, 3)] * 2, ["hole"] * 2, rule))
    assert (regions.area.tolist(), regions.shared_px, regions.hidden, regions.too_small) == ([9], 9, 1, 0)


def test_between_classes_the_default_is_an_error_that_names_both() -> None:
    with pytest.raises(OverlapError) as caught:
        stacked([rectangle(0, 0, 4, 4), rectangle(3, 2, 4, 4)], ["hole", "cut"], "error")
    assert caught.value.what == (
        "annotation 1 (hole) and annotation 2 (cut) share 2 pixels, and a pixel can be of one class only"
    )
    assert caught.value.where == "a.png"
    assert "--overlap first, last or smaller-on-top" in str(caught.value.hint)


def test_one_set_of_pixels_in_two_classes_is_called_a_repetition() -> None:
    with pytest.raises(OverlapError, match=r"annotation 2 \(cut\) repeats annotation 1 \(hole\)"):
        stacked([rectangle(0, 0, 4, 4)] * 2, ["hole", "cut"], "error")


def test_instances_that_only_touch_do_not_overlap() -> None:
    found = stacked([rectangle(0, 0, 3, 3), rectangle(3, 0, 3, 3)], ["hole", "cut"], "error")
    assert (find(found).area.tolist(), found.shared_px) == ([9, 9], 0)


def test_more_instances_than_16_bits_can_number() -> None:
    count = 1 << 16
    point = np.ones((1, 1), np.bool_)
    layers = (Layer("hole", "", n // 300, n % 300, point) for n in range(count))
    found = stack(layers, 300, 300, rule="error", where="a.png")
    assert int(found.runs.value.max()) == count
