"""Blending and pasting, whatever the shapes: bounds that must hold always."""

from __future__ import annotations

from typing import Any

import numpy as np
from helpers.examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carpet_data.synthesis.contract import Donor, Facts, Image, Mask, Redraw, Scene
from carpet_data.synthesis.methods.donor_parameters import DonorPasteParameters
from carpet_data.synthesis.methods.donor_paste import DonorPaste
from carpet_data.synthesis.ops.membrane import continued
from carpet_data.synthesis.ops.seam import coarse_cut, cut_between

SEEDS = st.integers(0, 2**32 - 1)
RELAXED = settings(max_examples=examples(80), deadline=None, suppress_health_check=[HealthCheck.too_slow])


def noise(rng: np.random.Generator, height: int, width: int, color: bool) -> Image:
    level = rng.uniform(20, 230)
    shape = (height, width, 3) if color else (height, width)
    return np.clip(rng.normal(level, rng.uniform(0, 40), shape), 0, 255).astype(np.uint8)


def blob(rng: np.random.Generator, height: int, width: int) -> Mask:
    """Anything from one pixel to everything, at times in several parts and at the border."""
    mask = np.zeros((height, width), np.bool_)
    for _ in range(int(rng.integers(1, 4))):
        y, x = int(rng.integers(height)), int(rng.integers(width))
        mask[y : y + int(rng.integers(1, height + 1)), x : x + int(rng.integers(1, width + 1))] = True
    return mask


@given(SEEDS, st.integers(3, 70), st.integers(3, 70), st.booleans())
@RELAXED
def test_the_cut_lies_between_its_bounds(seed: int, height: int, width: int, color: bool) -> None:
    rng = np.random.default_rng(seed)
    outer = blob(rng, height, width)
    inner = outer & blob(rng, height, width)
    if not inner.any():
        inner = outer
    pair = noise(rng, height, width, color), noise(rng, height, width, color)
    for region in (coarse_cut(*pair, inner, outer), cut_between(*pair, inner, outer)):
        assert not (inner & ~region).any()
        assert not (region & ~outer).any()


@given(SEEDS, st.integers(1, 60), st.integers(1, 60), st.booleans())
@RELAXED
def test_a_fill_keeps_what_is_known_and_stays_within_its_range(seed: int, height: int, width: int, color: bool) -> None:
    rng = np.random.default_rng(seed)
    values = noise(rng, height, width, color).astype(np.float32)
    known = blob(rng, height, width)
    filled = continued(values, known)
    assert np.array_equal(filled[known], values[known])
    assert filled.min() >= values[known].min() - 0.01
    assert filled.max() <= values[known].max() + 0.01


@given(SEEDS, st.floats(0, 255))
@RELAXED
def test_a_fill_of_one_value_is_that_value(seed: int, value: float) -> None:
    rng = np.random.default_rng(seed)
    known = blob(rng, 40, 30)
    filled = continued(np.where(known, np.float32(value), 0).astype(np.float32), known)
    assert np.allclose(filled, value, atol=0.01)


def test_any_paste_is_a_candidate_or_a_redraw() -> None:
    made: list[bool] = []

    @given(
        st.tuples(
            SEEDS,
            st.tuples(st.integers(2, 90), st.integers(2, 90)),
            st.tuples(st.integers(2, 90), st.integers(2, 90)),
            st.booleans(),
            st.booleans(),
            st.sampled_from(["auto", "tint", "relief", "cutout", "seam"]),
            st.booleans(),
        )
    )
    @settings(RELAXED, max_examples=examples(250), derandomize=True)
    def check(drawn: tuple[Any, ...]) -> None:
        made.append(pastes(*drawn))

    check()
    assert sum(made) > 0.35 * len(made)  # 45 % where this was written


def pastes(
    seed: int,
    host_size: tuple[int, int],
    donor_size: tuple[int, int],
    color_host: bool,
    color_donor: bool,
    style: str,
    objects: bool,
) -> bool:
    """Whether a paste of anything on anything gave a candidate, which then keeps the contract."""
    rng = np.random.default_rng(seed)
    host = noise(rng, *host_size, color_host)
    mask = blob(rng, *donor_size)
    at_border = bool(rng.random() < 0.5)
    box = (0 if at_border else 5, 0 if at_border else 5, donor_size[1], donor_size[0])
    size = (donor_size[1] + (0 if at_border else 9), donor_size[0] + (0 if at_border else 9))
    foreground = blob(rng, size[1], size[0]) if objects else None
    donor = Donor("d", noise(rng, *donor_size, color_donor), mask, box, size, foreground)
    facts = Facts("hole", (0.1,), (1,), ((0.5, 0.5),), 0.0, objects)
    scene = Scene(host, blob(rng, *host_size) if objects else None, (donor,), (), facts, null=bool(rng.random() < 0.2))
    before = host.copy()
    try:
        made = DonorPaste().render(scene, DonorPasteParameters(blend=style), np.random.default_rng(seed))
    except Redraw:
        return False
    finally:
        assert np.array_equal(host, before)
    assert made.image.shape == host.shape
    assert made.image.dtype == np.uint8
    assert made.mask.shape == host.shape[:2]
    assert made.mask.dtype == np.bool_
    assert made.mask.any() != scene.null
    x, y, width, height = made.box
    assert x >= 0
    assert y >= 0
    assert x + width <= host.shape[1]
    assert y + height <= host.shape[0]
    outside = np.ones(host.shape[:2], np.bool_)
    outside[y : y + height, x : x + width] = False
    assert np.array_equal(made.image[outside], host[outside])
    assert not made.mask[outside].any()
    return True
