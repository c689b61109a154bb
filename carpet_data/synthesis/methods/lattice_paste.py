"""Donor paste on a lattice: wire mesh, fine twill, stripes.

The donor is laid on the host so that both lattices coincide, and then takes the host's place wherever the two differ
around the defect: a wire that is bent in the donor is gone from its old place on the host too, its ends meet wires, and
a thread runs behind the wires that it ran behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Candidate, Donor, Image, Mask, Redraw, Scene
from carpet_data.synthesis.methods.donor_parameters import DonorPasteParameters
from carpet_data.synthesis.ops import blend, lattice_light, warp
from carpet_data.synthesis.ops.compositing import candidate
from carpet_data.synthesis.ops.masks import depth_of, disc, grown
from carpet_data.synthesis.ops.pixels import blurred
from carpet_data.synthesis.ops.pose import sides_of
from carpet_data.synthesis.ops.registration import Laid, Lattice, laid_on, refined
from carpet_data.synthesis.ops.seam import rim_mismatch
from carpet_data.synthesis.ops.visible import difference
from carpet_data.synthesis.ops.warp import Inner, Patch

_LENIENT_SHARE = 0.015
"""How many attempts do with a host that is less like the donor: there may be no other."""
_COARSE_LIKENESS = 0.6
"""Before it is laid exactly, a cut agrees less."""
_REFINED_CELLS = 0.15
"""No lattice of a photograph is exact: so far from the whole number of cells a cut may lie."""
_BESIDE_PX = 3
_ON_HOST = 0.6
"""A defect that reaches the border of its own image may lie this far on the host; the rest is cut off."""
_PLACES_PX = 400
_REACH_CELLS = 0.8
_FADES_CELLS = 0.3
"""The light is the host's already: what is left is only taken up beside the cut."""
_DIFFERS = 12.0
_GRAIN = 0.5
"""Gray levels of fine detail that any camera adds: where there is no more, nothing is sharp or soft."""
_SHOWS_FRAC = 0.2
_SHOWS_CELLS = 0.1
"""What shows of a defect at least: a share of its mask, and of a cell of the lattice."""

Points: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Limits:
    """How like its host a donor has to be.

    Attributes:
        likeness: Least correlation of the two.
        hardness: Most by which the step from wires to gaps, in stops, may be larger in one of them. Beyond it, dark
            parts of a defect would turn black, or look washed out.
        sharpness: The same of what is finer than a pixel or two.
        rim: Greatest mismatch along the rim.
    """

    likeness: float
    hardness: float
    sharpness: float
    rim: float


_STRICT, _LENIENT = _Limits(0.84, 1.2, 1.6, 0.14), _Limits(0.78, 1.5, 2.5, 0.3)


def lattices_of(scene: Scene, donor: Donor) -> tuple[Lattice, Lattice] | None:
    """The lattices of donor and host; None unless both show a strict one."""
    own, other = donor.structure, scene.structure
    if own is None or other is None or own.lattice is None or other.lattice is None:
        return None
    return own.lattice, other.lattice


def render(
    scene: Scene, donor: Donor, lattices: tuple[Lattice, Lattice], p: DonorPasteParameters, rng: np.random.Generator
) -> Candidate:
    """Paste a donor on a host of the same lattice, see `lattices_of`.

    Raises:
        Redraw: The textures, their light or focus do not agree, there is no place, the rim of the paste would not
            continue the host's, or too little would show.
    """
    host, (own, other) = scene.host, lattices
    limits = _LENIENT if rng.random() < _LENIENT_SHARE else _STRICT
    clean = ~grown(donor.mask, _BESIDE_PX)
    least = -1.0 if scene.null else _COARSE_LIKENESS
    laid = laid_on(host, donor.image, clean, own, other, least, rng)
    laid = _somewhere(laid, donor, np.array(other), (host.shape[1], host.shape[0]), rng)
    shortest = min(float(np.hypot(*vector)) for vector in other)
    laid = refined(host, donor.image, clean, laid, max(2, round(_REFINED_CELLS * shortest)))
    if laid.likeness < limits.likeness and not scene.null:
        raise Redraw(f"the donor's texture does not continue the host's (correlation {laid.likeness:.2f})")
    inner = Inner(
        elastic_px=float(rng.uniform(0, p.elastic_frac)) * 2 * float(depth_of(donor.mask).max()),
        swell_frac=float(rng.uniform(*p.swell_range)),
        keep_rim=True,
    )
    patch = warp.sampled(donor.image, donor.mask, laid.inverse, laid.size, inner, rng)
    if not patch.mask.any():
        raise Redraw("nothing is left of the defect after the warp")
    return _pasted(scene, patch, laid, p, other, limits)


