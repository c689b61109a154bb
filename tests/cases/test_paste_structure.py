"""Pastes respect what a texture is made of: lattices, directions, light, objects."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from helpers.meshes import Mesh, bar, bent, cut_of, mesh, twill
from helpers.scenes import facts

from carpet_data.synthesis.contract import Candidate, Donor, Image, Redraw, Scene
from carpet_data.synthesis.methods.donor_parameters import DonorPasteParameters
from carpet_data.synthesis.methods.donor_paste import DonorPaste
from carpet_data.synthesis.ops.period import structure_of
from carpet_data.synthesis.ops.registration import isometries

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
