"""How shapes and objects lie: their axes, the borders they touch, and where the same part of another object is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from carpet_data.synthesis.contract import Donor, Mask

Sides: TypeAlias = frozenset[str]
"""Borders of an image: "left", "top", "right", "bottom"."""

_POSE_SIDE = 384
"""Foregrounds are thinned to about this many pixels across before moments are taken: exact to a tenth of a degree."""
_FLIPPED = {"left": "right", "right": "left"}
_OPPOSITE = _FLIPPED | {"top": "bottom", "bottom": "top"}


@dataclass(frozen=True, slots=True)
class Axis:
    """The main axis of a shape: center in pixels, direction in radians, standard deviations along and across."""

    x: float
    y: float
    angle: float
    along: float
    across: float


@dataclass(frozen=True, slots=True)
class Pose:
    """How an object lies in its image.

    Attributes:
        center: x, y of its centroid, pixels.
        angle_deg: Of its long axis, from its light end to its heavy end; clockwise from +x on the screen.
        length_px: Its extent along the axis.
        elongated: Whether the axis is well defined; where not, `angle_deg` is 0.
    """

    center: tuple[float, float]
    angle_deg: float
    length_px: float
    elongated: bool


def axis_of(mask: Mask) -> Axis:
    """The main axis of a mask that is not empty, by its second moments."""
    y, x = np.nonzero(mask)
    return _axis(x, y)


def _axis(x: NDArray[Any], y: NDArray[Any]) -> Axis:
    values, vectors = np.linalg.eigh(np.cov(np.stack([x, y]).astype(np.float64), bias=True))
    along, across = float(np.sqrt(max(values[1], 0.0))), float(np.sqrt(max(values[0], 0.0)))
    return Axis(float(x.mean()), float(y.mean()), float(np.arctan2(vectors[1, 1], vectors[0, 1])), along, across)


def pose_of(foreground: Mask) -> Pose | None:
    """The pose of an object (bool HxW): its axis by second moments, which end is which by the third; None if empty.

    Example:
        >>> club = np.zeros((60, 120), np.bool_)
        >>> club[28:32, 10:90] = club[20:40, 90:110] = True
        >>> round(abs(pose_of(club).angle_deg)), pose_of(club).length_px
        (0, 100.0)
    """
    step = max(1, max(foreground.shape) // _POSE_SIDE)
    y, x = np.nonzero(foreground[::step, ::step])
    if len(x) < 8:
        return None
    axis = _axis(x * float(step), y * float(step))
    cosine, sine = np.cos(axis.angle), np.sin(axis.angle)
    along = (x * float(step) - axis.x) * cosine + (y * float(step) - axis.y) * sine
    if float((along**3).mean()) > 0:
        # The long thin tail is the light end: the axis points away from it.
        cosine, sine = -cosine, -sine
    elongated = axis.along**2 > 2.0 * axis.across**2
    angle = float(np.degrees(np.arctan2(sine, cosine))) if elongated else 0.0
    return Pose((axis.x, axis.y), angle, float(np.ptp(along)) + step, elongated)


def turn_between(donor: Mask | None, host: Mask | None) -> float:
    """How far to turn a donor, in degrees counter-clockwise, for its object to lie as the host's does.

    Both are bool HxW, where the object is in each image; None where that is not known.
    """
    one, other = (None if mask is None else pose_of(mask) for mask in (donor, host))
    return one.angle_deg - other.angle_deg if one is not None and other is not None else 0.0


def similarity(angle_deg: float, scale_x: float, scale_y: float) -> NDArray[np.float64]:
    """The 2x2 matrix that scales, then turns by an angle (clockwise on the screen, as y points down)."""
    angle = np.deg2rad(angle_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(turn @ np.diag([scale_x, scale_y]))


def same_place(
    point: tuple[float, float], own: Pose, other: Pose, matrix: NDArray[np.floating[Any]]
) -> tuple[float, float]:
    """Where a point (x, y) of one object lies on another.

    `matrix` is 2x2, from the one's directions to the other's, see `similarity`.
    """
    x, y = matrix @ np.array([point[0] - own.center[0], point[1] - own.center[1]]) + np.array(other.center)
    return float(x), float(y)


def share_on_object(donor: Donor) -> float | None:
    """The share of a donor's defect that lies on its object, 0..1; None for textures."""
    part = object_in_cut(donor)
    return None if part is None else float(part[donor.mask].mean())


def object_in_cut(donor: Donor) -> Mask | None:
    """Where the object lies in a donor's cut, bool hxw; None for textures."""
    x, y, width, height = donor.box
    return None if donor.foreground is None else donor.foreground[y : y + height, x : x + width]


def sides_of(donor: Donor) -> Sides:
    """Which borders of its own image the donor's defect reaches, to two pixels: people do not draw to the last one."""
    x, y, width, height = donor.box
    mask = donor.mask
    reached = {
        "left": x <= 0 and mask[:, :2].any(),
        "top": y <= 0 and mask[:2].any(),
        "right": x + width >= donor.size[0] and mask[:, -2:].any(),
        "bottom": y + height >= donor.size[1] and mask[-2:].any(),
    }
    return frozenset(name for name, touches in reached.items() if touches)


def mirrored(sides: Sides) -> Sides:
    """The borders after mirroring left to right."""
    return frozenset(_FLIPPED.get(side, side) for side in sides)


def turned_round(sides: Sides) -> Sides:
    """The borders after half a turn."""
    return frozenset(_OPPOSITE[side] for side in sides)
