"""What is measured on a donor and its host before a paste: how to blend, what has to be kept, where the object lies."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from carpet_data.synthesis.contract import Donor, Image, Mask, Redraw, Scene
from carpet_data.synthesis.methods.donor_geometry import NOTHING_KEPT, Kept, Rhythm
from carpet_data.synthesis.methods.donor_parameters import DonorPasteParameters
from carpet_data.synthesis.ops.donor_style import RICH_TEXTURE, Character, Style, measure, tightened
from carpet_data.synthesis.ops.masks import mask_box, window_of
from carpet_data.synthesis.ops.period import period
from carpet_data.synthesis.ops.pixels import in_channels
from carpet_data.synthesis.ops.pose import Pose, pose_of
from carpet_data.synthesis.ops.relief import relief_of

COLLAR_USED_PX: dict[Style, int] = {"tint": 40, "relief": 20, "cutout": 16, "seam": 32}
_OBJECT_COLLAR_PX = 48
_RELIEF_COLLAR_PX = 40
_WOVEN_STRENGTH = 0.15
_PERIOD_SIDE_PX = 192
_COLLAR_PX, _COLLAR_FRAC = 24, 0.25
_GRAINED = 0.08
"""A texture of more contrast than this shows through a relief that is multiplied with it: the donor's own is taken."""


@dataclass(frozen=True, slots=True, eq=False)
class PasteJob:
    """One paste: the scene, its donor in the host's channels, what was measured on both.

    Attributes:
        rhythm: The host's weave, where the way of blending has to keep it; 0, 0 elsewhere.
        poses: Of the host's and of the donor's object; None on textures.
        extent: bool, of the size of the donor's cut: how far its change of the texture reaches, for a relief; None
            where the mask says it.
        kept: What a turn must not change.
    """

    scene: Scene
    p: DonorPasteParameters
    donor: Donor
    character: Character
    rhythm: Rhythm
    poses: tuple[Pose, Pose] | None
    extent: Mask | None = None
    kept: Kept = NOTHING_KEPT

    @property
    def style(self) -> Style:
        """The way of blending."""
        return self.character.style

    @property
    def woven(self) -> bool:
        """Whether a weave has to be kept."""
        return self.rhythm != (0, 0)

    @property
    def host_size(self) -> tuple[int, int]:
        """Width and height."""
        return self.scene.host.shape[1], self.scene.host.shape[0]


def prepared(scene: Scene, p: DonorPasteParameters, rng: np.random.Generator) -> PasteJob:
    """Measure a scene's first donor and its host.

    Raises:
        Redraw: The donor's mask is empty.
    """
    whole = some_components(whole_donor(scene), p.split_share, rng)
    donor = near(whole, _OBJECT_COLLAR_PX if scene.facts.is_object else _collar_of(whole.mask))
    character = measure(donor.image, donor.mask, is_object=scene.facts.is_object)
    if p.blend != "auto":
        character = replace(character, style=p.blend)
    keeps_weave = character.texture >= RICH_TEXTURE and character.style in ("tint", "seam")
    rhythm = _rhythm(scene.host) if keeps_weave and not scene.facts.is_object else (0, 0)
    job = PasteJob(scene, p, donor, character, rhythm, _poses(scene, donor))
    if p.structure == "keep" and not scene.facts.is_object:
        job = _keeping(job, near(whole, _RELIEF_COLLAR_PX))
    if job.style == "cutout" and job.extent is None and p.mask == "visible":
        job = replace(job, donor=replace(donor, mask=tightened(donor.image, donor.mask)))
    return job


def _collar_of(mask: Mask) -> int:
    """How much of a collar says what a texture is like: farther away another part of it may begin."""
    _, _, width, height = mask_box(mask)
    return min(max(_COLLAR_PX, int(_COLLAR_FRAC * max(width, height))), max(COLLAR_USED_PX.values()))


def _keeping(job: PasteJob, wide: Donor) -> PasteJob:
    """The job with what its turn must not change; `wide` is its donor with all of the collar that shading may reach."""
    own, host = (None if s is None else s.direction_deg for s in (job.donor.structure, job.scene.structure))
    if own is not None and host is not None:
        job = replace(job, kept=Kept(turn_deg=(own, host)))
    return job if job.woven or job.scene.null else _with_relief(job, wide)


def _with_relief(job: PasteJob, wide: Donor) -> PasteJob:
    """The job of a donor that is lit from one side: it keeps its light, and takes along all that it shades."""
    found = relief_of(wide.image, wide.mask)
    if not found.is_lit:
        return job
    character = job.character
    if job.p.blend == "auto":
        character = replace(character, style="seam" if character.texture >= _GRAINED else "relief")
    kept = Kept(light=True, flips=job.scene.flips)
    return replace(job, donor=wide, character=character, extent=found.extent, kept=kept)


def whole_donor(scene: Scene) -> Donor:
    """The first donor, in grayscale or RGB as the host is.

    Raises:
        Redraw: Its mask is empty.
    """
    donor = scene.donors[0]
    if not donor.mask.any():
        raise Redraw(f"the mask of the donor {donor.id} is empty")
    return replace(donor, image=in_channels(donor.image, scene.host))


def some_components(donor: Donor, share: float, rng: np.random.Generator) -> Donor:
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


def near(donor: Donor, used: int) -> Donor:
    """The donor with no more than `used` pixels of its collar: time goes with the pixels."""
    return _part(donor, window_of(donor.mask, used))


def used_of(job: PasteJob) -> tuple[Donor, Mask | None]:
    """The donor with as much of its collar as its way of blending uses, and its extent in it."""
    used = COLLAR_USED_PX[job.style] if job.poses is None else _OBJECT_COLLAR_PX
    if job.extent is None:
        return near(job.donor, used), None
    window = window_of(job.extent, used)
    return _part(job.donor, window), job.extent[window]


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
