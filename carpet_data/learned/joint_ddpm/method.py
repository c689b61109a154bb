"""joint-ddpm: image and mask of a defect, denoised together, then put where they fit on a host.

Idea of Defect-Gen (Yang et al., "Defect Spectrum", ECCV 2024): a network that sees the whole crop settles the layout
while there is much noise, then one that sees only small patches makes the pixels, so that a handful of donors teaches
patches and not whole donors.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from carpet_data.learned.compose import composed
from carpet_data.learned.crops import Lesson
from carpet_data.learned.load_fitted import opened
from carpet_data.learned.windows import Window, around, cut, enlarged, mask_on
from carpet_data.synthesis.contract import Candidate, Donor, Mask, Redraw, Scene
from carpet_data.synthesis.ops.compositing import same_part, turn_between
from carpet_data.synthesis.ops.new_instance import edges_touched
from carpet_data.synthesis.ops.new_shape import cropped, turned
from carpet_data.synthesis.ops.placement import mask_box
from carpet_data.synthesis.recipe.fit_parameters import FitParameters, check_levels

if TYPE_CHECKING:
    from carpet_data.learned.fit_runtime import Place
    from carpet_data.learned.joint_ddpm.sampling import Sampler
    from carpet_data.learned.learning import Learner

__all__ = ["BLOCK_PX", "JointDdpm", "JointDdpmFit", "JointDdpmParameters"]

F32 = NDArray[np.float32]

BLOCK_PX = 2
"""Both networks see pixels in blocks so wide, see `Denoiser`."""
_SPECK_FRAC = 0.04
"""Components of less than this share of the largest are crumbs of the threshold."""
_LEAST_PEAK = 0.25
"""A mask that is nowhere surer than this is no mask."""
_SMOOTH = 0.6
"""Standard deviation in network pixels."""
_LEAST_SEEN = 0.3
_MOST_SCALE = 1.4


class JointDdpmFit(FitParameters):
    """How the two networks of `joint-ddpm`, version 1, are fitted."""

    pretrain_share: float = Field(
        default=0.3, ge=0, lt=1, description="So many of the steps learn good ground alone, from all good images."
    )
    defect_share: float = Field(
        default=0.6, gt=0, le=1, description="After that, so many crops of a step show defects."
    )
    class_dropout: float = Field(
        default=0.1, ge=0, lt=1, description="So many crops are learned without their class, for guidance."
    )
    inside_weight: float = Field(
        default=2.0, ge=0, le=100, description="How much more defect pixels count than others."
    )
    switch_frac: float = Field(
        default=0.4,
        gt=0,
        lt=1,
        description="Below this share of the noise schedule the network of small patches takes over.",
    )
    widths: tuple[Annotated[int, Field(ge=8, le=4096, multiple_of=8)], ...] = Field(
        default=(40, 72, 104),
        min_length=1,
        max_length=8,
        description="Channels of each level of the network that sees the whole crop; multiples of 8.",
    )
    patch_width: int = Field(default=80, ge=8, le=1024, description="Channels of the network of small patches.")
    patch_blocks: int = Field(
        default=4, ge=1, le=64, description="Its blocks; it sees 3 pixels to every side, and 2 more for each block."
    )

    @model_validator(mode="after")
    def _levels_fit(self) -> JointDdpmFit:
        check_levels(self.crop_px, BLOCK_PX, len(self.widths))
        return self


class JointDdpmParameters(BaseModel):
    """Parameters of `joint-ddpm`, version 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    fit: JointDdpmFit = Field(default=JointDdpmFit(), description="How the networks are fitted.")
    steps: int = Field(default=20, ge=2, le=1000, description="Denoising steps an image (DDIM, Song et al. 2021).")
    guidance: float = Field(
        default=1.5, ge=1, le=20, description="How strongly the class is asked for; 1 for as learned, at half the cost."
    )
    host_from: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="From this share of the noise on, ground outside the mask is held to the host's: 1 from the "
        "start, less leaves the network more freedom in where the defect lies.",
    )
    host_margin: float = Field(
        default=0.06,
        ge=0,
        le=0.5,
        description="Ground so near to the mask, as a share of the crop, is still the network's.",
    )
    feather_px: float = Field(
        default=2.0, ge=0, le=64, description="The change begins within so many pixels inside the mask."
    )


