"""donor-paste: a real defect, warped, on a clean image.

After Crop-Paste (Lin et al., "Few-shot defect segmentation via augmenting with crop-paste", 2021), with what it leaves
out: the weave continues through the seam, stains keep the host's texture, and the mask shows what can be seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from pydantic import BaseModel

from carpet_data.synthesis.contract import Candidate, Donor, Image, Mask, Method, Redraw, Scene
from carpet_data.synthesis.methods import donor_geometry, lattice_paste
from carpet_data.synthesis.methods.donor_geometry import Geometry, Rhythm
from carpet_data.synthesis.methods.donor_parameters import DonorPasteParameters
from carpet_data.synthesis.ops import blend, color, placement, warp
from carpet_data.synthesis.ops.compositing import candidate
from carpet_data.synthesis.ops.donor_style import RICH_TEXTURE, Character, Style, measure, tightened
from carpet_data.synthesis.ops.masks import depth_of, disc, grown, parts_below, window_of
from carpet_data.synthesis.ops.period import period
from carpet_data.synthesis.ops.pixels import blurred, in_channels
from carpet_data.synthesis.ops.pose import Pose, object_in_cut, pose_of, same_place, share_on_object, sides_of
from carpet_data.synthesis.ops.visible import visible_change
from carpet_data.synthesis.ops.warp import Patch

_MIN_VISIBLE_SHARE = 0.3
_WOVEN_STRENGTH = 0.15
_PERIOD_SIDE_PX = 192
_OBJECT_REACH_FRAC = 0.04
_OBJECT_STAY = 0.05
_SMALL_PX = 1500
_TINY_PX = 60
_ON_OBJECT = 0.7
_SMOOTH_PX = 1.5
_SPECK_FRAC = 0.01
_COLLAR_PX, _COLLAR_FRAC = 24, 0.25
_COLLAR_USED_PX: dict[Style, int] = {"tint": 40, "relief": 20, "cutout": 16, "seam": 32}


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
            donor = _some_components(_whole_donor(scene), p.split_share, rng)
            return lattice_paste.render(scene, donor, lattices, p, rng)
        job = _prepared(scene, p, rng)
        geometry = _geometry(job, rng)
        patch, x, y, mismatch = _placed(job, geometry, rng)
        place = np.s_[y : y + patch.size[1], x : x + patch.size[0]]
        below = scene.host[place]
        foreground = None if patch.foreground is None or scene.foreground is None else scene.foreground[place]
        if job.style in ("seam", "cutout"):  # the others carry ratios over, which are in no light
            patch = patch.with_image(color.match(patch.image, below, _collar(patch, foreground), p.light))
        image, region, energy = _blended(job, patch, below, foreground, rng)
        drawn: dict[str, Any] = {"blend": job.style, **geometry.to_json(), "at": [x, y]}
        if mismatch is not None:
            drawn["mismatch"] = round(mismatch, 3)
        if energy is not None:
            drawn["seam_energy"] = round(energy, 3)
            if abs(energy) > p.max_seam and not scene.null:
                raise Redraw(f"the seam would be seen (energy {energy:.2f})")
        mask = np.zeros_like(patch.mask) if scene.null else _final_mask(image, below, patch, region, p)
        return candidate(scene.host, (x, y), image, mask, drawn)


@dataclass(frozen=True, slots=True, eq=False)
class _PasteJob:
    """One paste: the scene, its donor in the host's channels, what was measured on both.

    Attributes:
        rhythm: The host's weave, where the way of blending has to keep it; 0, 0 elsewhere.
        poses: Of the host's and of the donor's object; None on textures.
    """

    scene: Scene
    p: DonorPasteParameters
    donor: Donor
    character: Character
    rhythm: Rhythm
    poses: tuple[Pose, Pose] | None

    @property
    def style(self) -> Style:
        return self.character.style

    @property
    def woven(self) -> bool:
        return self.rhythm != (0, 0)

    @property
    def host_size(self) -> tuple[int, int]:
        return self.scene.host.shape[1], self.scene.host.shape[0]


def _prepared(scene: Scene, p: DonorPasteParameters, rng: np.random.Generator) -> _PasteJob:
    donor = _whole_donor(scene)
    donor = _near(_some_components(donor, p.split_share, rng), max(_COLLAR_USED_PX.values()))
    character = measure(donor.image, donor.mask, is_object=scene.facts.is_object)
    if p.blend != "auto":
        character = replace(character, style=p.blend)
    if character.style == "cutout" and p.mask == "visible":
        donor = replace(donor, mask=tightened(donor.image, donor.mask))
    keeps_weave = character.texture >= RICH_TEXTURE and character.style in ("tint", "seam")
    rhythm = _rhythm(scene.host) if keeps_weave and not scene.facts.is_object else (0, 0)
    return _PasteJob(scene, p, donor, character, rhythm, _poses(scene, donor))


def _whole_donor(scene: Scene) -> Donor:
    donor = scene.donors[0]
    if not donor.mask.any():
        raise Redraw(f"the mask of the donor {donor.id} is empty")
    return replace(donor, image=in_channels(donor.image, scene.host))


def _some_components(donor: Donor, share: float, rng: np.random.Generator) -> Donor:
    """The donor, or at times only some of its components, where they lie far enough apart."""
    if rng.random() >= share:
        return donor
    count, labels, stats, _ = cv2.connectedComponentsWithStats(donor.mask.view(np.uint8))
    chosen = rng.random(max(count - 1, 1)) < 0.5
    if count <= 2 or chosen.all():
        return donor
    if not chosen.any():
        chosen[int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))] = True
    kept = np.concatenate([[False], chosen])[labels]
    rows, columns = window_of(kept)
    collar = max(_COLLAR_PX, round(_COLLAR_FRAC * max(columns.stop - columns.start, rows.stop - rows.start)))
    window = window_of(kept, collar)
    if (donor.mask & ~kept)[window].any():
        return donor  # too near: the collar would carry the others' pixels
    return _part(replace(donor, mask=kept), window)


def _near(donor: Donor, used: int) -> Donor:
    """The donor with no more than `used` pixels of its collar: time goes with the pixels."""
    return _part(donor, window_of(donor.mask, used))


def _part(donor: Donor, window: tuple[slice, slice]) -> Donor:
    mask = donor.mask[window]
    box = (donor.box[0] + window[1].start, donor.box[1] + window[0].start, mask.shape[1], mask.shape[0])
    return replace(donor, image=donor.image[window], mask=mask, box=box)


def _rhythm(host: Image) -> Rhythm:
    """The weave's period, looked for in the host's middle; 0, 0 where nothing repeats clearly."""
    along_x, along_y, strength = period(host, _PERIOD_SIDE_PX)
    return (along_x, along_y) if strength >= _WOVEN_STRENGTH else (0, 0)


def _poses(scene: Scene, donor: Donor) -> tuple[Pose, Pose] | None:
    if scene.foreground is None or donor.foreground is None:
        return None
    host, own = pose_of(scene.foreground), pose_of(donor.foreground)
    return None if host is None or own is None else (host, own)


def _geometry(job: _PasteJob, rng: np.random.Generator) -> Geometry:
    if job.poses is not None:
        return donor_geometry.on_object(job.character, *job.poses, job.p, rng)
    return donor_geometry.on_texture(job.donor, job.character, job.rhythm, job.host_size, job.p, rng)


def _placed(job: _PasteJob, geometry: Geometry, rng: np.random.Generator) -> tuple[Patch, int, int, float | None]:
    """The donor warped, its corner on the host, and the mismatch of its collar there where it was measured."""
    scene, p = job.scene, job.p
    donor = _near(job.donor, _COLLAR_USED_PX[job.style])
    image, mask = warp.turned(donor.image, donor.mask, geometry.quarters, geometry.flip)
    patch = warp.apply(
        image,
        mask,
        geometry.matrix,
        geometry.inner,
        rng,
        foreground=object_in_cut(donor) if job.poses is not None else None,
        sharp=job.style != "tint",
    )
    if not patch.mask.any():
        raise Redraw("nothing is left of the defect after the warp")
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
    _check_on_object(scene.foreground, donor, patch, x, y)
    return patch, x, y, mismatch


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


def _blended(
    job: _PasteJob, patch: Patch, below: Image, foreground: Mask | None, rng: np.random.Generator
) -> tuple[Image, Mask, float | None]:
    """The blended pixels, the region that may belong to the mask, and the seam's energy where there is a seam."""
    if job.style == "tint":
        grain = max(3.0, 0.35 * max(job.rhythm))
        image, alpha = blend.tint(patch, below, grain)
        if rng.random() < job.p.merge_share:
            second = Patch(patch.image[::-1, ::-1], patch.mask[::-1, ::-1], patch.valid[::-1, ::-1])
            image, more = blend.tint(second, image, grain)
            alpha = np.maximum(alpha, more)
        return image, alpha > 0.3, None
    if job.style == "relief":
        image, alpha = blend.relief(patch, below)
        return image, alpha > 0.2, None
    if job.style == "cutout":
        image, alpha = blend.cutout(patch, below, job.p.feather_px)
        return image, alpha > 0.1, None
    return _with_seam(job, patch, below, foreground)


