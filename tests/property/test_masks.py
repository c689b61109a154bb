"""Random masks: run-length encoding and polygons give back every pixel, judged by pycocotools and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from helpers.examples import examples
from helpers.shapes import SHAPES
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from carpet_data.core.masks import LabelMask, find, polygons, rle
from carpet_data.core.masks.regions import Regions
from carpet_data.core.masks.runs import from_binary, from_values, to_binary, to_values

Mask = NDArray[np.bool_]


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    """From noise to blobs, with holes, at the borders, down to one pixel."""
    shape = draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    seed, density = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0]))
    mask = np.random.default_rng(seed).random(shape) < density
    grow = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    return np.ascontiguousarray(np.kron(mask, np.ones(grow, np.bool_)))


def regions_of(mask: Mask, connectivity: int) -> Regions:
    assert connectivity in (4, 8)
    return find(LabelMask(from_binary(mask), ("hole",), binary=True), connectivity=connectivity)  # type: ignore[arg-type]


def decoded(segmentation: object, shape: tuple[int, int]) -> Mask:
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(segmentation, *shape))).astype(np.bool_)


def assert_exact(mask: Mask, connectivity: int) -> int:
    """Components, boxes, areas, run-length encoding and polygons agree with OpenCV's and pycocotools'."""
    regions = regions_of(mask, connectivity)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=connectivity)
    assert len(regions) == count - 1
    outlines = polygons.exact(regions)
    seen = set()
    for number, (_, runs) in enumerate(regions):
        text = rle.encode(runs)
        pixels = coco_mask.decode({"size": list(mask.shape), "counts": text}).astype(np.bool_)
        label = int(labels[pixels][0])
        seen.add(label)
        component = labels == label
        assert np.array_equal(pixels, component)
        assert regions.bbox[number].tolist() == stats[label][:4].tolist()
        assert regions.area[number] == stats[label][4] == component.sum()
        reference = coco_mask.encode(np.asfortranarray(component.astype(np.uint8)))
        assert text == reference["counts"].decode()
        assert rle.expand(text) == rle.counts(runs)
        assert np.array_equal(to_binary(rle.decode(text, *mask.shape)), component)
        assert np.array_equal(decoded(outlines[number], mask.shape), component)
        if connectivity == 8:
            assert len(outlines[number]) == 1
    assert len(seen) == count - 1
    return count - 1


@settings(max_examples=examples(1500), deadline=None)
@given(masks(), st.sampled_from([4, 8]))
def test_every_pixel_comes_back(mask: Mask, connectivity: int) -> None:
    assert_exact(mask, connectivity)


def test_thousands_of_seeded_masks() -> None:
    rng = np.random.default_rng(2026)
    instances = 0
    for _ in range(1500):
        height, width = rng.integers(1, 40, 2)
        mask = rng.random((height, width)) < rng.choice([0.05, 0.2, 0.45, 0.6, 0.8, 0.95])
        if rng.random() < 0.5:
            mask = cv2.medianBlur(mask.astype(np.uint8), 3).astype(np.bool_)
        instances += assert_exact(mask, int(rng.choice([4, 8])))
    assert instances > 10_000


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("name", SHAPES)
def test_hostile_shapes(name: str, connectivity: int) -> None:
    assert_exact(SHAPES[name], connectivity)


@settings(max_examples=examples(200), deadline=None)
@given(masks(), st.floats(0, 5))
def test_simplified_polygons_lose_no_instance(mask: Mask, tolerance: float) -> None:
    regions = regions_of(mask, 8)
    exact, simple = polygons.exact(regions), polygons.simplified(regions, tolerance)
    for whole, thin in zip(exact, simple, strict=True):
        assert len(thin) == len(whole)
        assert all(len(ring) >= 6 for ring in thin)
        assert sum(map(len, thin)) <= sum(map(len, whole)) + 4 * len(thin)
        corners = {(x, y) for ring in whole for x, y in zip(ring[::2], ring[1::2], strict=True)}
        assert all((x, y) in corners for ring in thin for x, y in zip(ring[::2], ring[1::2], strict=True))


def test_tolerance_zero_keeps_the_mask() -> None:
    for mask in SHAPES.values():
        regions = regions_of(mask, 8)
        for outline, (_, runs) in zip(polygons.simplified(regions, 0), regions, strict=True):
            assert np.array_equal(decoded(outline, mask.shape), to_binary(runs))


@settings(max_examples=examples(300), deadline=None)
@given(hnp.arrays(np.uint16, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.integers(0, 3)))
def test_index_masks_come_back(values: NDArray[np.uint16]) -> None:
    runs = from_values(values)
    assert np.array_equal(to_values(runs, np.uint16), values)
    names = ("a", "b", "a")
    regions = find(LabelMask(runs, names, binary=False))
    for name, piece in regions:
        assert name in names
        pixels = to_binary(piece)
        assert len(set(values[pixels].tolist())) == 1
    assert sum(regions.area.tolist()) == np.count_nonzero(values)


@settings(max_examples=examples(200), deadline=None)
@given(masks(), st.integers(1, 20))
def test_min_area_counts_what_it_leaves_out(mask: Mask, min_area: int) -> None:
    everything = regions_of(mask, 8)
    kept = find(LabelMask(from_binary(mask), ("hole",), binary=True), min_area=min_area)
    assert len(kept) + kept.too_small == len(everything)
    assert kept.area.tolist() == [area for area in everything.area.tolist() if area >= min_area]


def test_merge_makes_one_instance_a_class() -> None:
    mask = SHAPES["border blobs"]
    merged = find(LabelMask(from_binary(mask), ("hole",), binary=True), merge=True)
    assert len(merged) == 1
    assert merged.area.tolist() == [int(mask.sum())]
    assert len(polygons.exact(merged)[0]) == 3
    assert np.array_equal(decoded(polygons.exact(merged)[0], mask.shape), mask)


def test_components_are_numbered_from_the_top_left() -> None:
    mask = np.zeros((20, 20), np.bool_)
    mask[2, 15] = mask[5:9, 1:4] = mask[5, 10] = True
    assert regions_of(mask, 8).bbox.tolist() == [[15, 2, 1, 1], [1, 5, 3, 4], [10, 5, 1, 1]]


@pytest.mark.parametrize("text", ["~~~", "P", "\x00", "é"])
def test_damaged_counts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="run-length"):
        rle.decode(text, 10, 10)
