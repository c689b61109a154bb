from __future__ import annotations

import numpy as np
from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from carpet_data.weave import DEFECTS, render
from carpet_data.weave.image import difference_mask, generator
from carpet_data.weave.surface import Box


@settings(max_examples=examples(25), deadline=None)
@given(st.sampled_from(sorted(DEFECTS)), st.integers(0, 2**63), st.integers(0, 999), st.integers(64, 160))
def test_every_image_has_a_mask_that_holds_the_whole_change(class_name: str, seed: int, k: int, size: int) -> None:
    rendered = render(class_name, generator(seed, "test", class_name, k, size), size)
    assert rendered.image.shape == (size, size, 3)
    assert rendered.image.dtype == np.uint8
    assert rendered.mask.any()
    assert not rendered.mask.all()
    assert np.array_equal(rendered.image[~rendered.mask], rendered.clean[~rendered.mask])
    assert not np.array_equal(rendered.image, rendered.clean)


@settings(max_examples=examples(60), deadline=None)
@given(
    st.tuples(st.floats(-50, 300), st.floats(-50, 300)),
    st.tuples(st.floats(0, 200), st.floats(0, 200)),
    st.integers(64, 256),
    st.integers(0, 60),
)
def test_a_box_lies_in_the_image(
    center: tuple[float, float], half: tuple[float, float], size: int, margin: int
) -> None:
    for box in (Box.around(center, half, size), Box.around(center, half, size).grown(margin, size)):
        assert box.x >= 0
        assert box.y >= 0
        assert box.width >= 1
        assert box.height >= 1
        assert box.x + box.width <= size
        assert box.y + box.height <= size


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(8, 200), st.integers(20, 60))
def test_a_change_of_a_square_is_found_as_that_square(seed: int, strength: float, edge: int) -> None:
    rng = np.random.default_rng(seed)
    clean = rng.uniform(0, 255, (128, 128, 3)).astype(np.float32)
    x, y = rng.integers(20, 108 - edge, 2) if edge < 88 else (20, 20)
    changed = clean.copy()
    changed[y : y + edge, x : x + edge] += np.float32(strength)
    mask = difference_mask(changed, clean, unit=1.0)
    assert mask[y + 4 : y + edge - 4, x + 4 : x + edge - 4].all()
    mask[max(0, y - 8) : y + edge + 8, max(0, x - 8) : x + edge + 8] = False
    assert not mask.any()
