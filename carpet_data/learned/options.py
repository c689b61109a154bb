"""The options of a fit."""

from __future__ import annotations

from dataclasses import dataclass

from carpet_data.core.device_names import check_device
from carpet_data.core.options import Options, option

__all__ = ["FitOptions"]


@dataclass(frozen=True, slots=True)
class FitOptions(Options):
    """How a learned recipe is trained; what the network learns is in the recipe."""

    split: str | None = option(
        None, "Split whose training images are used.", metavar="NAME", unset="main, else the source's own"
    )
    seed: int = option(0, "Seed of the fit.", minimum=0)
    device: str = option("auto", "Device: auto, cpu, cuda, cuda:1 or mps.", metavar="NAME")
    overwrite: bool = option(False, "Remove the existing model and start over.")
    dry_run: bool = option(False, "Show the plan and exit.")
    checkpoint_s: float = option(60.0, "Seconds between two checkpoints.", flag=None, minimum=0)

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        Options.__post_init__(self)
        check_device(self.device)
