"""donor-paste: a real defect, warped, on a clean image.

After Crop-Paste (Lin et al., "Few-shot defect segmentation via augmenting with crop-paste", 2021), with what it leaves
out: the weave continues through the seam, stains keep the host's texture, and the mask shows what can be seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import BaseModel

from carpet_data.synthesis.contract import Candidate, Donor, Image, Mask, Method, Redraw, Scene
from carpet_data.synthesis.methods import donor_geometry, lattice_paste
from carpet_data.synthesis.methods.donor_blend import blended, final_mask
from carpet_data.synthesis.methods.donor_geometry import Geometry
from carpet_data.synthesis.methods.donor_parameters import DonorPasteParameters
from carpet_data.synthesis.methods.paste_job import PasteJob, prepared, some_components, used_of, whole_donor
from carpet_data.synthesis.ops import color, placement, warp
from carpet_data.synthesis.ops.compositing import candidate
from carpet_data.synthesis.ops.masks import grown
from carpet_data.synthesis.ops.pixels import grey
from carpet_data.synthesis.ops.pose import Pose, object_in_cut, same_place, share_on_object, sides_of
from carpet_data.synthesis.ops.registration import bent
from carpet_data.synthesis.ops.warp import Patch

_OBJECT_REACH_FRAC = 0.04
_OBJECT_STAY = 0.05
_ON_OBJECT = 0.7
_BENT_LEAST_PX = 40
_BENT_LIKENESS = 0.7
_EXACT_PX, _BENT_PX = 0.3, 8.0


class DonorPaste(Method):
    """Cut a training defect with its collar, warp it, find its place, match its light, blend it."""

    # Version 2 keeps the structure of textures: lattices, directions, the light on a relief.
    version = 2
    donors_needed = 1
    makes_nulls = True
    Parameters: type[BaseModel] = DonorPasteParameters

    def render(self, scene: Scene, parameters: DonorPasteParameters, rng: np.random.Generator) -> Candidate:
        """Paste the scene's first donor on its host.

        Raises:
            Redraw: It has no room, lands off the object, does not join the host, or cannot be seen.
        """
        p = parameters
        lattices = lattice_paste.lattices_of(scene, scene.donors[0])
        if lattices is not None and p.blend == "auto" and p.structure == "keep":
            donor = some_components(whole_donor(scene), p.split_share, rng)
            return lattice_paste.render(scene, donor, lattices, p, rng)
        job = prepared(scene, p, rng)
        geometry = _geometry(job, rng)
        patch, x, y, mismatch = _placed(job, geometry, rng)
        place = np.s_[y : y + patch.size[1], x : x + patch.size[0]]
        below = scene.host[place]
        foreground = None if patch.foreground is None or scene.foreground is None else scene.foreground[place]
        if job.style in ("seam", "cutout"):  # the others carry ratios over, which are in no light
            match = color.match if job.poses is None else color.gain_matched
            patch = patch.with_image(match(patch.image, below, _collar(patch, foreground), p.light))
        made = blended(job, patch, below, foreground, rng)
        drawn: dict[str, Any] = {"blend": job.style, **geometry.to_json(), "at": [x, y]}
        if mismatch is not None:
            drawn["mismatch"] = round(mismatch, 3)
        if job.kept.light:
            drawn["lit"] = True
        if made.energy is not None:
            drawn["seam_energy"] = round(made.energy, 3)
            if abs(made.energy) > p.max_seam and not scene.null:
                raise Redraw(f"the seam would be seen (energy {made.energy:.2f})")
        mask = np.zeros_like(patch.mask) if scene.null else final_mask(made, below, patch, p)
        return candidate(scene.host, (x, y), made.image, mask, drawn, around=made.around)


def _geometry(job: PasteJob, rng: np.random.Generator) -> Geometry:
    if job.poses is not None:
        return donor_geometry.on_object(job.character, *job.poses, job.p, rng)
    return donor_geometry.on_texture(job.donor, job.character, job.rhythm, job.host_size, job.p, rng, job.kept)


def _placed(job: PasteJob, geometry: Geometry, rng: np.random.Generator) -> tuple[Patch, int, int, float | None]:
    """The donor warped, its corner on the host, and the mismatch of its collar there where it was measured."""
    scene, p = job.scene, job.p
    donor, extent = used_of(job)
    patch = _warped(job, donor, extent, geometry, rng)
    if job.poses is not None:
        x, y = _on_same_part(donor, patch, geometry, *job.poses)
        reach = (max(2, round(_OBJECT_REACH_FRAC * job.poses[0].length_px)),) * 2
        limit, stay = p.max_mismatch_object, _OBJECT_STAY
    else:
        sides = geometry.after(sides_of(job.donor))
        x, y = placement.anywhere(patch.mask, job.host_size, sides, _center(scene, p, rng), rng)
        along_x, along_y = (round(p.align_periods * side) for side in job.rhythm)
        reach = (0 if sides & {"left", "right"} else along_x, 0 if sides & {"top", "bottom"} else along_y)
        limit, stay = p.max_mismatch, 0.0
    patch, x, y = placement.clip(patch, x, y, job.host_size)
    mismatch = None
    if job.style == "seam" and max(reach) > 0:
        x, y, mismatch = placement.align(scene.host, patch, x, y, _collar(patch, None), reach, stay)
        if mismatch > limit and not scene.null:
            raise Redraw(f"the collar does not continue the host's pattern (mismatch {mismatch:.2f})")
    if job.poses is not None and job.style == "seam" and not scene.null:
        patch = _coinciding(patch, scene.host[y : y + patch.size[1], x : x + patch.size[0]])
    _check_on_object(scene.foreground, donor, patch, x, y)
    return patch, x, y, mismatch


def _coinciding(patch: Patch, below: Image) -> Patch:
    """The patch bent by a few pixels where that makes the object around its defect coincide with the host's."""
    clean = patch.valid & ~grown(patch.mask, 3)
    if min(patch.size) < _BENT_LEAST_PX or np.count_nonzero(clean) < _BENT_LEAST_PX**2:
        return patch
    still = np.eye(2, 3)
    inverse, likeness = bent(grey(below), grey(patch.image), clean, still)
    corners = np.array([[0, 0, 1], [patch.size[0], 0, 1], [0, patch.size[1], 1], [*patch.size, 1]], np.float64)
    moved = float(np.abs(corners @ (inverse - still).T).max())
    if likeness < _BENT_LIKENESS or not _EXACT_PX < moved <= _BENT_PX:
        return patch
    return warp.moved(patch, inverse)


