"""The options of a sweep. Nothing heavy here: the command line is made from them."""

from __future__ import annotations

from dataclasses import dataclass

from carpet_data.core.options import Options, option

__all__ = ["SweepOptions"]


@dataclass(frozen=True, slots=True)
class SweepOptions(Options):
    """What all rows of a sweep share."""

    seed: int = option(0, "Random seed of the first training of each row.", minimum=0)
    seeds: int = option(1, "Number of training runs (seeds) per row.", minimum=1)
    freeze: str | None = option(
        None, "Frozen part: backbone, none, or 'until STAGE'.", metavar="WHAT", unset="as in the table"
    )
    device: str = option("auto", "Device: auto, cpu, cuda, cuda:1 or mps.", metavar="NAME")
    fallback: str | None = option(
        None,
        "Network to use for rows whose weights are not available locally; 'none' skips such rows.",
        metavar="NETWORK",
        unset="as in the table",
    )
    download: bool = option(False, "Download torchvision weights that are not available locally.")
