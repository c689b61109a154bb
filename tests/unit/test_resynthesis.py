"""Resynthesis: new instances, exact masks, on textures and on objects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.scenes import SIDE, carpet, carpet_scene, check_candidate, donor, facts, iou_with_change

from carpet_data.synthesis.contract import Candidate, Image, Mask, Redraw, Scene
from carpet_data.synthesis.methods.resynthesis import Resynthesis, ResynthesisParameters
from carpet_data.synthesis.ops.donor_style import measure
from carpet_data.synthesis.ops.guided_quilting import LaidDonor
from carpet_data.synthesis.ops.pose import sides_of
from carpet_data.synthesis.ops.stain_transfer import stained

CLASSES = ["hole", "cut", "color", "thread", "metal_contamination"]


def render(scene: Scene, seed: int = 0, **parameters: Any) -> Candidate:
    return Resynthesis().render(scene, ResynthesisParameters(**parameters), np.random.default_rng(seed))


def attempt(scene: Scene, seed: int, **parameters: Any) -> Candidate | None:
    try:
        return render(scene, seed, **parameters)
    except Redraw:
        return None


def drawn_until_made(scene: Scene, **parameters: Any) -> Candidate:
    """The first draw of eight that gives an image, as the engine does it."""
    made = next((made for seed in range(8) if (made := attempt(scene, seed, **parameters)) is not None), None)
    assert made is not None
    return made


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("class_name", CLASSES)
def test_every_class_of_the_carpet(class_name: str, grey: bool) -> None:
    scene = carpet_scene(class_name, grey=grey)
    before = scene.host.copy()
    made = drawn_until_made(scene)
    check_candidate(scene, made)
    assert (scene.host == before).all()
    assert iou_with_change(scene, made) > 0.8


@pytest.mark.parametrize("class_name", ["hole", "cut"])
def test_the_mask_is_what_was_replaced(class_name: str) -> None:
    scene = carpet_scene(class_name)
    assert iou_with_change(scene, drawn_until_made(scene)) > 0.9


def test_the_same_seed_gives_the_same_image_and_another_seed_another() -> None:
    scene = carpet_scene("hole")
    first, second, other = render(scene, 4), render(scene, 4), render(scene, 5)
    assert (first.image == second.image).all()
    assert (first.mask == second.mask).all()
    assert first.drawn == second.drawn
    assert (first.image != other.image).any()


def test_new_instances_are_no_copies() -> None:
    """No donor, laid on the instance in its drawn direction, agrees with it as it does with itself."""
    scene = carpet_scene("cut")
    made = render(scene, 2, turn="none")
    x, y, width, height = cv2.boundingRect(made.mask.astype(np.uint8))
    cut = made.image[y : y + height, x : x + width]
    for flip in (False, True):
        for one in scene.donors:
            image = np.ascontiguousarray(one.image[:, ::-1] if flip else one.image)
            rows, columns = min(cut.shape[0], image.shape[0]), min(cut.shape[1], image.shape[1])
            top, left = (cut.shape[0] - rows) // 2, (cut.shape[1] - columns) // 2
            template = np.ascontiguousarray(cut[top : top + rows, left : left + columns])
            assert np.max(cv2.matchTemplate(image, template, cv2.TM_CCOEFF_NORMED)) < 0.9


def test_a_stain_keeps_the_texture_of_its_host() -> None:
    scene = carpet_scene("color")
    made = render(scene, 1, fill="tint")
    assert made.drawn["fill"] == "tint"
    depth = cv2.distanceTransform(made.mask.astype(np.uint8), cv2.DIST_L2, 3)
    inside = depth > 6
    fine = []
    for image in (scene.host, made.image):
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        fine.append((grey - cv2.GaussianBlur(grey, (0, 0), 6))[inside])
    assert np.corrcoef(*fine)[0, 1] > 0.9
    assert np.abs(made.image[inside].astype(float).mean() - scene.host[inside].mean()) > 8


def test_the_stains_of_the_carpet_are_transferred_and_nothing_else() -> None:
    fills = {name: drawn_until_made(carpet_scene(name)).drawn["fill"] for name in CLASSES}
    assert fills == {name: "tint" if name == "color" else "quilt" for name in CLASSES}


def test_stains_are_recognized_by_texture_and_brightness() -> None:
    clean = carpet("good", 3).image
    y, x = np.mgrid[:SIDE, :SIDE]
    mask = np.hypot(x - 160, y - 160) < 60
    dyed, covered = clean.copy(), clean.copy()
    dyed[mask] = (clean[mask] * 0.55).astype(np.uint8)
    covered[mask] = 40
    tiny = np.zeros_like(mask)
    tiny[100, 100] = True
    for image, marked, expected in (
        (dyed, mask, True),
        (covered, mask, False),
        (clean, mask, False),
        (dyed, tiny, False),
    ):
        one = donor(image, marked)
        assert (measure(one.image, one.mask, is_object=False).style == "tint") is expected


def spot_scene(mask: Mask, *, host: tuple[int, ...] = (SIDE, SIDE), value: int = 10) -> Scene:
    image = carpet("good", 4).image.copy()
    image[mask] = value
    return Scene(carpet("good", 0).image[: host[0], : host[1]], None, (donor(image, mask),), (), facts(mask))


def test_a_defect_of_one_pixel() -> None:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[100, 120] = True
    scene = spot_scene(mask, value=255)
    made = drawn_until_made(scene)
    check_candidate(scene, made)
    assert made.mask.sum() < 60


@pytest.mark.parametrize("edge", ["left", "top", "right", "bottom"])
def test_a_defect_at_the_border_stays_at_the_border(edge: str) -> None:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    y, x = np.mgrid[:SIDE, :SIDE]
    middle = {"left": (0, 150), "right": (SIDE - 1, 150), "top": (150, 0), "bottom": (150, SIDE - 1)}[edge]
    mask[np.hypot(x - middle[0], y - middle[1]) < 40] = True
    scene = spot_scene(mask)
    assert sides_of(scene.donors[0]) == {edge}
    made = drawn_until_made(scene)
    check_candidate(scene, made)
    touched = {
        "left": made.mask[:, 0].any(),
        "right": made.mask[:, -1].any(),
        "top": made.mask[0].any(),
        "bottom": made.mask[-1].any(),
    }
    opposite = {"left": "right", "right": "left"}.get(edge, edge)
    assert touched[edge] or touched[opposite]
    assert made.mask.sum() > 0.4 * mask.sum()


def test_a_host_smaller_than_the_donor_gives_an_image_or_a_redraw() -> None:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[60:260, 80:240] = True
    scene = spot_scene(mask, host=(90, 70))
    made = [one for seed in range(8) if (one := attempt(scene, seed)) is not None]
    assert len(made) >= 2
    for one in made:
        check_candidate(scene, one)


def test_donors_without_defect_are_a_redraw() -> None:
    scene = carpet_scene("hole", count=1)
    empty = replace(scene.donors[0], mask=np.zeros_like(scene.donors[0].mask))
    with pytest.raises(Redraw):
        render(replace(scene, donors=(empty,)))


def test_one_donor_three_times_is_one_donor() -> None:
    scene = carpet_scene("hole", count=1)
    check_candidate(scene, drawn_until_made(replace(scene, donors=scene.donors * 3)))


def club(angle_deg: float, spot_at: tuple[int, int] | None) -> tuple[Image, Mask, Mask]:
    """A club on a bright ground, thick at one end, its defect at `spot_at`; image, defect, object."""
    rng = np.random.default_rng(int(angle_deg))
    canvas = np.full((SIDE, SIDE), 205, np.uint8)
    body, spot = np.zeros_like(canvas), np.zeros_like(canvas)
    cv2.rectangle(body, (60, 150), (250, 170), 1, -1)
    cv2.rectangle(body, (230, 135), (260, 185), 1, -1)
    if spot_at is not None:
        cv2.circle(spot, spot_at, 7, 1, -1)
    turn = cv2.getRotationMatrix2D((160, 160), angle_deg, 1.0)
    body, spot = (cv2.warpAffine(part, turn, (SIDE, SIDE), flags=cv2.INTER_NEAREST) for part in (body, spot))
    canvas[body > 0], canvas[spot > 0] = 90, 20
    noisy = canvas + rng.normal(0, 2, canvas.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), spot > 0, body > 0


@pytest.mark.parametrize("turn", [0, 70, 200])
@pytest.mark.parametrize("spot_at", [(110, 160), (245, 145)])
def test_on_an_object_the_defect_keeps_its_part(spot_at: tuple[int, int], turn: int) -> None:
    image, mask, body = club(0, spot_at)
    host, _, foreground = club(turn, None)
    scene = Scene(host, foreground, (donor(image, mask, foreground=body),), (), facts(mask, is_object=True))
    made = drawn_until_made(scene)
    check_candidate(scene, made, may_miss=0.3)
    wanted = cv2.getRotationMatrix2D((160, 160), turn, 1.0) @ np.array([*spot_at, 1])
    y, x = np.nonzero(made.mask)
    assert np.hypot(x.mean() - wanted[0], y.mean() - wanted[1]) < 12
    assert foreground[made.mask].mean() > 0.9


def test_null_samples_have_no_mask() -> None:
    scene = carpet_scene("hole", count=1)
    good = carpet("good", 5).image
    made = drawn_until_made(replace(scene, null=True, donors=(donor(good, carpet("hole").mask),)))
    assert not made.mask.any()
    assert (made.image != scene.host).any()


@pytest.mark.parametrize("marked", [True, False])
def test_a_donor_that_is_all_stain_or_none_is_drawn_again(marked: bool) -> None:
    window = np.full((60, 60, 3), 120, np.uint8)
    shape = np.zeros((60, 60), np.bool_)
    shape[20:40, 20:40] = True
    whole = np.full((60, 60), marked)
    with pytest.raises(Redraw, match="no clean texture"):
        stained(window, shape, LaidDonor(window, whole, np.ones_like(whole)), np.random.default_rng(0))