class JointDdpm:
    """New images of a class with masks of their own; see `JointDdpmParameters`."""

    version = 1
    donors_needed = 1
    textures_needed = 0
    learned = True
    makes_nulls = False
    least_donors = 2
    Parameters: type[BaseModel] = JointDdpmParameters

    def __init__(self) -> None:
        self._sampler: Sampler | None = None

    def learner(self, lesson: Lesson, parameters: JointDdpmParameters, place: Place) -> Learner:
        """What a fit trains.

        Raises:
            MissingExtraError: The extra `generate` is not installed.
        """
        from carpet_data.learned.joint_ddpm.learner import JointLearner

        return JointLearner(lesson, parameters, place)

    def open(self, folder: Path, device: str) -> None:
        """Load what a fit saved.

        Args:
            folder: Written by `Learner.save`.
            device: See `carpet_data.networks.devices.resolve`.

        Raises:
            DataError: The folder does not hold the networks of this method.
            MissingExtraError: The extra `generate` is not installed.
            UsageError: There is no such device.
        """
        # Imported first, for it says so where the extra is missing.
        from carpet_data.learned import fit_runtime  # noqa: F401
        from carpet_data.learned.joint_ddpm.sampling import Sampler

        self._sampler = Sampler.open(folder, device)

    def render(self, scene: Scene, parameters: JointDdpmParameters, rng: np.random.Generator) -> Candidate:
        """Make one candidate; the donor says how large the window is and, for objects, on which part it lies.

        Raises:
            Redraw: There is no place, no mask, one that leaves the window, or nothing visible.
            DataError: No model was opened, or it was fitted without the class.
        """
        sampler, name = opened(self._sampler), scene.facts.class_name
        share = sampler.share(name)
        window = _scaled(_window(scene, parameters.fit, rng), scene.donors[0], share)
        seen = cut(scene.host, window, parameters.fit.crop_px)
        pixels, coverage = sampler.on_host(seen, name, parameters, rng)
        mask = _mask(coverage, window, scene)
        image, changed = composed(scene.host, window, pixels, mask, feather_px=parameters.feather_px)
        area = int(np.count_nonzero(changed))
        if area < max(1.0, _LEAST_SEEN * np.count_nonzero(mask)):
            raise Redraw("hardly any of the change can be seen")
        drawn = {"x": window.x, "y": window.y, "side": window.side, "area_px": area}
        return Candidate(image, changed, window.box(*scene.host.shape[:2]), drawn)


def _window(scene: Scene, fit: JointDdpmFit, rng: np.random.Generator) -> Window:
    """Where on the host the networks work.

    Raises:
        Redraw: The donor has no defect pixels, or the object no such part.
    """
    donor = scene.donors[0]
    x, y, wide, high = mask_box(donor.mask)
    height, width = scene.host.shape[:2]
    if scene.foreground is not None and donor.foreground is not None:
        shape = turned(cropped(donor.mask), turn_between(donor.foreground, scene.foreground))
        rows, columns = np.nonzero(same_part(shape, (height, width), donor, scene.foreground))
        chosen = int(rng.integers(len(rows)))
        box = (int(columns[chosen]), int(rows[chosen]), shape.shape[1], shape.shape[0])
        return around(box, fit.crop_px, fit.context)
    own = around((donor.box[0] + x, donor.box[1] + y, wide, high), fit.crop_px, fit.context)
    edges = edges_touched(donor)
    return Window(
        _start(own.x, own.side, donor.size[0], width, "left" in edges, "right" in edges, rng),
        _start(own.y, own.side, donor.size[1], height, "top" in edges, "bottom" in edges, rng),
        own.side,
    )


def _scaled(window: Window, donor: Donor, share: float) -> Window:
    """The window, so large that a defect which fills its usual share has the donor's area.

    A thin donor fills little of its window, and a round defect made in it would be larger than any of the class.
    """
    wanted = math.sqrt(float(np.count_nonzero(donor.mask)) / max(share, 1e-6))
    side = round(float(np.clip(wanted, window.side / _MOST_SCALE, window.side * _MOST_SCALE)))
    shift = (window.side - side) // 2
    return Window(window.x + shift, window.y + shift, side)


def _start(own: int, side: int, whole: int, room: int, first: bool, last: bool, rng: np.random.Generator) -> int:
    """First row or column of a texture's window: anywhere, but at the edge that the donor lies on."""
    drawn = int(rng.integers(max(1, room - side + 1)))
    if first:
        return own
    if last:
        return room - (whole - own)
    return drawn if room > side else (room - side) // 2


def _mask(coverage: F32, window: Window, scene: Scene) -> Mask:
    """The mask on the host, from the share of each network pixel that is defect; bool HxW.

    Raises:
        Redraw: There is none, or it leaves the window.
    """
    if float(coverage.max()) < _LEAST_PEAK:
        raise Redraw("the network made no mask")
    # Smoothed, or the outline would show the steps of the network's pixels, which no annotator draws.
    spread = _SMOOTH * window.side / coverage.shape[0]
    full = np.asarray(cv2.GaussianBlur(enlarged(coverage, window), (0, 0), spread), np.float32)
    # A thin scratch covers its pixels only in part: its outline lies where half of that is reached.
    inner = full >= 0.5 * min(1.0, float(full.max()))
    kept = _without_specks(np.asarray(inner))
    height, width = scene.host.shape[:2]
    rims = (
        (kept[0], window.y > 0),
        (kept[-1], window.y + window.side < height),
        (kept[:, 0], window.x > 0),
        (kept[:, -1], window.x + window.side < width),
    )
    if any(inside_host and bool(rim.any()) for rim, inside_host in rims):
        raise Redraw("the defect leaves its window")
    mask = mask_on((height, width), window, kept)
    if not mask.any():
        raise Redraw("the defect lies outside the host")
    return mask


def _without_specks(mask: Mask) -> Mask:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8))
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    keep = areas >= max(1.0, _SPECK_FRAC * float(areas.max()))
    return np.asarray(keep[labels], np.bool_) if count > 1 else mask
