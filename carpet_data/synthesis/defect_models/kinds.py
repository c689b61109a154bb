"""The kinds of defects that are drawn, and which kind the name of a class means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from carpet_data.synthesis.defect_models import surface
from carpet_data.synthesis.defect_models.surface import Look
from carpet_data.synthesis.ops.pixels import F32
from carpet_data.weave.defects import DEFECTS

Draw = Callable[[F32, tuple[float, float], float, Look, np.random.Generator], F32]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of defect.

    Attributes:
        draw: Draws it on any surface, see `surface`; None for the kinds of woven cloth (`carpet_data.weave.defects`).
        extent_frac: Usual extent as a share of the image's shorter edge, used where no mask tells the area.
        fill: Usual mask area over extent squared, measured: gives the extent for an area that is wanted.
        strength: Usual strength, 0 … 1.
        lies_on: Whether it lies on the surface and may hang over the edge of an object.
    """

    draw: Draw | None
    extent_frac: tuple[float, float]
    fill: float
    strength: tuple[float, float] = (0.5, 0.8)
    lies_on: bool = False


_WOVEN_FILL = {"color": 0.52, "cut": 0.63, "hole": 0.56, "metal_contamination": 0.31, "thread": 0.20}

KINDS: Mapping[str, Kind] = {
    **{
        name: Kind(
            None,
            (defect.extent_units[0] / 1024, defect.extent_units[1] / 1024),
            _WOVEN_FILL[name],
            lies_on=name in ("metal_contamination", "thread"),
        )
        for name, defect in DEFECTS.items()
    },
    "scratch": Kind(surface.scratch, (0.10, 0.40), 0.035, (0.25, 0.55)),
    "abrasion": Kind(surface.abrasion, (0.05, 0.15), 0.38, (0.25, 0.5)),
    "crack": Kind(surface.crack, (0.15, 0.50), 0.05, (0.55, 0.9)),
    "spot": Kind(surface.spot, (0.02, 0.07), 0.60, (0.5, 0.85)),
    "stain": Kind(surface.stain, (0.08, 0.25), 0.50, (0.2, 0.5)),
}
"""kind -> model; the first five are those of woven cloth."""

# Only words that mean one thing: a "thread" of a screw is not a yarn, a "poke" may be anything.
_WORDS = {
    "scratch": "scratch", "scratches": "scratch", "scratched": "scratch",
    "abrasion": "abrasion", "scuff": "abrasion", "wear": "abrasion",
    "crack": "crack", "cracked": "crack", "fracture": "crack", "fissure": "crack",
    "blowhole": "spot", "pit": "spot", "pore": "spot", "pinhole": "spot", "spot": "spot", "dot": "spot",
    "stain": "stain", "oil": "stain", "smear": "stain", "discoloration": "stain", "discolouration": "stain",
}  # fmt: skip
_ON_PLAIN = {"color": "stain", "colour": "stain", "hole": "spot", "cut": "scratch"}


def kind_of(class_name: str, *, woven: bool) -> str | None:
    """The kind that a class's name, such as "color" or "scratch_neck", means, or None.

    On a woven cloth a hole has yarns around it, elsewhere it is a spot.
    """
    name = class_name.lower()
    if woven:
        name = {"colour": "color"}.get(name, name)
        if name in DEFECTS:
            return name
    elif name in _ON_PLAIN:
        return _ON_PLAIN[name]
    found = {_WORDS[word] for word in re.split(r"[^a-z]+", name) if word in _WORDS}
    if not found and name in DEFECTS:
        # Metal and loose threads can lie on anything.
        return name
    return found.pop() if len(found) == 1 else None