def _pasted(
    scene: Scene, patch: Patch, laid: Laid, p: DonorPasteParameters, lattice: Lattice, limits: _Limits
) -> Candidate:
    cells = np.array(lattice, np.float64)
    longest, cell_px = float(np.hypot(*cells.T).max()), abs(float(np.linalg.det(cells)))
    x, y = (round(n) for n in laid.corner)
    below = scene.host[y : y + patch.size[1], x : x + patch.size[0]]
    around = patch.valid & ~grown(patch.mask, _BESIDE_PX)
    contrast = lattice_light.contrast_of(patch.image, below, around)
    if not scene.null:
        _check_alike(patch.image, below, around, contrast, limits)
    patch = patch.with_image(_as_host(patch.image, below, around, longest, p.light))
    inner = grown(patch.mask, 2) & patch.valid
    inner |= _replaced(patch, below, around, _REACH_CELLS * longest)
    outer = inner | ((depth_of(~inner) <= max(5.0, 0.3 * longest)) & patch.valid)
    smooth = max(8.0, 0.8 * longest)
    image, alpha, energy = blend.seam(patch, below, inner, outer, smooth, _FADES_CELLS * longest)
    rim = rim_mismatch(patch.image, below, alpha > 0.5)
    if not scene.null:
        _check_joined(rim, energy, limits.rim, p.max_seam)
        _check_shows(image, below, patch.mask, cell_px)
    turn = laid.matrix
    drawn = {
        "blend": "lattice",
        "flip": bool(np.linalg.det(turn) < 0),
        "angle_deg": round(float(np.degrees(np.arctan2(turn[1, 0], turn[0, 0]))), 2),
        "at": [x, y],
        "contrast": round(contrast, 3),
        "likeness": round(laid.likeness, 3),
        "mismatch": round(rim, 3),
        "seam_energy": round(energy, 3),
    }
    mask = np.zeros_like(patch.mask) if scene.null else patch.mask
    return candidate(scene.host, (x, y), image, mask, drawn, around=alpha > 0)


def _as_host(image: Image, below: Image, around: Mask, longest: float, strength: float) -> Image:
    """The donor in the tones, as sharp, and in the light of the host, as far as its intact lattice says."""
    # First the focus, because a blur makes wires lighter.
    image = lattice_light.as_sharp(image, below, around, lattice_light.contrast_of(image, below, around))
    image = lattice_light.tone_matched(image, below, around, strength)
    return lattice_light.lit_alike(image, below, around, 0.4 * longest, strength)


def _check_alike(image: Image, below: Image, around: Mask, contrast: float, limits: _Limits) -> None:
    """Contrast and focus can be matched only so far: a donor of other light belongs on another host."""
    hardness = lattice_light.hardness_of(image, below, around)
    if not 1 / limits.hardness <= hardness <= limits.hardness:
        raise Redraw(f"the host is lit too differently from the donor (contrast in stops {hardness:.2f})")
    own, other = (lattice_light.sharpness_of(each, around) + _GRAIN for each in (image, below))
    sharpness = other / (own * contrast)
    if not 1 / limits.sharpness <= sharpness <= limits.sharpness:
        raise Redraw(f"the host is not as sharp as the donor (ratio {sharpness:.2f})")


def _check_joined(rim: float, energy: float, max_rim: float, max_energy: float) -> None:
    if rim > max_rim:
        raise Redraw(f"the rim does not continue the host's texture (mismatch {rim:.2f})")
    if abs(energy) > max_energy:
        raise Redraw(f"the seam would be seen (energy {energy:.2f})")


