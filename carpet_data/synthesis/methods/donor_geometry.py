"""How a donor is turned, scaled and deformed: as free as the way of blending, the weave and the object allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from carpet_data.synthesis.contract import Donor, Redraw
from carpet_data.synthesis.methods.donor_parameters import DonorPasteParameters
from carpet_data.synthesis.ops.donor_style import Character, Style
from carpet_data.synthesis.ops.masks import mask_box
from carpet_data.synthesis.ops.pixels import F32
from carpet_data.synthesis.ops.pose import Pose, Sides, mirrored, sides_of, similarity, turned_round
from carpet_data.synthesis.ops.warp import Inner

Rhythm: TypeAlias = tuple[int, int]
"""The weave's period along x and y in pixels; 0, 0 where nothing is woven."""

_STRETCH_LIMIT = 1.6
_POSE_DEG = 2.5
_POSE_FRAC = 0.03
_ELASTIC_LIMIT_PX = 6.0
"""More would bend straight yarns and scratches where nothing pulls at them."""
_KEPT_DEG = 3.0
"""So little of a turn shows neither in light nor in direction."""
_LONG = 5.0
"""A defect is long where its box's diagonal is this many times the radius of its largest disc."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a turn must not change.

    Attributes:
        light: The donor is a relief, lit from one side: it is mirrored as the host was, and not turned.
        flips: How the host was mirrored, see `Scene.flips`.
        turn_deg: The angles at which donor and host run in one direction; None where they do not.
    """

    light: bool = False
    flips: tuple[bool, bool] = (False, False)
    turn_deg: tuple[float, float] | None = None


NOTHING_KEPT = Kept()


@dataclass(frozen=True, slots=True)
class Geometry:
    """What was drawn for one paste."""

    flip: bool
    quarters: int
    angle_deg: float
    scale_x: float
    scale_y: float
    inner: Inner

    @property
    def matrix(self) -> F32:
        """2x2, from the mirrored and turned cut to the canvas."""
        return similarity(self.angle_deg, self.scale_x, self.scale_y).astype(np.float32)

    def after(self, sides: Sides) -> Sides:
        """The borders to reach once the cut is mirrored; cuts that reach one are turned half round or not at all."""
        flipped = mirrored(sides) if self.flip else sides
        return turned_round(flipped) if self.quarters == 2 else flipped

    def to_json(self) -> dict[str, object]:
        """For the provenance."""
        return {
            "flip": self.flip,
            "angle_deg": round(90.0 * self.quarters + self.angle_deg, 2),
            "scale": [round(self.scale_x, 3), round(self.scale_y, 3)],
            "swell": round(self.inner.swell_frac, 3),
            "elastic_px": round(self.inner.elastic_px, 2),
            "bend_px": round(self.inner.bend_px, 2),
        }


def on_object(
    character: Character, host: Pose, own: Pose, p: DonorPasteParameters, rng: np.random.Generator
) -> Geometry:
    """Turned and scaled as the host's object is, with a little of the donor's own change."""
    angle = host.angle_deg - own.angle_deg if host.elongated and own.elongated else 0.0
    # Poses are true to a degree or two; trying around them lets a second draw fit where the first did not.
    angle += float(rng.uniform(-1, 1)) * _POSE_DEG
    scale = float(np.clip(host.length_px / own.length_px, 0.5, 2.0))
    scale *= float(rng.uniform(1 - _POSE_FRAC, 1 + _POSE_FRAC))
    inner = Inner(
        elastic_px=float(rng.uniform(0, p.elastic_frac)) * 2 * character.depth_px,
        swell_frac=float(rng.uniform(*p.swell_range)),
        keep_rim=True,
    )
    return Geometry(False, 0, (angle + 180.0) % 360.0 - 180.0, scale, scale, inner)


