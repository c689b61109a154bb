"""Any mask as one YOLO polygon: parts and holes joined by seams, decoded again by pycocotools."""

from __future__ import annotations

import numpy as np
from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from carpet_data.core.masks import LabelMask, find, polygons
from carpet_data.core.masks.runs import from_binary
from carpet_data.formats.yolo.writer import corner_texts, joined

masks = hnp.arrays(np.bool_, st.tuples(st.integers(1, 24), st.integers(1, 24)))


@settings(max_examples=examples(400), deadline=None)
@given(masks)
def test_a_mask_of_any_parts_is_one_exact_polygon(mask: NDArray[np.bool_]) -> None:
    regions = find(LabelMask(from_binary(mask), ("hole",), binary=True), merge=True)
    assert len(regions) == int(mask.any())
    height, width = mask.shape
    across, down = corner_texts(width), corner_texts(height)
    for rings in polygons.exact(regions):
        ring = joined(rings)
        assert len(ring) >= 8
        # What a reader sees: fractions in single precision, times the size.
        x = np.array([across[x] for x in ring[0::2]], np.float32) * np.float32(width)
        y = np.array([down[y] for y in ring[1::2]], np.float32) * np.float32(height)
        flat = np.stack((x, y), axis=1).astype(float).ravel().tolist()
        decoded = coco_mask.decode(coco_mask.frPyObjects([flat], height, width))[:, :, 0]
        np.testing.assert_array_equal(decoded.astype(bool), mask)


def test_seams_go_to_the_nearest_vertex() -> None:
    square = [0, 0, 2, 0, 2, 2, 0, 2]
    other = [5, 1, 6, 1, 6, 2, 5, 2]
    assert joined([square]) == square
    assert joined([square, other]) == [0, 0, 2, 0, 5, 1, 6, 1, 6, 2, 5, 2, 5, 1, 2, 0, 2, 2, 0, 2]
