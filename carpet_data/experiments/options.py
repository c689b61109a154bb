"""What a validation compares. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from carpet_data.core.options import Options, option
from carpet_data.errors import UsageError
from carpet_data.experiments.conditions import METHODS

__all__ = ["ValidateOptions"]


@dataclass(frozen=True, slots=True)
class ValidateOptions(Options):
    """What a validation compares, on which partitions.

    Examples:
        >>> ValidateOptions(recipes=("donor-paste",), seeds=2).partitions
        1
    """

    splits: tuple[str, ...] = option((), "Existing splits used as partitions, instead of --split.", metavar="NAME,…")
    partitions: int = option(
        1, "Number of random partitions; with 2 or more, images are synthesized anew for each.", minimum=1
    )
    recipes: tuple[str | Path, ...] = option((), "Recipes to compare: names or files.", metavar="RECIPE,…")
    to: int | None = option(
        None,
        "Number of training images that a recipe brings each defect class to.",
        unset="as in the data set, else 100",
        minimum=1,
    )
    methods: tuple[str, ...] = option(
        (), f"Long-tail methods as additional conditions: {', '.join(METHODS)}.", metavar="NAME,…"
    )
    seeds: int = option(5, "Number of training runs (seeds) per condition and partition.", minimum=1)
    keep_work: bool = option(False, "Keep the temporary workspaces of the synthesis.")

    def __post_init__(self) -> None:
        """Refuse values that are invalid, alone or together.

        Raises:
            UsageError: The first of them is named.
        """
        Options.__post_init__(self)
        if len(set(self.splits)) < len(self.splits):
            raise UsageError("duplicate split in --splits", hint="name each split once")
        if self.partitions > 1 and self.splits:
            raise UsageError(
                "--partitions draws random splits, --splits names existing ones", hint="give one of the two"
            )
