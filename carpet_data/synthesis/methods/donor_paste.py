"""Donor paste: a real defect, warped, on a clean image.

After Crop-Paste (Lin et al. 2021) and its kin, with what they leave out: the weave runs on through the seam, stains
keep the host's texture, and the mask says what can be seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from pydantic import BaseModel

from carpet_data.synthesis.contract import Candidate, Donor, Image, Mask, Method, Redraw, Scene
from carpet_data.synthesis.methods.donor_parameters import DonorPasteParameters
from carpet_data.synthesis.ops import blend, color, placement, pose, warp
from carpet_data.synthesis.ops.donor_style import RICH_TEXTURE, Style, measure, tightened
from carpet_data.synthesis.ops.placement import Pose
from carpet_data.synthesis.ops.pose import Rhythm
from carpet_data.synthesis.ops.warp import Patch

_MIN_VISIBLE_SHARE = 0.3
_WOVEN_STRENGTH = 0.15
_OBJECT_REACH_FRAC = 0.04
_OBJECT_STAY = 0.05
_SMALL_PX = 1500
_TINY_PX = 60
_ON_OBJECT = 0.7
_SMOOTH_PX = 1.5
_COLLAR_PX, _COLLAR_FRAC = 24, 0.25
_COLLAR_USED_PX: dict[Style, int] = {"tint": 40, "relief": 20, "cutout": 16, "seam": 32}


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """A patch over its place on the host.

    Attributes:
        patch: In its own light.
        x: Column of its corner.
        y: Row of its corner.
        mismatch: Of its collar with the host, where that was measured.
    """

    patch: Patch
    x: int
    y: int
    mismatch: float | None


class DonorPaste(Method):
    """Cut a train defect with its collar, warp it, find its place, match its light, blend it."""

    version = 1
    donors_needed = 1
    makes_nulls = True
    Parameters: type[BaseModel] = DonorPasteParameters

    def render(self, scene: Scene, parameters: DonorPasteParameters, rng: np.random.Generator) -> Candidate:
        """Paste the scene's first donor on its host.

        Raises:
            Redraw: It has no room, lands off the object, does not join the host, or cannot be seen.
        """
        p = parameters
        donor = _of_kind(scene.donors[0], scene.host)
        if not donor.mask.any():
            raise Redraw(f"the mask of the donor {donor.id} is empty")
        donor = _some_components(donor, p.split_share, rng)
        donor = _near(donor, max(_COLLAR_USED_PX.values()))
        character = measure(donor.image, donor.mask, is_object=scene.facts.is_object)
        if p.blend != "auto":
            character = replace(character, style=p.blend)
        style = character.style
        if style == "cutout" and p.mask == "visible":
            donor = replace(donor, mask=tightened(donor.image, donor.mask))
        woven = character.texture >= RICH_TEXTURE and style in ("tint", "seam") and not scene.facts.is_object
        rhythm = _rhythm(scene.host) if woven else (0, 0)
        poses = _poses(scene, donor)
        if poses is not None:
            drawn = pose.on_object(character, *poses, p, rng)
        else:
            size = (scene.host.shape[1], scene.host.shape[0])
            drawn = pose.on_texture(donor, character, rhythm, placement.sides_of(donor), size, p, rng)
        placed = _place(scene, donor, drawn, style, rhythm, poses, p, rng)
        patch, x, y = placed.patch, placed.x, placed.y
        rows, columns = slice(y, y + patch.size[1]), slice(x, x + patch.size[0])
        below = scene.host[rows, columns]
        there = None if patch.thing is None or scene.foreground is None else scene.foreground[rows, columns]
        if style in ("seam", "cutout"):  # the others carry ratios over, which are in no light
            patch = patch.with_image(color.match(patch.image, below, _collar(patch, there), p.light))
        blended, region, energy = _blend(patch, below, there, style, rhythm, p, rng)
        record: dict[str, Any] = {"blend": style, **drawn.to_json(), "at": [x, y]}
        if placed.mismatch is not None:
            record["mismatch"] = round(placed.mismatch, 3)
        if energy is not None:
            record["seam_energy"] = round(energy, 3)
            if abs(energy) > p.max_seam and not scene.null:
                raise Redraw(f"the seam would be seen (energy {energy:.2f})")
        result, mask = scene.host.copy(), np.zeros(scene.host.shape[:2], np.bool_)
        result[rows, columns] = blended
        if not scene.null:
            mask[rows, columns] = _final_mask(blended, below, patch, region, p)
        return Candidate(result, mask, (x, y, *patch.size), record)


def _poses(scene: Scene, donor: Donor) -> tuple[Pose, Pose] | None:
    """The poses of the host's and the donor's objects; None on textures."""
    if scene.foreground is None or donor.foreground is None:
        return None
    host, own = placement.pose_of(scene.foreground), placement.pose_of(donor.foreground)
    return None if host is None or own is None else (host, own)


def _place(
    scene: Scene,
    donor: Donor,
    drawn: pose.Geometry,
    style: Style,
    rhythm: Rhythm,
    poses: tuple[Pose, Pose] | None,
    p: DonorPasteParameters,
    rng: np.random.Generator,
) -> _Placed:
    """Warp the donor and find its place on the host.

    Raises:
        Redraw: There is none.
    """
    sides = drawn.after(placement.sides_of(donor))
    donor = _near(donor, _COLLAR_USED_PX[style])
    image, mask = warp.turned(donor.image, donor.mask, drawn.quarters, drawn.flip)
    thing = _thing_in_cut(donor) if poses is not None else None
    matrix = warp.similarity(drawn.angle_deg, drawn.scale_x, drawn.scale_y)
    patch = warp.apply(image, mask, matrix, drawn.inner, rng, thing=thing, sharp=style != "tint")
    if not patch.mask.any():
        raise Redraw("nothing is left of the defect after the warp")
    host_size = (scene.host.shape[1], scene.host.shape[0])
    if poses is not None:
        x, y = _same_part(donor, patch, matrix, *poses)
        reach, limit = (max(2, round(_OBJECT_REACH_FRAC * poses[0].length_px)),) * 2, p.max_mismatch_object
        stay = _OBJECT_STAY
    else:
        x, y = placement.anywhere(patch, host_size, sides, _centre(scene, p, rng), rng)
        periods = tuple(round(p.align_periods * side) for side in rhythm)
        reach = (0 if sides.left or sides.right else periods[0], 0 if sides.top or sides.bottom else periods[1])
        limit, stay = p.max_mismatch, 0.0
    patch, x, y = placement.clip(patch, x, y, host_size)
    mismatch = None
    if style == "seam" and max(reach) > 0:
        x, y, mismatch = placement.align(scene.host, patch, x, y, _collar(patch, None), reach, stay)
        if mismatch > limit and not scene.null:
            raise Redraw(f"the collar does not continue the host's pattern (mismatch {mismatch:.2f})")
    _check_on_object(scene.foreground, donor, patch, x, y)
    return _Placed(patch, x, y, mismatch)


def _collar(patch: Patch, foreground: Mask | None) -> Mask:
    """The collar's pixels; where objects are known, those that show object on both or ground on both."""
    collar = patch.valid & ~blend.grown(patch.mask, 2)
    return collar if foreground is None or patch.thing is None else collar & (patch.thing == foreground)


