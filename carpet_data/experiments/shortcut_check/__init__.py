"""Can synthetic images be distinguished from real ones by something that real defects do not have?

A classifier may learn such a cue instead of the defect, and real test images do not have it. So this looks at training
images, outside their defects, and asks what gives the origin away: named cues (corners, borders, grain, codec), any
fixed place, and whatever the frozen features see. A real image, as itself and as host or donor, counts as one unit, and
what is found on some units is judged on others.
"""

from __future__ import annotations

from carpet_data.experiments.shortcut_check.cues import fixed_place, named_cues, readings
from carpet_data.experiments.shortcut_check.suspects import Suspects, suspects
from carpet_data.reporting.pages import Check
from carpet_data.training.options import TrainOptions

__all__ = ["Suspects", "examine", "suspects"]


def examine(chosen: Suspects, settings: TrainOptions, *, workers: int | None = None) -> tuple[Check, ...]:
    """Every question about one set of synthetic images; the settings give image size and network of the probes.

    Raises:
        ImageError: An image or mask cannot be read.
    """
    from carpet_data.experiments.shortcut_check import probe  # imports torch

    made = readings(chosen.made, chosen.synthetic, workers)
    real = readings(chosen.kept, chosen.real, workers)
    return (
        named_cues(chosen, made, real),
        fixed_place(chosen, made, real),
        *probe.ask(chosen, settings, workers=workers),
    )
