"""Images of 12 bits in 16-bit files: what synthesis makes of them is as deep, in the same range."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import carpet_data as cd
from carpet_data.core.images import encode_png, read_deep
from carpet_data.synthesis.engine.depth import deepened, full_scale, scaled, spread
from carpet_data.synthesis.engine.plan import Variation
from carpet_data.synthesis.engine.scene_loader import vary, vary_deep
from carpet_data.weave.image import generator, render

SIDE = 160


def twelve_bits(image: NDArray[np.uint8], seed: int) -> NDArray[np.uint16]:
    """As a 12-bit camera would have seen it: no level is left out."""
    fine = np.random.default_rng(seed).uniform(-0.5, 0.5, image.shape)
    return np.clip((image + fine) * 12.0, 0, 3152).astype(np.uint16)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared set of gray 12-bit frames of the sample carpet."""
    root = tmp_path_factory.mktemp("deep") / "frames"
    for name, count in (("good", 6), ("hole", 4)):
        for number in range(count):
            made = render(name, generator(3, "train", name, number, SIDE), SIDE)
            gray = cv2.cvtColor(made.image, cv2.COLOR_RGB2GRAY).astype(np.uint8)
            image = root / ("train/good" if name == "good" else f"test/{name}") / f"{number:03d}.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            image.write_bytes(encode_png(twelve_bits(gray, number)))
            if name != "good":
                mask = root / f"ground_truth/{name}/{number:03d}_mask.png"
                mask.parent.mkdir(parents=True, exist_ok=True)
                mask.write_bytes(encode_png(made.mask))
    out = root.parent / "prepared"
    cd.prepare(root, out, workers=1)
    return out


@pytest.mark.parametrize("recipe", ["donor-paste", "resynthesis", "procedural", "nsa", "perlin", "augment"])
def test_synthetic_images_keep_depth_and_range(recipe: str, frames: Path) -> None:
    made = cd.synthesize(frames, ["hole"], n=2, options=cd.SynthesisOptions(recipe=recipe, workers=1))
    samples = [s for s in cd.read(frames).of_origin("synthetic") if (s.provenance or {})["method"] == made.method]
    assert len(samples) == 2
    for sample in samples:
        values = read_deep(frames / sample.image_path)
        assert values.dtype == np.uint16
        assert 1500 < int(values.max()) <= 4095
        # More levels than 8 bits have: none is left out, inside the defect as around it.
        assert len(np.unique(values)) > 300
        mask = read_deep(frames / str(sample.mask_path)) > 0
        assert len(np.unique(values[mask] % 16)) > 8
        provenance = sample.provenance or {}
        host = read_deep(frames / next(s.image_path for s in cd.read(frames) if s.id == provenance["host"]))
        variation = provenance["variation"]
        if recipe != "augment" and variation["gain"] == 1.0 and not provenance.get("plate"):
            same = values == host
            assert same[~cv2.dilate(mask.astype(np.uint8), np.ones((81, 81), np.uint8)).astype(np.bool_)].all()


def test_the_full_scale_is_that_of_the_camera(tmp_path: Path) -> None:
    for largest, full in ((200, 255), (1000, 1023), (3152, 4095), (16383, 16383), (40000, 65535)):
        path = tmp_path / str(largest) / "a.png"
        path.parent.mkdir()
        path.write_bytes(encode_png(np.array([[0, largest]] * 2, np.uint16)))
        assert full_scale(path.parent, [cd.Sample("a", "a.png", "good", 2, 2)]) == full
    path.write_bytes(encode_png(np.zeros((2, 2), np.uint8)))
    assert full_scale(tmp_path, []) == 255


def test_a_change_goes_back_in_depth(tmp_path: Path) -> None:
    deep = twelve_bits(np.random.default_rng(0).integers(30, 220, (40, 50, 3)).astype(np.uint8), 1)
    before = scaled(deep, 4095)
    assert np.array_equal(deepened(deep, before, before, 4095), deep)
    after = before.copy()
    after[10:20, 10:20] = 255 - after[10:20, 10:20]
    changed = deepened(deep, before, after, 4095)
    assert np.array_equal(changed != deep, np.broadcast_to((after != before), deep.shape))
    assert np.abs(scaled(changed, 4095).astype(int) - after).max() <= 1
    filled = scaled(spread(after, 4095, np.random.default_rng(0)), 4095).astype(int)
    assert np.abs(filled - after).max() <= 1
    (tmp_path / "rgb.png").write_bytes(encode_png(changed))
    assert np.array_equal(read_deep(tmp_path / "rgb.png"), changed)


@pytest.mark.parametrize(
    "variation",
    [
        Variation(),
        Variation(flip_x=True),
        Variation(flip_y=True, gain=1.02),
        Variation(True, True, 0.8, (0.01, -0.02), 0.98),
    ],
)
def test_a_deep_host_varies_as_its_8_bits_do(variation: Variation) -> None:
    smooth = cv2.GaussianBlur(np.random.default_rng(2).uniform(20, 230, (60, 80)).astype(np.float32), (0, 0), 3)
    deep = twelve_bits(smooth.astype(np.uint8), 3)
    varied = scaled(vary_deep(deep, variation, 4095), 4095).astype(int)
    assert np.abs(varied - vary(scaled(deep, 4095), variation)).max() <= 2


def test_8_bit_sets_are_untouched(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    (tmp_path / "a.png").write_bytes(encode_png(image))
    assert np.array_equal(scaled(read_deep(tmp_path / "a.png"), 255), image)


def test_doctor_warns_of_a_range_far_below_16_bits(frames: Path) -> None:
    found = [
        problem for problem in cd.doctor(frames.parent / "frames", workers=1).problems if problem.code == "deep-range"
    ]
    assert len(found) == 1
    assert found[0].severity == "warning"
    assert "10 images" in found[0].what
