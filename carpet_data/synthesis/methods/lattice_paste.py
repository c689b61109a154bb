"""Donor paste on a lattice: wire mesh, fine twill, stripes.

The donor is laid on the host so that both lattices coincide, and then takes the host's place wherever the two differ
around the defect: a wire that is bent in the donor is gone from its old place on the host too, its ends meet wires, and
a thread runs behind the wires that it ran behind.
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Candidate, Donor, Image, Mask, Redraw, Scene
from carpet_data.synthesis.methods.donor_parameters import DonorPasteParameters
from carpet_data.synthesis.ops import blend, color, warp
from carpet_data.synthesis.ops.compositing import candidate
from carpet_data.synthesis.ops.masks import depth_of, disc, grown
from carpet_data.synthesis.ops.pixels import blurred, grey
from carpet_data.synthesis.ops.pose import sides_of
from carpet_data.synthesis.ops.registration import Laid, Lattice, laid_on, refined
from carpet_data.synthesis.ops.seam import rim_mismatch
from carpet_data.synthesis.ops.visible import difference
from carpet_data.synthesis.ops.warp import Inner, Patch

_LEAST_LIKENESS = 0.8
_COARSE_LIKENESS = 0.6
"""Before it is laid exactly, a cut agrees less."""
_REFINED_CELLS = 0.15
"""No lattice of a photograph is exact: so far from the whole number of cells a cut may lie."""
_BESIDE_PX = 3
_ON_HOST = 0.4
"""A defect that reaches the border of its own image may lie this far on the host; the rest is cut off."""
_PLACES_PX = 400
_REACH_CELLS = 0.8
_CONTRAST_RANGE = (0.6, 1.5)
"""Beyond it, dark parts of a defect would turn black, or it would look washed out."""
_DIFFERS = 12.0
_MAX_RIM = 0.3

Points: TypeAlias = NDArray[np.float64]


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
        Redraw: The textures do not agree, there is no place, or the rim of the paste would not continue the host's.
    """
    host, (own, other) = scene.host, lattices
    clean = ~grown(donor.mask, _BESIDE_PX)
    least = -1.0 if scene.null else _COARSE_LIKENESS
    laid = laid_on(host, donor.image, clean, own, other, least, rng)
    laid = _somewhere(laid, donor, np.array(other), (host.shape[1], host.shape[0]), rng)
    shortest, longest = sorted(float(np.hypot(*vector)) for vector in other)
    laid = refined(host, donor.image, clean, laid, max(2, round(_REFINED_CELLS * shortest)))
    if laid.likeness < _LEAST_LIKENESS and not scene.null:
        raise Redraw(f"the donor's texture does not continue the host's (correlation {laid.likeness:.2f})")
    inner = Inner(
        elastic_px=float(rng.uniform(0, p.elastic_frac)) * 2 * float(depth_of(donor.mask).max()),
        swell_frac=float(rng.uniform(*p.swell_range)),
        keep_rim=True,
    )
    patch = warp.sampled(donor.image, donor.mask, laid.inverse, laid.size, inner, rng)
    if not patch.mask.any():
        raise Redraw("nothing is left of the defect after the warp")
    return _pasted(scene, patch, laid, p, longest)


def _pasted(scene: Scene, patch: Patch, laid: Laid, p: DonorPasteParameters, longest: float) -> Candidate:
    x, y = (round(n) for n in laid.corner)
    below = scene.host[y : y + patch.size[1], x : x + patch.size[0]]
    around = patch.valid & ~grown(patch.mask, _BESIDE_PX)
    contrast = float(grey(below)[around].std()) / max(float(grey(patch.image)[around].std()), 1.0)
    if not _CONTRAST_RANGE[0] <= contrast <= _CONTRAST_RANGE[1] and not scene.null:
        raise Redraw(f"the host is lit too differently from the donor (contrast {contrast:.2f})")
    patch = patch.with_image(color.tone_matched(patch.image, below, around, p.light))
    inner = grown(patch.mask, 2) & patch.valid
    inner |= _replaced(patch, below, around, _REACH_CELLS * longest)
    outer = inner | ((depth_of(~inner) <= max(5.0, 0.3 * longest)) & patch.valid)
    image, alpha, energy = blend.seam(patch, below, inner, outer, max(8.0, 0.8 * longest))
    rim = rim_mismatch(patch.image, below, alpha > 0.5)
    if not scene.null:
        if rim > _MAX_RIM:
            raise Redraw(f"the rim does not continue the host's texture (mismatch {rim:.2f})")
        if abs(energy) > p.max_seam:
            raise Redraw(f"the seam would be seen (energy {energy:.2f})")
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
