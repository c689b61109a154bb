"""The mask of one image, with the names of what it shows."""

from __future__ import annotations

from dataclasses import dataclass

from carpet_data.core.masks.runs import Runs


@dataclass(frozen=True, slots=True, eq=False)
class LabelMask:
    """The mask of one image.

    Attributes:
        runs: Their value v belongs to names[v - 1].
        names: Defect types: one for a binary mask, one an instance otherwise.
        binary: Whether instances are to be found as connected components.
    """

    runs: Runs
    names: tuple[str, ...]
    binary: bool