def _warped(job: PasteJob, donor: Donor, extent: Mask | None, geometry: Geometry, rng: np.random.Generator) -> Patch:
    image, mask = warp.turned(donor.image, donor.mask, geometry.quarters, geometry.flip)
    if extent is not None:
        _, extent = warp.turned(donor.image, extent, geometry.quarters, geometry.flip)
    foreground = object_in_cut(donor) if job.poses is not None else None
    sharp = job.style != "tint"
    patch = warp.apply(
        image, mask, geometry.matrix, geometry.inner, rng, foreground=foreground, extent=extent, sharp=sharp
    )
    if not patch.mask.any():
        raise Redraw("nothing is left of the defect after the warp")
    return patch


def _on_same_part(donor: Donor, patch: Patch, geometry: Geometry, host: Pose, own: Pose) -> tuple[int, int]:
    """The corner that puts the cut where it lay on the donor's object."""
    x, y, width, height = donor.box
    there = same_place((x + (width - 1) / 2, y + (height - 1) / 2), own, host, geometry.matrix)
    return round(there[0] - (patch.size[0] - 1) / 2), round(there[1] - (patch.size[1] - 1) / 2)


def _center(scene: Scene, p: DonorPasteParameters, rng: np.random.Generator) -> tuple[float, float] | None:
    """Where the defect's middle should be, as shares of the host; None for anywhere."""
    if scene.foreground is not None and scene.foreground.any():
        ys, xs = np.nonzero(scene.foreground[::4, ::4])
        if len(xs):
            i = int(rng.integers(len(xs)))
            return 4 * float(xs[i]) / scene.foreground.shape[1], 4 * float(ys[i]) / scene.foreground.shape[0]
    if p.place == "train" and scene.facts.centers_frac:
        x, y = scene.facts.centers_frac[int(rng.integers(len(scene.facts.centers_frac)))]
        return x + float(rng.normal(0, 0.04)), y + float(rng.normal(0, 0.04))
    return None


def _collar(patch: Patch, foreground: Mask | None) -> Mask:
    """The collar's pixels; where objects are known, those that show object on both or background on both."""
    collar = patch.valid & ~grown(patch.mask, 2)
    return collar if foreground is None or patch.foreground is None else collar & (patch.foreground == foreground)


def _check_on_object(foreground: Mask | None, donor: Donor, patch: Patch, x: int, y: int) -> None:
    """A defect of an object belongs on the object, as much as it did on the donor's."""
    if foreground is None:
        return
    expected = share_on_object(donor)
    on_host = float(foreground[y : y + patch.size[1], x : x + patch.size[0]][patch.mask].mean())
    if on_host < _ON_OBJECT * (0.5 if expected is None else expected):
        raise Redraw("the defect would lie off the object")