def _with_seam(job: _PasteJob, patch: Patch, below: Image, foreground: Mask | None) -> tuple[Image, Mask, float]:
    within = depth_of(patch.mask)
    depth = float(within.max())
    if job.woven:
        # Annotators draw loosely around damage of a weave: inside their outline there is good weave to cut in.
        inner, outward = within > min(0.12 * depth, 10.0), float(np.clip(0.2 * depth, 3, 12))
    else:
        # Around damage with an edge of its own they draw tightly, and a cut along that edge would be a seam.
        inner, outward = grown(patch.mask, 2) & patch.valid, float(np.clip(0.15 * depth, 1.5, 4))
    if foreground is not None and patch.foreground is not None:
        inner = inner | _outline_moved(patch, patch.foreground != foreground)
    outer = ((depth_of(~(patch.mask | inner)) <= outward) & patch.valid) | inner
    smooth = max(6.0, 0.8 * max(job.rhythm)) if job.woven else 4.0
    image, alpha, energy = blend.seam(patch, below, inner, outer, smooth)
    # The cut follows single yarns; annotators draw smooth outlines, so a ragged mask would be a cue.
    region = blurred(alpha, 4.0 if job.woven else 1.5) > 0.5
    if not job.woven:
        # Between a tight outline and the cut lies texture that is exchanged for its like; that is not a defect.
        region &= grown(patch.mask, 1) | visible_change(image, below, job.p.visible_levels, 3)
    return image, region, energy


