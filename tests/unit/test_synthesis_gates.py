"""Gates, host variation, foreground and codec: each gate refuses what it is for, and passes what it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from carpet_data.core.images import read
from carpet_data.dataset import Sample
from carpet_data.synthesis.contract import Box, Candidate, Donor, Facts, Image, Mask, Scene, Structure
from carpet_data.synthesis.engine import codec, gates
from carpet_data.synthesis.engine.plan import Variation
from carpet_data.synthesis.engine.scene_loader import matrix_of, vary, vary_mask
from carpet_data.synthesis.engine.sources import DonorRef
from carpet_data.synthesis.engine.train_images import collared
from carpet_data.synthesis.ops import foreground
from carpet_data.synthesis.recipe.model import GateRules

RULES = GateRules()
FACTS = Facts("hole", (0.01, 0.05), (1, 1), ((0.5, 0.5),), 0.0, is_object=False)


def host(channels: int = 3, size: int = 96) -> Image:
    rng = np.random.default_rng(3)
    shape = (size, size, channels) if channels == 3 else (size, size)
    return rng.normal(120, 12, shape).clip(0, 255).astype(np.uint8)


def scene(ground: Image, donors: tuple[Donor, ...] = (), **changes: Any) -> Scene:
    return Scene(ground, None, donors, (), FACTS, **changes)


def square(ground: Image, box: Box = (40, 30, 16, 16), value: int = 20) -> Candidate:
    x, y, width, height = box
    image, mask = ground.copy(), np.zeros(ground.shape[:2], np.bool_)
    image[y : y + height, x : x + width] = value
    mask[y : y + height, x : x + width] = True
    return Candidate(image, mask, (max(0, x - 4), max(0, y - 4), width + 4, height + 4))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_plain_defect_passes_all(channels: int) -> None:
    ground = host(channels)
    verdict = gates.judge(square(ground), scene(ground), RULES)
    assert verdict.refused_by is None
    assert set(verdict.scores) == {"inside-box", "visible", "outside", "area", "border"}
    assert verdict.scores["area"] == pytest.approx(256 / 96**2, abs=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_each_gate_refuses_what_it_is_for(channels: int) -> None:
    ground = host(channels)
    good = square(ground)
    stray = good.image.copy()
    stray[0, 95] ^= 1
    assert gates.judge(replace(good, image=stray), scene(ground), RULES).refused_by == "inside-box"
    far = good.mask.copy()
    far[90, 90] = True
    assert gates.judge(replace(good, mask=far), scene(ground), RULES).refused_by == "inside-box"
    pale = replace(good, image=np.where(good.image != ground, ground + 1, ground).astype(np.uint8))
    assert gates.judge(pale, scene(ground), RULES).refused_by == "visible"
    assert gates.judge(replace(good, mask=np.zeros_like(good.mask)), scene(ground), RULES).refused_by == "empty-mask"
    narrow = good.mask.copy()
    narrow[30:44] = False
    large = square(ground, (20, 20, 30, 30))
    loose = GateRules(area_slack=10)
    half = large.mask & (np.arange(96) < 30)
    assert gates.judge(replace(large, mask=half), scene(ground), loose).refused_by == "outside"
    assert gates.judge(replace(good, mask=narrow), scene(ground), GateRules(outside_frac=1)).refused_by == "area"
    assert gates.judge(large, scene(ground), RULES).refused_by == "area"
    cut = square(ground, (0, 30, 16, 16))
    assert gates.judge(cut, scene(ground), RULES).refused_by == "border"
    assert gates.judge(cut, scene(ground), GateRules(border="allow")).refused_by is None
    reaching = replace(FACTS, touches_border_share=0.2)
    assert gates.judge(cut, replace(scene(ground), facts=reaching), RULES).refused_by is None
    assert gates.judge(cut, replace(scene(ground), facts=reaching), GateRules(border="refuse")).refused_by == "border"


def test_a_copy_is_told_from_a_new_defect() -> None:
    ground = host()
    rng = np.random.default_rng(8)
    texture = rng.integers(0, 90, (20, 24, 3), dtype=np.uint8)
    shape = cv2.ellipse(np.zeros((20, 24), np.uint8), (12, 10), (11, 9), 0, 0, 360, 1, -1).astype(np.bool_)
    donor = Donor("d", np.pad(texture, ((6, 6), (6, 6), (0, 0))), np.pad(shape, 6), (0, 0, 36, 32), (96, 96))
    image, mask = ground.copy(), np.zeros((96, 96), np.bool_)
    image[50:70, 10:34][shape], mask[50:70, 10:34] = texture[shape], shape
    copy = Candidate(image, mask, (10, 50, 24, 20))
    verdict = gates.judge(copy, scene(ground, (donor,)), RULES)
    assert (verdict.refused_by, verdict.scores["near-copy"]) == ("near-copy", 1.0)
    assert gates.judge(copy, scene(ground, (donor,)), GateRules(nearness=1)).refused_by is None
    turned = image.copy()
    turned[50:70, 10:34][shape] = texture[::-1, ::-1][shape]
    assert gates.donor_similarity(replace(copy, image=turned), (donor,)) < 0.3
    smaller = mask & (np.arange(96) < 24)
    assert gates.donor_similarity(replace(copy, mask=smaller), (donor,)) < 0.8


def test_a_null_sample_needs_no_visible_change_but_stays_in_its_box() -> None:
    ground = host()
    nothing = Candidate(ground.copy(), np.zeros((96, 96), np.bool_), (10, 10, 20, 20))
    assert gates.judge(nothing, scene(ground, null=True), RULES).refused_by is None
    stray = ground.copy()
    stray[80, 80] = 0
    assert gates.judge(replace(nothing, image=stray), scene(ground, null=True), RULES).refused_by == "inside-box"


@pytest.mark.parametrize(
    "broken",
    [
        {"image": np.zeros((96, 96), np.uint8)},
        {"image": np.zeros((96, 96, 3), np.float32)},
        {"mask": np.zeros((96, 96), np.uint8)},
        {"mask": np.zeros((95, 96), np.bool_)},
        {"box": (90, 90, 10, 10)},
        {"box": (-1, 0, 10, 10)},
    ],
)
def test_broken_candidates_are_bugs(broken: dict[str, Any]) -> None:
    ground = host()
    with pytest.raises(ValueError, match=r"the (image|mask|box)"):
        gates.judge(replace(square(ground), **broken), scene(ground), RULES)


@settings(max_examples=examples(60), deadline=None)
@given(
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    grey=st.booleans(),
    box=st.tuples(st.integers(0, 39), st.integers(0, 39), st.integers(1, 40), st.integers(1, 40)),
)
def test_no_size_and_no_place_breaks_the_gates(width: int, height: int, grey: bool, box: Box) -> None:
    x, y = min(box[0], width - 1), min(box[1], height - 1)
    w, h = min(box[2], width - x), min(box[3], height - y)
    shape = (height, width) if grey else (height, width, 3)
    ground = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    image, mask = ground.copy(), np.zeros((height, width), np.bool_)
    mask[y : y + h, x : x + w] = True
    image[mask] = 255 - image[mask]
    donor = Donor("d", image, mask, (0, 0, width, height), (width, height))
    verdict = gates.judge(Candidate(image, mask, (x, y, w, h)), scene(ground, (donor,)), GateRules(nearness=1))
    assert verdict.scores["near-copy"] == pytest.approx(1, abs=1e-3)
    assert all(np.isfinite(score) for score in verdict.scores.values())
    assert verdict.scores["outside"] == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_variation_is_exact_where_it_can_be(channels: int) -> None:
    ground = host(channels)
    ground.flags.writeable = False
    assert vary(ground, Variation()) is ground
    assert np.array_equal(vary(ground, Variation(flip_x=True)), ground[:, ::-1])
    assert np.array_equal(vary(ground, Variation(flip_y=True)), ground[::-1])
    assert np.array_equal(vary(ground, Variation(True, True)), ground[::-1, ::-1])
    assert float(vary(ground, Variation(gain=1.1)).mean() / ground.mean()) == pytest.approx(1.1, abs=0.01)


@settings(max_examples=examples(40), deadline=None)
@given(
    angle=st.floats(-10, 10),
    shift=st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2)),
    size=st.tuples(st.integers(20, 90), st.integers(20, 90)),
)
def test_a_turned_host_shows_nothing_from_outside(
    angle: float, shift: tuple[float, float], size: tuple[int, int]
) -> None:
    variation = Variation(False, False, angle, shift)
    assert vary(np.full(size, 200, np.uint8), variation).shape == size
    corners = np.array([[-0.5, -0.5], [size[1] - 0.5, -0.5], [-0.5, size[0] - 0.5], [size[1] - 0.5, size[0] - 0.5]])
    matrix = matrix_of(variation, size[1], size[0])
    if matrix is not None:
        back = cv2.invertAffineTransform(matrix)
        seen = corners @ back[:, :2].T + back[:, 2]
        assert seen.min() >= -0.51
        assert (seen <= np.array([size[1], size[0]]) - 0.49).all()


def test_object_and_texture_are_told_apart() -> None:
    ground = np.full((200, 260), 205, np.uint8)
    ground += (np.indices(ground.shape).sum(axis=0) // 30).astype(np.uint8)  # uneven light
    cv2.ellipse(ground, (130, 100), (80, 22), 20, 0, 360, (90,), -1)
    mask = foreground.find(ground)
    assert mask is not None
    truth = cv2.ellipse(np.zeros((200, 260), np.uint8), (130, 100), (80, 22), 20, 0, 360, (1,), -1).astype(np.bool_)
    assert (mask & truth).sum() / (mask | truth).sum() > 0.85
    assert foreground.find(host()) is None
    assert foreground.find(host(1)) is None
    assert foreground.find(np.full((50, 50), 7, np.uint8)) is None
    assert foreground.find(np.zeros((3, 5, 3), np.uint8)) is None


def test_collars_stay_in_the_image() -> None:
    assert collared((50, 60, 10, 10), 200, 200) == (10, 20, 90, 90)
    assert collared((0, 190, 10, 10), 200, 200) == (0, 150, 50, 50)
    assert collared((0, 0, 200, 200), 200, 200) == (0, 0, 200, 200)
    assert collared((100, 100, 200, 4), 1000, 1000) == (50, 50, 300, 104)
    cells = Structure(((60.0, 0.0), (0.0, 20.0)))
    assert collared((200, 300, 10, 10), 1000, 1000, cells) == (80, 180, 250, 250)
    sample = Sample("a", "a.png", "hole", 200, 200)
    assert DonorRef(sample, (0, 5, 3, 3), (9,), ((1, 6),)).touches_border
    assert not DonorRef(sample, (1, 5, 3, 3), (9,), ((2, 6),)).touches_border


@pytest.mark.parametrize("quality", [50, 92])
@pytest.mark.parametrize("grey", [True, False])
def test_jpeg_hosts_keep_their_codec(tmp_path: Path, quality: int, grey: bool) -> None:
    from PIL import Image as Pillow

    ground = cv2.blur(host(1 if grey else 3), (3, 3)).astype(np.uint8)
    path = tmp_path / "host.jpeg"
    Pillow.fromarray(ground).save(path, quality=quality, subsampling=-1 if grey else 1)
    how = codec.of_file(path)
    decoded = read(path)
    again = tmp_path / "again.jpeg"
    again.write_bytes(codec.encode(decoded, how))
    assert how.suffix == ".jpeg"
    with Pillow.open(path) as a, Pillow.open(again) as b:
        assert a.quantization == b.quantization  # type: ignore[attr-defined]
        assert (a.mode, getattr(a, "layer", None)) == (b.mode, getattr(b, "layer", None))
    # Encoding decoded pixels with the same tables all but returns them; other tables would not.
    assert float(cv2.absdiff(read(again), decoded).mean()) < (0.1 if grey else 1.5)
    png = tmp_path / "host.png"
    Pillow.fromarray(ground).save(png)
    assert codec.of_file(png) == codec.Codec(".png")


def test_masks_of_a_varied_host_follow_it() -> None:
    ground = np.full((60, 80), 200, np.uint8)
    cv2.circle(ground, (30, 25), 9, (40,), -1)
    mask: Mask = ground < 100
    variation = Variation(True, False, 6.0, (0.05, -0.03))
    moved = vary(ground, variation) < 120
    followed = vary_mask(mask, variation)
    assert (moved & followed).sum() / (moved | followed).sum() > 0.9
