"""The defect models, one file each; every one works on any `Host`.

A model draws its own details from a generator and returns the changed window; the caller decides where it goes and how
large it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from carpet_data.weave.defects import color, cut, hole, metal_contamination, thread
from carpet_data.weave.defects.base import Change, Defect

__all__ = ["DEFECTS", "Change", "Defect"]

DEFECTS: Mapping[str, Defect] = {
    "color": Defect(color.make, (110.0, 340.0)),
    "cut": Defect(cut.make, (230.0, 310.0)),
    "hole": Defect(hole.make, (80.0, 180.0)),
    "metal_contamination": Defect(metal_contamination.make, (85.0, 145.0)),
    "thread": Defect(thread.make, (80.0, 290.0)),
}
"""class name -> model and its usual extent in units (a unit is a pixel at 1024x1024)."""
