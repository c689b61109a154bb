"""Blend a placed donor into its host, and find the mask of what came of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask, Redraw
from carpet_data.synthesis.methods.donor_parameters import DonorPasteParameters
from carpet_data.synthesis.methods.paste_job import PasteJob
from carpet_data.synthesis.ops import blend
from carpet_data.synthesis.ops.masks import depth_of, disc, grown, parts_below
from carpet_data.synthesis.ops.pixels import blurred
from carpet_data.synthesis.ops.visible import visible_change
from carpet_data.synthesis.ops.warp import Patch

_MIN_VISIBLE_SHARE = 0.3
_SMALL_PX = 1500
_TINY_PX = 60
_SMOOTH_PX = 1.5
_SPECK_FRAC = 0.01
_MOSTLY = 0.8
_SHADING_SMOOTH_PX = 10.0
_OBJECT_CUT_PX = (4.0, 40.0)
_OBJECT_LIGHT_PX = 12.0
"""Aligned objects are lit alike: by what their light differs at a cut says nothing of what lies far from it."""


@dataclass(frozen=True, slots=True, eq=False)
class Blended:
    """What a paste made of the host's window.

    Attributes:
        image: uint8, of the window's shape.
        region: bool hxw, what may belong to the mask.
        energy: Of the seam, see `seam.seam_energy`; None where there is none.
        around: bool hxw, what changed beside the mask on purpose, as annotators left it out; None for nothing.
        as_drawn: Where most of the annotators' mask changed, the defect has their outline, not that of the change.
    """

    image: Image
    region: Mask
    energy: float | None = None
    around: Mask | None = None
    as_drawn: bool = False


def blended(job: PasteJob, patch: Patch, below: Image, foreground: Mask | None, rng: np.random.Generator) -> Blended:
    """Blend a patch into the host's window below it, where `foreground` is the host's object."""
    if job.style == "tint":
        grain = max(3.0, 0.35 * max(job.rhythm))
        image, alpha = blend.tint(patch, below, grain)
        if rng.random() < job.p.merge_share:
            second = Patch(patch.image[::-1, ::-1], patch.mask[::-1, ::-1], patch.valid[::-1, ::-1])
            image, more = blend.tint(second, image, grain)
            alpha = np.maximum(alpha, more)
        return Blended(image, alpha > 0.3)
    if job.style == "relief":
        image, alpha = blend.relief(patch, below)
        return Blended(image, alpha > 0.2, around=None if patch.extent is None else alpha > 0)
    if job.style == "cutout":
        image, alpha = blend.cutout(patch, below, job.p.feather_px)
        return Blended(image, alpha > 0.1)
    if patch.extent is not None:
        return _with_shading(patch, below)
    if foreground is not None and patch.foreground is not None:
        return _on_object(patch, below, patch.foreground != foreground)
    return _with_seam(job, patch, below)


def _with_shading(patch: Patch, below: Image) -> Blended:
    """A relief in a texture of visible grain: the donor's own pixels as far as its shading reaches, cut beyond it."""
    assert patch.extent is not None
    inner = grown(patch.extent, 1) & patch.valid
    outward = float(np.clip(0.4 * float(depth_of(inner).max()), 6, 14))
    outer = ((depth_of(~inner) <= outward) & patch.valid) | inner
    image, alpha, energy = blend.seam(patch, below, inner, outer, _SHADING_SMOOTH_PX)
    return Blended(image, alpha > 0.5, energy, alpha > 0)


def _on_object(patch: Patch, below: Image, other: Mask) -> Blended:
    """The donor's pixels on the same part of an object, where `other` says that only one of the two shows object.

    The cut may leave the mask far enough to find a way where both look alike, but not into the donor's background.
    """
    depth = float(depth_of(patch.mask).max())
    moved = _outline_moved(patch, other)
    inner = (grown(patch.mask, 2) & patch.valid) | moved
    reach = float(np.clip(depth, *_OBJECT_CUT_PX))
    outer = ((depth_of(~inner) <= reach) & patch.valid & ~other) | inner
    image, alpha, energy = blend.seam(patch, below, inner, outer, 4.0, _OBJECT_LIGHT_PX)
    # What is exchanged for its like on the way of the cut is not a defect.
    region = (blurred(alpha, 1.5) > 0.5) & (grown(patch.mask, 2) | moved)
    return Blended(image, region, energy, alpha > 0, as_drawn=True)


def _with_seam(job: PasteJob, patch: Patch, below: Image) -> Blended:
    within = depth_of(patch.mask)
    depth = float(within.max())
    if job.woven:
        # Annotators draw loosely around damage of a weave: inside their outline there is good weave to cut in.
        inner, outward = within > min(0.12 * depth, 10.0), float(np.clip(0.2 * depth, 3, 12))
    else:
        # Around damage with an edge of its own they draw tightly, and a cut along that edge would be a seam.
        inner, outward = grown(patch.mask, 2) & patch.valid, float(np.clip(0.15 * depth, 1.5, 4))
    outer = ((depth_of(~(patch.mask | inner)) <= outward) & patch.valid) | inner
    smooth = max(6.0, 0.8 * max(job.rhythm)) if job.woven else 4.0
    image, alpha, energy = blend.seam(patch, below, inner, outer, smooth)
    # The cut follows single yarns; annotators draw smooth outlines, so a ragged mask would be a cue.
    region = blurred(alpha, 4.0 if job.woven else 1.5) > 0.5
    if not job.woven:
        # Between a tight outline and the cut lies texture that is exchanged for its like; that is not a defect.
        region &= grown(patch.mask, 1) | visible_change(image, below, job.p.visible_levels, 3)
    return Blended(image, region, energy)


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


def final_mask(made: Blended, below: Image, patch: Patch, p: DonorPasteParameters) -> Mask:
    """The mask that follows the visible change, or the annotators' where asked or where more changes than they draw.

    Raises:
        Redraw: Too little of the defect can be seen.
    """
    small = patch.mask.sum() < _SMALL_PX
    visible = visible_change(made.image, below, p.visible_levels, 1 if small else 5)
    closed = cv2.morphologyEx(visible.view(np.uint8), cv2.MORPH_CLOSE, disc(1 if small else 3))
    shown = (np.asarray(closed) > 0) & made.region
    if shown.sum() < _MIN_VISIBLE_SHARE * patch.mask.sum():
        raise Redraw("the defect cannot be seen on this host")
    mask = patch.mask
    drawn = patch.extent is not None or (made.as_drawn and shown.sum() >= _MOSTLY * patch.mask.sum())
    if p.mask == "visible" and not drawn:
        # Specks are noise at the threshold, not defects.
        least = max(1.0, _SPECK_FRAC * int(shown.sum()))
        mask = shown & ~parts_below(shown, least)
        if made.as_drawn:
            mask |= parts_below(~mask, least) & patch.mask
        # People draw rounded outlines, and a ragged one would be a cue; tiny masks stay as they are.
        mask = mask if mask.sum() < _TINY_PX else blurred(mask, _SMOOTH_PX) > 0.5
    return grown(mask, p.dilate_px) if p.dilate_px else mask
