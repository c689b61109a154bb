"""Pastes respect what a texture is made of: lattices, directions, light, objects."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from helpers.leather import dent, flat
from helpers.meshes import Mesh, bar, bent, cut_of, mesh, twill
from helpers.scenes import carpet, facts
from helpers.scenes import donor as engine_cut

from carpet_data.synthesis.contract import Candidate, Donor, Image, Mask, Redraw, Scene
from carpet_data.synthesis.engine.gates import judge
from carpet_data.synthesis.methods.donor_geometry import Kept, on_texture
from carpet_data.synthesis.methods.donor_parameters import DonorPasteParameters
from carpet_data.synthesis.methods.donor_paste import DonorPaste
from carpet_data.synthesis.ops.donor_style import Character
from carpet_data.synthesis.ops.masks import window_of
from carpet_data.synthesis.ops.period import structure_of
from carpet_data.synthesis.ops.registration import isometries
from carpet_data.synthesis.ops.relief import relief_of
from carpet_data.synthesis.recipe.model import GateRules

RULES = GateRules(area_slack=20.0)
"""The facts of these scenes are those of cuts, not of whole images."""
CHARACTER = Character("relief", 1.0, 1.0, 0.0, 0.05, 4.0)
PLAIN = DonorPasteParameters(elastic_frac=0.0, swell_range=(0.0, 0.0))


def scene_of(host: Image, donor: Donor, *, null: bool = False) -> Scene:
    return Scene(host, None, (donor,), (), facts(donor.mask), null=null, structure=structure_of(host))


def pasted(scene: Scene, seed: int = 0, p: DonorPasteParameters = PLAIN) -> Candidate:
    made = (attempted(scene, p, np.random.default_rng([seed, attempt])) for attempt in range(8))
    return next(one for one in made if one is not None)


def attempted(scene: Scene, p: DonorPasteParameters, rng: np.random.Generator) -> Candidate | None:
    try:
        return DonorPaste().render(scene, p, rng)
    except Redraw:
        return None


def lengths(vectors: tuple[tuple[float, float], tuple[float, float]]) -> list[float]:
    return sorted(float(np.hypot(*vector)) for vector in vectors)


@pytest.mark.parametrize("angle", [0.0, 20.0, -37.0])
@pytest.mark.parametrize("period", [17.0, 28.0])
def test_the_lattice_of_a_mesh_is_found_to_a_fraction_of_a_pixel(angle: float, period: float) -> None:
    found = structure_of(mesh(angle_deg=angle, period=period).image)
    assert found is not None
    assert found.lattice is not None
    assert lengths(found.lattice) == pytest.approx([period, 1.4 * period], abs=0.15)


def test_what_wanders_has_no_lattice() -> None:
    rng = np.random.default_rng(4)
    grain = cv2.GaussianBlur(rng.normal(0, 60, (256, 256)).astype(np.float32), (0, 0), 2.0)
    noise = np.clip(128 + 4 * grain, 0, 255).astype(np.uint8)
    assert structure_of(noise) is None
    assert structure_of(np.full((200, 200), 90, np.uint8)) is None
    assert structure_of(np.full((20, 20, 3), 90, np.uint8)) is None


def test_stripes_are_a_lattice_and_brushing_is_a_direction() -> None:
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:256, :256]
    stripes = np.clip(128 + 60 * np.cos(2 * np.pi * (x + 0.5 * y) / 13), 0, 255).astype(np.uint8)
    found = structure_of(stripes)
    assert found is not None
    assert found.lattice is not None
    brushed = cv2.GaussianBlur(rng.normal(0, 60, (256, 256)).astype(np.float32), (0, 0), sigmaX=25.0, sigmaY=0.8)
    found = structure_of(np.clip(128 + 6 * brushed, 0, 255).astype(np.uint8))
    assert found is not None
    assert found.lattice is None
    assert found.direction_deg == pytest.approx(0.0, abs=3.0)


def test_a_lattice_goes_into_itself_by_its_symmetries_only() -> None:
    oblong = ((28.0, 0.0), (0.0, 39.0))
    assert len(isometries(oblong, oblong)) == 4
    assert len(isometries(((20.0, 0.0), (0.0, 20.0)), ((20.0, 0.0), (0.0, 20.0)))) == 8
    assert not isometries(oblong, ((10.0, 0.0), (0.0, 39.0)))


@pytest.fixture(scope="module")
def mesh_host() -> Mesh:
    return mesh()


@pytest.fixture(scope="module")
def mesh_donor() -> Donor:
    return cut_of(*bent())


@pytest.mark.parametrize("seed", range(4))
def test_a_bent_wire_leaves_no_ghost_and_its_ends_meet_wires(mesh_host: Mesh, mesh_donor: Donor, seed: int) -> None:
    made = pasted(scene_of(mesh_host.image, mesh_donor), seed)
    assert made.drawn["blend"] == "lattice"
    u, v = mesh_host.u, mesh_host.v
    deep = cv2.distanceTransform(made.mask.astype(np.uint8), cv2.DIST_L2, 5)
    row, column = (int(n) for n in np.unravel_index(int(deep.argmax()), deep.shape))
    # The wire that was bent is the one of the host beside the mask: where it ran, away from the mask, there is a gap.
    place = np.abs(v - (np.floor(v[row, column]) + 0.5)) < 0.12
    wire = (np.abs(u - np.rint(u[row, column] - 0.4)) < 0.06) | (np.abs(u - np.rint(u[row, column] + 0.4)) < 0.06)
    near = np.hypot(*(np.indices(u.shape) - np.array([row, column])[:, None, None])) < 28
    gone = wire & place & near & ~made.mask & (np.abs(u - u[row, column]) < 0.6)
    dark, bright = float(np.percentile(mesh_host.image, 3)), float(np.percentile(mesh_host.image, 90))
    gaps = [
        float(np.median(made.image[gone & (np.rint(u) == n)]))
        for n in np.unique(np.rint(u[gone]))
        if (gone & (np.rint(u) == n)).sum() > 5
    ]
    assert max(gaps) > dark + 0.75 * (bright - dark)
    # Half a pixel of phase error would move the wires around it by as much.
    around = (np.hypot(*(np.indices(u.shape) - np.array([row, column])[:, None, None])) < 60) & (
        np.hypot(*(np.indices(u.shape) - np.array([row, column])[:, None, None])) > 34
    )
    moved = np.abs(made.image.astype(int) - mesh_host.image)[around]
    assert float(np.percentile(moved, 95)) < 12


def test_the_wires_that_come_along_lie_on_the_hosts(mesh_host: Mesh, mesh_donor: Donor) -> None:
    # A null sample of a clean cut changes nothing that is wider than half a pixel of a wire's flank.
    clean = mesh(angle_deg=-15.0, phase=(0.1, 0.3), gain=0.8).image
    donor = replace(cut_of(clean, bent()[1]), structure=structure_of(clean))
    made = pasted(scene_of(mesh_host.image, donor, null=True))
    assert not made.mask.any()
    steepest = float(np.abs(np.gradient(mesh_host.image.astype(float), axis=1)).max())
    difference = np.abs(made.image.astype(int) - mesh_host.image)
    assert float(np.percentile(difference[difference > 0], 99)) < 0.5 * steepest


def test_the_mask_on_a_lattice_is_the_annotators(mesh_host: Mesh, mesh_donor: Donor) -> None:
    made = pasted(scene_of(mesh_host.image, mesh_donor))
    assert int(made.mask.sum()) == pytest.approx(int(mesh_donor.mask.sum()), rel=0.06)
    assert made.around is not None
    *_, width, height = made.box
    assert made.around.shape == (height, width)


@pytest.mark.parametrize("angle", [60.0, 35.0])
def test_a_twill_keeps_its_angle(angle: float) -> None:
    # Threads and ridges make one lattice; a broken end follows its ridge, and goes on doing so.
    ridge = angle - 90.0
    donor = cut_of(*bar(twill(angle_deg=angle, seed=1), (120, 130), (50, 8), ridge), margin=30)
    scene = scene_of(twill(angle_deg=angle, seed=2), donor)
    for seed in range(4):
        made = pasted(scene, seed)
        assert made.drawn["blend"] == "lattice"
        rows, columns = np.nonzero(made.mask)
        (_, _), _, turned = cv2.minAreaRect(np.stack([columns, rows], axis=1).astype(np.float32))
        off = abs((turned - ridge + 45.0) % 90.0 - 45.0)
        assert off < 2.0


def stripes(angle_deg: float, seed: int) -> Image:
    """Hard stripes, 13 pixels apart, of which each line runs at an angle clockwise from +x."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:256, :256].astype(np.float64)
    across = np.radians(angle_deg + 90.0)
    wave = np.sign(np.cos(2 * np.pi * ((x * np.cos(across) + y * np.sin(across)) / 13 + rng.random())))
    return np.clip(128 + 60 * wave + rng.normal(0, 5, x.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("own", "other"), [(0.0, 0.0), (0.0, 90.0), (20.0, 25.0), (-70.0, 20.0)])
def test_on_stripes_a_donor_is_turned_as_they_run(own: float, other: float) -> None:
    donor = cut_of(*bar(stripes(own, 1), (120, 120), (50, 16), own), margin=30)
    made = pasted(scene_of(stripes(other, 2), donor))
    assert made.drawn["blend"] == "lattice"
    rows, columns = np.nonzero(made.mask)
    (_, _), _, turned = cv2.minAreaRect(np.stack([columns, rows], axis=1).astype(np.float32))
    assert abs((turned - other + 45.0) % 90.0 - 45.0) < 2.0


def test_a_donor_of_another_lattice_is_refused(mesh_donor: Donor) -> None:
    with pytest.raises(Redraw, match="continue"):
        DonorPaste().render(scene_of(mesh(period=19.0).image, mesh_donor), PLAIN, np.random.default_rng(0))


def test_a_defect_that_the_border_cut_stays_at_a_border(mesh_host: Mesh) -> None:
    # The left border of the donor's image cuts a bar that lies on its mesh.
    donor = cut_of(*bar(mesh(angle_deg=-15.0, phase=(0.1, 0.3)).image, (20, 120), (100, 9), 0.0))
    for seed in range(3):
        made = pasted(scene_of(mesh_host.image, donor), seed)
        border = np.ones(made.mask.shape, np.bool_)
        border[3:-3, 3:-3] = False
        assert (made.mask & border).any()


def test_ignored_a_lattice_is_a_texture_like_any_other(mesh_host: Mesh, mesh_donor: Donor) -> None:
    made = pasted(scene_of(mesh_host.image, mesh_donor), p=PLAIN.model_copy(update={"structure": "ignore"}))
    assert made.drawn["blend"] != "lattice"


def brightness_moment(made: Candidate, host: Image, mask: Mask) -> tuple[float, float]:
    """From the dark side of a change to its bright one, around a mask's center."""
    change = made.image.astype(float) - cv2.GaussianBlur(host, (0, 0), 8)
    ys, xs = np.nonzero(mask)
    y, x = np.indices(host.shape)
    near = np.hypot(x - xs.mean(), y - ys.mean()) < 22
    return float((change * (x - xs.mean()))[near].mean()), float((change * (y - ys.mean()))[near].mean())


@pytest.mark.parametrize("light", [0.0, 45.0, -120.0])
def test_the_light_on_a_dent_is_found(light: float) -> None:
    image, mask = dent(light_deg=light)
    found = relief_of(image, mask)
    assert found.is_lit
    assert np.degrees(np.arctan2(found.light[1], found.light[0])) == pytest.approx(light, abs=20)
    assert found.extent.sum() > 1.8 * mask.sum()
    assert not (mask & ~found.extent).any()


@pytest.mark.parametrize("kind", ["stain", "hole", "thread"])
def test_what_lies_flat_is_not_lit(kind: str) -> None:
    shown = carpet({"stain": "color"}.get(kind, kind))
    assert not relief_of(shown.image, shown.mask).is_lit


def dent_scene(flips: tuple[bool, bool] = (False, False), light: float = 45.0) -> Scene:
    image, mask = dent(seed=3, light_deg=light)
    return replace(scene_of(flat(), engine_cut(image, mask)), flips=flips, structure=None)


@pytest.mark.parametrize("seed", range(5))
def test_a_dent_keeps_its_light(seed: int) -> None:
    scene = dent_scene()
    made = pasted(scene, seed)
    assert made.drawn["lit"]
    x, y = brightness_moment(made, scene.host, made.mask)
    assert min(x, y) > 0
    assert 0.4 < x / y < 2.5


@pytest.mark.parametrize("flips", [(True, False), (False, True), (True, True)])
def test_on_a_mirrored_host_the_light_is_mirrored_too(flips: tuple[bool, bool]) -> None:
    scene = dent_scene(flips)
    made = pasted(scene)
    x, y = brightness_moment(made, scene.host, made.mask)
    assert (x < 0, y < 0) == flips


def test_shading_goes_on_beyond_the_mask_which_stays_the_annotators() -> None:
    scene = dent_scene()
    made = pasted(scene)
    assert made.around is not None
    x, y, width, height = made.box
    outside = np.zeros(made.mask.shape, np.bool_)
    outside[y : y + height, x : x + width] = made.around
    outside &= ~made.mask
    change = cv2.GaussianBlur(made.image.astype(np.float32) - scene.host, (0, 0), 2)
    ring = outside & (cv2.distanceTransform((~made.mask).astype(np.uint8), cv2.DIST_L2, 5) < 8)
    assert float(np.abs(change[ring]).mean()) > 8
    scale = float(np.prod(made.drawn["scale"]))
    assert int(made.mask.sum()) == pytest.approx(scale * int(scene.donors[0].mask.sum()), rel=0.08)
    verdict = judge(made, scene, RULES)
    assert verdict.refused_by is None
    assert verdict.scores["around"] > 0.3


def test_what_changes_without_a_reason_is_still_refused() -> None:
    scene = dent_scene()
    made = pasted(scene)
    spoiled = made.image.copy()
    x, y, width, height = made.box
    inside = np.zeros(made.mask.shape, np.bool_)
    inside[y : y + height, x : x + width] = True
    spoiled[inside & ~made.mask] ^= 64
    assert judge(replace(made, image=spoiled, around=None), scene, RULES).refused_by == "outside"
    wide = np.ones((height, width), np.bool_)
    assert judge(replace(made, image=spoiled, around=wide), scene, RULES).refused_by == "around"


@pytest.mark.parametrize("turn", [0.0, 25.0, -70.0])
def test_in_a_texture_of_one_direction_lines_keep_running_along_it(turn: float) -> None:
    kept = Kept(turn_deg=(10.0, 10.0 + turn))
    for seed in range(20):
        shown = np.zeros((80, 80), np.bool_)
        shown[30:50, 38:42] = True
        donor = Donor("d", np.zeros((80, 80), np.uint8), shown, (50, 50, 80, 80), (200, 200))
        drawn = on_texture(
            donor, CHARACTER, (0, 0), (200, 200), DonorPasteParameters(), np.random.default_rng(seed), kept
        )
        line = np.array([np.cos(np.radians(10.0)), np.sin(np.radians(10.0))])
        mirrored = np.diag([-1.0, 1.0]) @ line if drawn.flip else line
        x, y = drawn.matrix @ mirrored
        off = np.degrees(np.arctan2(y, x)) - (10.0 + turn)
        assert abs((off + 90.0) % 180.0 - 90.0) < 4.0
        assert drawn.quarters in (0, 2)


def cup(shift: int = 0, glint_deg: float = 30.0, seed: int = 0) -> tuple[Image, Mask]:
    """A dark ring with a reflection, on white: its image, and where it is."""
    y, x = np.mgrid[:200, :200].astype(np.float32)
    x, y = x - 100 - shift, y - 100 + shift / 2
    distance, angle = np.hypot(x, y), np.degrees(np.arctan2(y, x))
    shade = np.where(distance < 80, 60 + 25 * np.cos(distance / 4), 235)
    glint = (np.abs(distance - 62) < 3) & (np.abs((angle - glint_deg + 180) % 360 - 180) < 40)
    shade = np.where(glint, 190, np.where(distance < 40, 30, shade))
    noise = np.random.default_rng(seed).normal(0, 1.5, shade.shape)
    return np.clip(cv2.GaussianBlur(shade.astype(np.float32), (0, 0), 0.8) + noise, 0, 255).astype(
        np.uint8
    ), distance < 80


def cup_scene(shift: int = 0) -> tuple[Scene, Mask]:
    image, thing = cup(seed=1)
    chip = np.zeros(thing.shape, np.uint8)
    cv2.ellipse(chip, (152, 100), (12, 22), 10, 0, 360, (1,), -1)
    mask = (chip > 0) & thing
    image = np.where(mask, np.random.default_rng(5).integers(130, 190, image.shape).astype(np.uint8), image)
    rows, columns = window_of(mask, 40)
    box = (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
    shown = Donor("d", image[rows, columns], mask[rows, columns], box, (200, 200), thing)
    host, foreground = cup(shift, glint_deg=200.0, seed=2)
    return Scene(host, foreground, (shown,), (), facts(mask, is_object=True)), foreground


@pytest.mark.parametrize("shift", [0, 6, -8])
def test_the_background_of_a_donor_is_never_pasted_on_an_object(shift: int) -> None:
    scene, foreground = cup_scene(shift)
    for seed in range(4):
        made = pasted(scene, seed)
        inner = cv2.erode(foreground.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        # White is the background's alone, and noise of the chip is never as white.
        assert not ((made.image > 228) & inner).any()
        # Nor is the object pasted on the background: all that changes there is the rim's blur.
        outer = cv2.dilate(foreground.astype(np.uint8), np.ones((13, 13), np.uint8)) == 0
        assert np.abs(made.image.astype(int) - scene.host)[outer].max() < 30


def test_the_reflection_beside_a_defect_stays_the_hosts() -> None:
    scene, _ = cup_scene()
    made = pasted(scene)
    # The donor's reflection runs past its chip; the host's lies on the other side.
    beside = cv2.dilate(made.mask.astype(np.uint8), np.ones((61, 61), np.uint8)) > 0
    beside &= cv2.dilate(made.mask.astype(np.uint8), np.ones((25, 25), np.uint8)) == 0
    glints = (made.image > 150) & (scene.host < 100) & beside
    assert glints.sum() < 40


def test_the_mask_on_an_object_has_the_annotators_outline() -> None:
    scene, _ = cup_scene()
    made = pasted(scene, p=PLAIN)
    assert int(made.mask.sum()) == pytest.approx(int(scene.donors[0].mask.sum()), rel=0.15)
    assert cv2.connectedComponents((~made.mask).astype(np.uint8))[0] == 2