def on_texture(
    donor: Donor,
    character: Character,
    rhythm: Rhythm,
    host: tuple[int, int],
    p: DonorPasteParameters,
    rng: np.random.Generator,
    kept: Kept = NOTHING_KEPT,
) -> Geometry:
    """As free as the way of blending, the weave and what has to be `kept` allow, on a host of a width and height.

    Raises:
        Redraw: A defect from border to border would be stretched too far.
    """
    style, sides, seam = character.style, sides_of(donor), character.style == "seam"
    flip = bool(rng.random() < 0.5) and p.flip
    turn = p.turn if p.turn != "auto" else _turn(style, rhythm)
    quarters = int(rng.integers(4)) * {"none": 0, "halves": 2, "quarters": 1, "free": 1}[turn] % 4
    angle = float(rng.uniform(*p.angle_range_deg)) + (float(rng.uniform(-45, 45)) if turn == "free" else 0.0)
    scale = float(np.exp(rng.uniform(*np.log(p.scale_range))))
    stretch = float(np.exp(rng.uniform(*np.log(p.stretch_range)) / 2))
    scale_x, scale_y = scale * stretch, scale / stretch
    elastic = min(float(rng.uniform(0.3, 1)) * p.elastic_frac * 2 * character.depth_px, _ELASTIC_LIMIT_PX)
    bend = float(rng.uniform(-1, 1)) * p.bend_frac
    swell = float(rng.uniform(*p.swell_range))
    _, _, width, height = mask_box(donor.mask)
    length = float(np.hypot(width, height))
    if seam and rhythm != (0, 0):
        angle, scale_x, scale_y = 0.0, 1.0, 1.0
    elif seam:
        angle /= 3  # a surface that looks even often has a grain, and the whole patch shows it
    flip, quarters, angle = _kept(flip, quarters, angle, kept)
    if sides:
        quarters, angle, bend, elastic, swell = 0, 0.0, 0.0, 0.0, 0.0
        if {"left", "right"} <= sides:
            scale_x = _spanning(donor.mask.shape[1], host[0])
        if {"top", "bottom"} <= sides:
            scale_y = _spanning(donor.mask.shape[0], host[1])
    inner = Inner(
        elastic_px=elastic,
        bend_px=bend * length if length > _LONG * character.depth_px and not seam else 0.0,
        swell_frac=swell if seam else 0.0,
        keep_rim=seam,
    )
    return Geometry(flip, quarters, angle, scale_x, scale_y, inner)


def _kept(flip: bool, quarters: int, angle: float, kept: Kept) -> tuple[bool, int, float]:
    """A drawn flip and turn, or as much of them as keeps light and direction."""
    if kept.light:
        # As the host was: mirrored top to bottom is mirrored left to right and turned half round.
        return kept.flips[0] != kept.flips[1], 2 * kept.flips[1], _near_zero(angle)
    if kept.turn_deg is not None:
        # Mirrored, lines run at the opposite angle, and are turned back from there.
        own, host = kept.turn_deg
        turn = host + own if flip else host - own
        return flip, quarters // 2 * 2, (turn + 90.0) % 180.0 - 90.0 + _near_zero(angle)
    return flip, quarters, angle


def _near_zero(angle: float) -> float:
    return float(np.clip(angle, -45.0, 45.0)) * _KEPT_DEG / 45.0 if abs(angle) > _KEPT_DEG else angle


def _spanning(own: int, host: int) -> float:
    """The scale of a defect that goes from border to border: a larger one is cut off, a smaller one is stretched."""
    if host > _STRETCH_LIMIT * own:
        raise Redraw("the defect goes from border to border, and the host is much larger than the donor's image")
    return max(1.0, (host + 0.5) / own)


def _turn(style: Style, rhythm: Rhythm) -> Literal["halves", "quarters", "free"]:
    if style == "cutout":
        return "free"
    if rhythm == (0, 0):
        return "halves"
    along_x, along_y = rhythm
    square = abs(along_x - along_y) <= 0.08 * max(along_x, along_y, 1)
    return "quarters" if square or style == "tint" else "halves"
