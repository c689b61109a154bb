"""The options of a synthesis; nothing heavy is imported, so that the command line can be made from them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from carpet_data.core.device_names import check_device
from carpet_data.core.options import Options, option

if TYPE_CHECKING:
    from carpet_data.synthesis.recipe.model import Recipe

    RecipeLike: TypeAlias = str | os.PathLike[str] | Recipe
else:
    RecipeLike = Any

__all__ = ["DEFAULT_RECIPE", "RecipeLike", "SynthesisOptions"]

DEFAULT_RECIPE = "donor-paste"


@dataclass(frozen=True, slots=True)
class SynthesisOptions(Options):
    """How `synthesize` and `rebalance` make images.

    Examples:
        >>> SynthesisOptions(seed=-1)
        Traceback (most recent call last):
        carpet_data.errors.UsageError: --seed must be at least 0 (got -1)
    """

    recipe: RecipeLike = option(
        DEFAULT_RECIPE,
        "Shipped recipe (carpet-data recipes list), or the path of a recipe file.",
        metavar="NAME|FILE",
    )
    split: str = option("main", "Split whose training images are used.", metavar="NAME")
    seed: int = option(0, "Random seed.", minimum=0)
    workers: int | None = option(None, "Number of worker processes.", flag=None, minimum=1)
    device: str = option(
        "auto",
        "Device of learned recipes: auto (a GPU if there is one, with 2 workers unless --workers says otherwise), cpu, "
        "cuda, cuda:1 or mps.",
        metavar="NAME",
    )
    dry_run: bool = option(False, "Print the plan and make nothing.")

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        Options.__post_init__(self)
        check_device(self.device)