def _check_shows(image: Image, below: Image, mask: Mask, cell_px: float) -> None:
    """A defect that the border cuts off, or that looks like its host, is not an example of its class."""
    shown = int(np.count_nonzero((difference(image, below) > _DIFFERS) & mask))
    if shown < max(_SHOWS_FRAC * np.count_nonzero(mask), _SHOWS_CELLS * cell_px):
        raise Redraw(f"too little of the defect shows ({shown} pixels)")


def _somewhere(laid: Laid, donor: Donor, cells: Points, host: tuple[int, int], rng: np.random.Generator) -> Laid:
    """The cut a whole number of cells away, anywhere on a host (width, height) where its defect has room.

    What was cut off by the border of the donor's image has to lie beyond the border of the host.

    Raises:
        Redraw: There is no such place.
    """
    inside, cut_off = _points(donor.mask, laid), _points(donor.mask & _at_border(donor), laid)
    extent = np.array(host, np.float64)
    reach = int(np.ceil((extent.max() + max(laid.size)) / float(np.hypot(*cells.T).min()))) + 1
    steps = np.arange(-reach, reach + 1)
    shifts = (steps[:, None, None] * cells[0] + steps[None, :, None] * cells[1]).reshape(-1, 2)
    low, high = inside.min(axis=0) + shifts, inside.max(axis=0) + shifts
    if len(cut_off) == 0:
        fitting = shifts[((low >= 2) & (high <= extent - 3)).all(axis=1)]
    else:
        near = shifts[((high >= 8) & (low <= extent - 9)).all(axis=1)]
        fitting = np.array([s for s in near if _cut_at_border(inside + s, cut_off + s, extent)]).reshape(-1, 2)
    if len(fitting) == 0:
        raise Redraw("the defect has no place on the host's lattice")
    return laid.moved(fitting[int(rng.integers(len(fitting)))])


def _cut_at_border(inside: Points, cut_off: Points, extent: Points) -> bool:
    out = (cut_off < 2) | (cut_off > extent - 3)
    if not out.any(axis=1).all():
        return False
    shown = ((inside >= 0) & (inside <= extent - 1)).all(axis=1)
    return float(shown.mean()) >= _ON_HOST


def _points(mask: Mask, laid: Laid) -> Points:
    """Where some pixels of a cut's mask lie on the host: n x 2, x and y."""
    rows, columns = np.nonzero(mask)
    step = max(1, len(rows) // _PLACES_PX)
    points = np.stack([columns[::step], rows[::step]], axis=1).astype(np.float64)
    there = (points - laid.inverse[:, 2]) @ np.linalg.inv(laid.inverse[:, :2]).T
    return np.asarray(there + np.array(laid.corner))


def _at_border(donor: Donor) -> Mask:
    """The two outermost rows and columns of a cut at the borders of its image that the defect reaches."""
    found, sides = np.zeros(donor.mask.shape, np.bool_), sides_of(donor)
    for side, place in (("left", np.s_[:, :2]), ("top", np.s_[:2]), ("right", np.s_[:, -2:]), ("bottom", np.s_[-2:])):
        if side in sides:
            found[place] = True
    return found


def _replaced(patch: Patch, below: Image, around: Mask, reach_px: float) -> Mask:
    """Where donor and host differ next to the defect: a wire of the one without its like in the other."""
    seen = blurred(difference(patch.image, below), 1.5)
    far = around & (depth_of(~patch.mask) > reach_px)
    usual = float(np.percentile(seen[far], 80)) if far.any() else 0.0
    differs = (seen > max(_DIFFERS, 2.0 * usual)) & patch.valid & (depth_of(~patch.mask) <= reach_px)
    opened = np.asarray(cv2.morphologyEx(differs.view(np.uint8), cv2.MORPH_OPEN, disc(1)), np.uint8)
    count, labels = cv2.connectedComponents((opened > 0).view(np.uint8), connectivity=8)
    touched = np.zeros(count, np.bool_)
    touched[np.unique(labels[grown(patch.mask, 4)])] = True
    touched[0] = False
    return grown(touched[labels], 2) & patch.valid
