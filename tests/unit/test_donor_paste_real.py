"""Donor paste on real photographs: carpet (a weave), screws (an object), magnetic tiles (smooth, grey, of any size)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from carpet_data.core.images import read
from carpet_data.synthesis.contract import Candidate, Donor, Facts, Image, Mask, Redraw, Scene
from carpet_data.synthesis.methods.donor_parameters import DonorPasteParameters
from carpet_data.synthesis.methods.donor_paste import DonorPaste
from carpet_data.synthesis.ops import donor_style, foreground
from carpet_data.synthesis.ops.pose import pose_of

pytestmark = pytest.mark.real

STYLES = {
    "color": {"tint"},
    "cut": {"seam"},
    "hole": {"seam"},
    "metal_contamination": {"cutout"},
    "thread": {"cutout", "seam"},  # two lie on the weave, one is worked into it
}
OVERLAPS = {"color": 0.88, "cut": 0.95, "hole": 0.92, "metal_contamination": 0.88, "thread": 0.88}


def load(root: Path, class_name: str, number: int, *, is_object: bool = False) -> Donor:
    path = sorted((root / "test" / class_name).iterdir())[number]
    image = read(path)
    mask = read(root / "ground_truth" / class_name / f"{path.stem}_mask.png") >= 128
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    collar = max(24, max(width, height) // 4)
    left, top = max(0, x - collar), max(0, y - collar)
    right, bottom = min(mask.shape[1], x + width + collar), min(mask.shape[0], y + height + collar)
    return Donor(
        path.stem,
        np.ascontiguousarray(image[top:bottom, left:right]),
        np.ascontiguousarray(mask[top:bottom, left:right]),
        (left, top, right - left, bottom - top),
        (mask.shape[1], mask.shape[0]),
        foreground.find(image) if is_object else None,
    )


def paste(host: Image, donor: Donor, seed: int, *, is_object: bool = False) -> Candidate | None:
    facts = Facts("any", (0.01,), (1,), ((0.5, 0.5),), 0.0, is_object)
    scene = Scene(host, foreground.find(host) if is_object else None, (donor,), (), facts)
    try:
        return DonorPaste().render(scene, DonorPasteParameters(), np.random.default_rng(seed))
    except Redraw:
        return None


def overlap(candidate: Candidate, host: Image) -> float:
    difference = cv2.absdiff(candidate.image, host)
    difference = difference if difference.ndim == 2 else difference.max(axis=2)
    changed: Mask = cv2.morphologyEx((difference > 8).view(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
    return float((changed & candidate.mask).sum() / (changed | candidate.mask).sum())


@pytest.mark.parametrize("class_name", list(STYLES))
def test_carpet_defects_join_the_weave_and_their_masks_are_true(
    class_name: str, real_data: Callable[[str], Path]
) -> None:
    root = real_data("mvtec/carpet")
    host = read(root / "test" / "good" / "000.png")
    overlaps = []
    for number in range(3):
        donor = load(root, class_name, number)
        assert donor_style.measure(donor.image, donor.mask, is_object=False).style in STYLES[class_name]
        for seed in range(2):
            made = paste(host, donor, seed)
            if made is not None:
                overlaps.append(overlap(made, host))
                assert abs(made.drawn.get("seam_energy", 0.0)) < 0.15
    assert len(overlaps) >= 4
    assert np.mean(overlaps) > OVERLAPS[class_name]


def _along(mask: Mask, image: Image) -> float:
    """How far along the screw a mask lies: 0 at the centroid, positive towards the head, in lengths of the screw."""
    found = foreground.find(image)
    assert found is not None
    return _share(mask, found)


def _along_donor(donor: Donor) -> float:
    whole = np.zeros((donor.size[1], donor.size[0]), np.bool_)
    x, y, width, height = donor.box
    whole[y : y + height, x : x + width] = donor.mask
    assert donor.foreground is not None
    return _share(whole, donor.foreground)


def _share(mask: Mask, thing: Mask) -> float:
    found = pose_of(thing)
    assert found is not None
    ys, xs = np.nonzero(mask)
    angle = np.deg2rad(found.angle_deg)
    offset = (xs.mean() - found.center[0]) * np.cos(angle) + (ys.mean() - found.center[1]) * np.sin(angle)
    return float(offset / found.length_px)


@pytest.mark.parametrize(
    "class_name", ["manipulated_front", "scratch_head", "scratch_neck", "thread_side", "thread_top"]
)
def test_screw_defects_sit_on_the_screw(class_name: str, real_data: Callable[[str], Path]) -> None:
    root = real_data("mvtec/screw_512")
    hosts = [read(path) for path in sorted((root / "train" / "good").iterdir())[:40:10]]
    made_of = 0
    for number in range(3):
        donor = load(root, class_name, number, is_object=True)
        for seed, host in enumerate(hosts):
            made = paste(host, donor, seed, is_object=True)
            if made is None:
                continue
            made_of += 1
            screw = foreground.find(host)
            assert screw is not None
            near = cv2.dilate(screw.view(np.uint8), np.ones((41, 41), np.uint8)) > 0
            assert (made.mask & near).sum() > 0.8 * made.mask.sum()
            assert _along(made.mask, host) == pytest.approx(_along_donor(donor), abs=0.08)
    assert made_of >= 6


@pytest.mark.parametrize("class_name", ["blowhole", "break", "crack", "fray", "uneven"])
def test_tiles_of_any_size_take_defects_of_any_size(class_name: str, real_data: Callable[[str], Path]) -> None:
    root = real_data("mtd")
    hosts = [read(path) for path in sorted((root / "train" / "good").iterdir())[::120]]
    made_of = 0
    for seed, host in enumerate(hosts):
        donor = load(root, class_name, 3 * seed)
        if not donor.mask.any():
            continue
        made = paste(host, donor, seed)
        if made is not None:
            made_of += 1
            assert made.image.shape == host.shape
            assert made.mask.any()
    assert made_of >= 2
