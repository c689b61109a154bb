"""The scale of colours: there and back, deviation of 1, and grey or plain crops do no harm."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.examples import examples
from helpers.scenes import carpet
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from carpet_data.learned.fit_runtime import tensors
from carpet_data.learned.scale import ColorScale


def crops_of(kind: str, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    if kind == "carpet":
        return carpet("good", 0).image[None]
    if kind == "plain":
        return np.full((2, 16, 16, 3), rng.integers(256), np.uint8)
    noise = rng.integers(0, 256, (2, 16, 16, 1 if kind == "grey" else 3), np.uint8)
    return np.broadcast_to(noise, (2, 16, 16, 3)).copy()


@settings(max_examples=examples(25), deadline=None)
@given(st.sampled_from(["carpet", "plain", "grey", "colours"]), st.integers(0, 99), st.integers(0, 99))
def test_there_and_back(kind: str, seed: int, other: int) -> None:
    scale = ColorScale.of(crops_of(kind, seed))
    images = tensors(np.random.default_rng(other).integers(0, 256, (2, 8, 9, 3), np.uint8), torch.device("cpu"))
    scaled = scale(images)
    assert torch.isfinite(scaled).all()
    assert float(scaled.abs().max()) <= scale.reach + 1e-4
    assert float((scale.back(scaled) - images).abs().max()) < 1e-4


@pytest.mark.parametrize(("kind", "least"), [("carpet", 1), ("colours", 3), ("grey", 1)])
def test_the_axes_have_a_deviation_of_one_where_there_is_colour(kind: str, least: int) -> None:
    crops = crops_of(kind)
    scaled = ColorScale.of(crops)(tensors(crops, torch.device("cpu")))
    flat = scaled.permute(1, 0, 2, 3).reshape(3, -1)
    deviations = flat.std(dim=1).tolist()
    assert sum(abs(value - 1) < 0.02 for value in deviations) >= least
    assert max(deviations) < 1.02
    assert float(flat.mean(dim=1).abs().max()) < 1e-3