def _outline_moved(patch: Patch, differs: Mask) -> Mask:
    """Where the defect has moved the object's outline: parts that only one of the two shows, next to the mask.

    They come from the donor too, or a bent tip would lie beside the host's straight one.
    """
    opened = cv2.morphologyEx((differs & patch.valid).view(np.uint8), cv2.MORPH_OPEN, disc(2))
    count, labels = cv2.connectedComponents(opened)
    touched = np.zeros(count, np.bool_)
    touched[np.unique(labels[grown(patch.mask, 2)])] = True
    touched[0] = False
    return grown(touched[labels], 3) & patch.valid


def _final_mask(image: Image, below: Image, patch: Patch, region: Mask, p: DonorPasteParameters) -> Mask:
    """The mask that follows the visible change, or the annotators', grown as asked."""
    small = patch.mask.sum() < _SMALL_PX
    visible = visible_change(image, below, p.visible_levels, 1 if small else 5)
    closed = cv2.morphologyEx(visible.view(np.uint8), cv2.MORPH_CLOSE, disc(1 if small else 3))
    shown = (np.asarray(closed) > 0) & region
    if shown.sum() < _MIN_VISIBLE_SHARE * patch.mask.sum():
        raise Redraw("the defect cannot be seen on this host")
    mask = patch.mask
    if p.mask == "visible":
        # Specks are noise at the threshold, not defects.
        mask = shown & ~parts_below(shown, max(1.0, _SPECK_FRAC * int(shown.sum())))
        # People draw rounded outlines, and a ragged one would be a cue; tiny masks stay as they are.
        mask = mask if mask.sum() < _TINY_PX else blurred(mask, _SMOOTH_PX) > 0.5
    return grown(mask, p.dilate_px) if p.dilate_px else mask