def _of_kind(donor: Donor, host: Image) -> Donor:
    """The donor with as many channels as the host."""
    if donor.image.ndim == host.ndim:
        return donor
    code = cv2.COLOR_RGB2GRAY if host.ndim == 2 else cv2.COLOR_GRAY2RGB
    return replace(donor, image=np.asarray(cv2.cvtColor(donor.image, code), np.uint8))


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
    table = np.concatenate([[False], chosen])
    kept = table[labels]
    x, y, width, height = placement.mask_box(kept)
    others = donor.mask & ~kept
    collar = max(_COLLAR_PX, round(_COLLAR_FRAC * max(width, height)))
    rows = slice(max(0, y - collar), y + height + collar)
    columns = slice(max(0, x - collar), x + width + collar)
    if others[rows, columns].any():
        return donor  # too near: the collar would carry the others' pixels
    cut_height, cut_width = kept[rows, columns].shape
    box = (donor.box[0] + columns.start, donor.box[1] + rows.start, cut_width, cut_height)
    return replace(donor, image=donor.image[rows, columns], mask=kept[rows, columns], box=box)


def _rhythm(host: Image) -> Rhythm:
    """The weave's period, looked for in the host's middle; 0, 0 where nothing repeats clearly."""
    height, width = host.shape[:2]
    rows, columns = slice(max(0, height // 2 - 96), height // 2 + 96), slice(max(0, width // 2 - 96), width // 2 + 96)
    along_x, along_y, strength = placement.period(host[rows, columns])
    return (along_x, along_y) if strength >= _WOVEN_STRENGTH else (0, 0)


def _near(donor: Donor, used: int) -> Donor:
    """The donor with no more than `used` pixels of its collar: time goes with the pixels."""
    x, y, width, height = placement.mask_box(donor.mask)
    left, top = max(0, x - used), max(0, y - used)
    rows, columns = slice(top, y + height + used), slice(left, x + width + used)
    mask = donor.mask[rows, columns]
    box = (donor.box[0] + left, donor.box[1] + top, mask.shape[1], mask.shape[0])
    return replace(donor, image=donor.image[rows, columns], mask=mask, box=box)


def _same_part(donor: Donor, patch: Patch, matrix: warp.FloatArray, host: Pose, own: Pose) -> tuple[int, int]:
    """The corner that puts the cut where it lay on the donor's object."""
    x, y, width, height = donor.box
    middle = np.array([x + (width - 1) / 2 - own.centre[0], y + (height - 1) / 2 - own.centre[1]])
    there = matrix @ middle + np.array(host.centre)
    return round(float(there[0]) - (patch.size[0] - 1) / 2), round(float(there[1]) - (patch.size[1] - 1) / 2)


def _centre(scene: Scene, p: DonorPasteParameters, rng: np.random.Generator) -> tuple[float, float] | None:
    """Where the defect's middle should be, as shares of the host; None for anywhere."""
    if scene.foreground is not None and scene.foreground.any():
        ys, xs = np.nonzero(scene.foreground[::4, ::4])
        if len(xs):
            i = int(rng.integers(len(xs)))
            return 4 * float(xs[i]) / scene.foreground.shape[1], 4 * float(ys[i]) / scene.foreground.shape[0]
    if p.place == "train" and scene.facts.centres_frac:
        x, y = scene.facts.centres_frac[int(rng.integers(len(scene.facts.centres_frac)))]
        return x + float(rng.normal(0, 0.04)), y + float(rng.normal(0, 0.04))
    return None


def _thing_in_cut(donor: Donor) -> Mask | None:
    if donor.foreground is None:
        return None
    x, y, width, height = donor.box
    return donor.foreground[y : y + height, x : x + width]


def _elsewhere(patch: Patch, foreground: Mask) -> Mask:
    """Where the defect has moved the object's outline: parts that only one of the two shows, next to the mask.

    They come from the donor too, or a bent tip would lie beside the host's straight one.
    """
    assert patch.thing is not None
    differs = ((patch.thing != foreground) & patch.valid).view(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    opened = np.asarray(cv2.morphologyEx(differs, cv2.MORPH_OPEN, disc))
    count, labels = cv2.connectedComponents(opened)
    touched = np.zeros(count, np.bool_)
    touched[np.unique(labels[blend.grown(patch.mask, 2)])] = True
    touched[0] = False
    return np.asarray(blend.grown(touched[labels], 3) & patch.valid)


def _check_on_object(foreground: Mask | None, donor: Donor, patch: Patch, x: int, y: int) -> None:
    """A defect of an object belongs on the object, as much as it did on the donor's."""
    if foreground is None:
        return
    rows, columns = slice(y, y + patch.size[1]), slice(x, x + patch.size[0])
    on_host = float(foreground[rows, columns][patch.mask].mean())
    expected = 0.5
    if donor.foreground is not None:
        left, top, width, height = donor.box
        expected = float(donor.foreground[top : top + height, left : left + width][donor.mask].mean())
    if on_host < _ON_OBJECT * expected:
        raise Redraw("the defect would lie off the object")


def _blend(
    patch: Patch,
    below: Image,
    foreground: Mask | None,
    style: Style,
    rhythm: Rhythm,
    p: DonorPasteParameters,
    rng: np.random.Generator,
) -> tuple[Image, Mask, float | None]:
    """The blended pixels, the region that may belong to the mask, and the seam's energy where there is a seam."""
    woven = rhythm != (0, 0)
    grain = max(3.0, 0.35 * max(rhythm)) if woven else 3.0
    if style == "tint":
        image, alpha = blend.tint(patch, below, grain)
        if rng.random() < p.merge_share:
            second = Patch(patch.image[::-1, ::-1], patch.mask[::-1, ::-1], patch.valid[::-1, ::-1])
            image, more = blend.tint(second, image, grain)
            alpha = np.maximum(alpha, more)
        return image, alpha > 0.3, None
    if style == "relief":
        image, alpha = blend.relief(patch, below)
        return image, alpha > 0.2, None
    if style == "cutout":
        image, alpha = blend.cutout(patch, below, p.feather_px)
        return image, alpha > 0.1, None
    within = np.asarray(cv2.distanceTransform(patch.mask.view(np.uint8), cv2.DIST_L2, 3))
    depth = float(within.max())
    if woven:
        # Annotators draw loosely around damage of a weave: inside their outline there is good weave to cut in.
        inward, outward = min(0.12 * depth, 10.0), float(np.clip(0.2 * depth, 3, 12))
        inner = np.asarray(within > inward)
    else:
        # Around damage with an edge of its own they draw tightly, and a cut along that edge would be a seam.
        inner, outward = blend.grown(patch.mask, 2) & patch.valid, float(np.clip(0.15 * depth, 1.5, 4))
    if foreground is not None:
        inner = inner | _elsewhere(patch, foreground)
    reached = cv2.distanceTransform((~(patch.mask | inner)).view(np.uint8), cv2.DIST_L2, 3)
    outer = (np.asarray(np.asarray(reached) <= outward) & patch.valid) | inner
    smooth = max(6.0, 0.8 * max(rhythm)) if woven else 4.0
    image, alpha, energy = blend.seam(patch, below, inner, outer, smooth)
    # The cut follows single yarns; annotators draw smooth outlines, so a ragged mask would be a cue.
    region = np.asarray(np.asarray(cv2.GaussianBlur(alpha, (0, 0), 4.0 if woven else 1.5)) > 0.5)
    if not woven:
        # Between a tight outline and the cut lies ground that is exchanged for its like; that is no defect.
        region &= blend.grown(patch.mask, 1) | blend.visible_change(image, below, p.visible_levels, 3)
    return image, region, energy


def _final_mask(image: Image, below: Image, patch: Patch, region: Mask, p: DonorPasteParameters) -> Mask:
    """The mask that follows the visible change, or the annotators', grown as asked.

    Raises:
        Redraw: Too little of the defect can be seen.
    """
    small = patch.mask.sum() < _SMALL_PX
    visible = blend.visible_change(image, below, p.visible_levels, 1 if small else 5)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3) if small else (7, 7))
    closed = np.asarray(cv2.morphologyEx(visible.view(np.uint8), cv2.MORPH_CLOSE, disc)) > 0
    shown = closed & region
    if shown.sum() < _MIN_VISIBLE_SHARE * patch.mask.sum():
        raise Redraw("the defect cannot be seen on this host")
    mask = _smooth(_without_specks(shown)) if p.mask == "visible" else patch.mask
    return blend.grown(mask, p.dilate_px) if p.dilate_px else mask


def _without_specks(mask: Mask) -> Mask:
    """The mask without components of under a hundredth of it: noise at the threshold, no defects."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8))
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.int64)
    areas[0] = 0
    keep = areas >= max(1, 0.01 * int(areas.sum()))
    keep[0] = False
    return mask if count <= 2 else np.asarray(keep[labels])


def _smooth(mask: Mask) -> Mask:
    """The mask with a rounded outline, as people draw: a ragged one would be a cue. Tiny masks stay as they are."""
    if mask.sum() < _TINY_PX:
        return mask
    return np.asarray(np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), _SMOOTH_PX)) > 0.5)
