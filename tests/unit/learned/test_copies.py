"""The look for copies: what is a copy counts, what is not does not, and real examples set the measure."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from carpet_data import networks
from carpet_data.learned.copies import correlation, measure
from carpet_data.learned.crops import CropDataset, Example, GeneratedCrop
from carpet_data.learned.windows import CropWindow
from carpet_data.networks import Weights

SIDE = 160


def cloth(rng: np.random.Generator) -> np.ndarray:
    """A woven background with noise, uint8 160 x 160 x 3."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    weave = 120 + 20 * np.sin(rows * 1.3) * np.cos(columns * 1.1)
    return np.clip(weave[:, :, None] + rng.normal(0, 6, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


def example(name: str, number: int, *, group: str | None = None) -> Example:
    """A cloth with one blot whose form and colours are its own."""
    rng = np.random.default_rng(np.random.SeedSequence((number, sum(map(ord, name)))))
    image = cloth(rng)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    y, x, angle = *rng.integers(60, 100, 2), rng.uniform(0, np.pi)
    along = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
    across = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
    mask = (along / rng.uniform(14, 24)) ** 2 + (across / rng.uniform(5, 10)) ** 2 < 1
    blot = rng.integers(0, 256, (20, 20, 3)).repeat(SIDE // 20, 0).repeat(SIDE // 20, 1)
    image[mask] = blot[mask]
    found = np.nonzero(mask)
    box = (found[1].min(), found[0].min(), np.ptp(found[1]) + 1, np.ptp(found[0]) + 1)
    return Example(f"{name}{number}", name, image, mask, tuple(int(v) for v in box), group)  # type: ignore[arg-type]


def data(*examples: Example, is_object: bool = False) -> CropDataset:
    names = tuple(sorted({one.class_name for one in examples}))
    background = (cloth(np.random.default_rng(99)),)
    return CropDataset(names, examples, background, MappingProxyType({}), (), 64, 1.6, is_object)


@pytest.fixture(scope="module")
def taught() -> CropDataset:
    return data(*(example(name, number) for name in ("cut", "hole") for number in range(4)))


def copies(of: CropDataset) -> list[GeneratedCrop]:
    return [GeneratedCrop(one.class_name, *of.crop(one)) for one in of.examples]


def test_copies_are_all_found(taught: CropDataset) -> None:
    found = measure(taught, copies(taught))
    assert found.near_copies == 1.0
    assert [one.pixels.near_copies for one in found.classes] == [1.0, 1.0]
    assert all(one.pixels.median > 0.95 for one in found.classes)


def test_noise_is_no_copy(taught: CropDataset) -> None:
    rng = np.random.default_rng(0)
    noise = [
        GeneratedCrop(name, rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), np.ones((64, 64), np.float32))
        for name in taught.classes * 4
    ]
    found = measure(taught, noise)
    assert found.near_copies == 0.0
    assert found.near_copies_by_features in (0.0, None)


def test_another_defect_of_the_class_is_no_copy(taught: CropDataset) -> None:
    others = data(*(example(name, number) for name in taught.classes for number in range(10, 14)))
    assert measure(taught, copies(others)).near_copies == 0.0


@pytest.mark.parametrize("shift", [(0, 0), (7, -5), (-12, 12)])
@pytest.mark.parametrize("zoom", [1.0, 1.15])
def test_a_moved_and_zoomed_copy_is_found(taught: CropDataset, shift: tuple[int, int], zoom: float) -> None:
    from carpet_data.learned.windows import cut, cut_mask

    drawn = []
    for one in taught.examples:
        window = taught.window(one)
        side = round(window.side * zoom)
        moved = CropWindow(window.x - (side - window.side) // 2 + shift[0], window.y + shift[1], side)
        drawn.append(GeneratedCrop(one.class_name, cut(one.image, moved, 64), cut_mask(one.mask, moved, 64)))
    assert measure(taught, drawn).near_copies == 1.0


def test_a_mirrored_copy_counts_for_textures_only(taught: CropDataset) -> None:
    mirrored = [GeneratedCrop(one.class_name, one.image[:, ::-1], one.mask[:, ::-1]) for one in copies(taught)]
    assert measure(taught, mirrored).near_copies == 1.0
    # An oval in a mirror is like itself by chance now and then, not as a rule.
    found = measure(replace(taught, is_object=True), mirrored)
    assert found.near_copies is not None
    assert found.near_copies < 0.3


def test_pictures_of_one_piece_do_not_raise_the_measure() -> None:
    """Two exposures of one piece are alike; that must not hide copies, nor count as two different examples."""
    first = [example("hole", number, group=f"piece{number}") for number in range(3)]
    again = [replace(one, sample=f"{one.sample}b", image=np.clip(one.image + 3.0, 0, 255).astype(np.uint8))
             for one in first]  # fmt: skip
    found = measure(data(*first, *again), copies(data(*first))).classes[0]
    assert found.pixels.real_largest is not None
    assert found.pixels.real_largest < 0.6
    # Without groups the same pictures are the measure, and a true copy still is one.
    alone = [replace(one, group=None) for one in (*first, *again)]
    found = measure(data(*alone), copies(data(*first))).classes[0]
    assert found.pixels.real_largest is not None
    assert found.pixels.real_largest > 0.95
    assert found.pixels.near_copies == 1.0


def test_one_example_has_no_reference() -> None:
    single = data(example("hole", 0), example("cut", 1))
    found = measure(single, copies(single))
    assert [one.pixels.real_median for one in found.classes] == [None, None]
    assert found.near_copies == 1.0
    other = copies(data(example("hole", 5), example("cut", 6)))
    assert measure(single, other).near_copies == 0.0
    assert "there are no two" in found.text()


def test_a_flat_sample_is_like_nothing(taught: CropDataset) -> None:
    flat = [GeneratedCrop("hole", np.full((64, 64, 3), 90, np.uint8), np.zeros((64, 64), np.float32))]
    one = measure(taught, flat).classes[0]
    assert abs(one.pixels.largest) < 0.05
    assert one.pixels.near_copies == 0.0


def test_it_is_deterministic_and_plain(taught: CropDataset) -> None:
    drawn = copies(taught)[:3]
    first, second = measure(taught, drawn), measure(taught, drawn)
    assert first == second
    assert json.loads(json.dumps(first.to_json()))["near_copies"] == 1.0
    assert {one.class_name for one in first.classes} == {"cut"}


def test_nothing_drawn(taught: CropDataset) -> None:
    found = measure(taught, [])
    assert found.near_copies is None
    assert found.classes == ()
    assert "no samples" in found.text()


def test_without_weights_only_pixels_are_compared(taught: CropDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = Weights("resnet18", "none", None, None, "", "none")
    monkeypatch.setattr(networks, "choose", lambda *_, **__: bare)
    found = measure(taught, copies(taught))
    assert found.backbone is None
    assert found.near_copies == 1.0
    assert found.near_copies_by_features is None
    assert all(one.features is None for one in found.classes)
    assert "features were not compared" in found.text()


def test_the_network_is_named(taught: CropDataset) -> None:
    found = measure(taught, copies(taught))
    if found.backbone is None:
        pytest.skip("no network with weights is installed")
    assert found.near_copies_by_features == 1.0
    assert found.backbone in found.text()


def test_a_larger_crop_is_compared_at_the_same_size(taught: CropDataset) -> None:
    large = replace(taught, crop_px=128)
    drawn = [GeneratedCrop(one.class_name, *large.crop(one)) for one in large.examples]
    assert measure(large, drawn).near_copies == 1.0


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([8, 17, 40]))
def test_the_correlation_is_that_of_numpy(seed: int, side: int) -> None:
    """Against the definition, at the best of all places."""
    rng = np.random.default_rng(seed)
    wide = rng.integers(0, 256, (side + 4, side + 4, 3)).astype(np.float32)
    patch = wide[3 : 3 + side, 1 : 1 + side] + rng.normal(0, 30, (side, side, 3)).astype(np.float32)
    slow = max(_by_definition(patch, wide[y : y + side, x : x + side]) for y in range(5) for x in range(5))
    found = correlation(patch.astype(np.float32), (0, 0), wide, 2)
    assert found == pytest.approx(slow, abs=1e-3)


def _by_definition(first: np.ndarray, second: np.ndarray) -> float:
    a, b = (each - each.mean(axis=(0, 1)) for each in (first.astype(float), second.astype(float)))
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))
