"""Options of validations, scores and sweeps. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from carpet_data.core.device_names import check_device
from carpet_data.core.options import Options, option
from carpet_data.errors import UsageError
from carpet_data.experiments.conditions import METHODS

__all__ = ["DEFAULT_BACKBONE", "ScoreOptions", "SweepOptions", "ValidateOptions"]

DEFAULT_BACKBONE = "resnet18"


@dataclass(frozen=True, slots=True)
class ValidateOptions(Options):
    """What a validation compares, on which partitions.

    Examples:
        >>> ValidateOptions(recipes=("donor-paste",), seeds=2).partitions
        1
    """

    task: Literal["dense", "classify", "segment", "detect", "anomaly"] = option(
        "dense",
        "What the verdict is about: dense (the dense head, all tasks), one of its tasks, or classify (the whole-image "
        "classifier alone).",
    )
    splits: tuple[str, ...] = option((), "Existing splits used as partitions, instead of --split.", metavar="NAME,…")
    partitions: int = option(
        1, "Number of random partitions; with 2 or more, new images are synthesized for each.", minimum=1
    )
    recipes: tuple[str | Path, ...] = option((), "Recipes to compare: names or files.", metavar="RECIPE,…")
    to: int | None = option(
        None,
        "Number of training images that a recipe brings each defect class to.",
        unset="as in the data set, else 100",
        minimum=1,
    )
    methods: tuple[str, ...] = option(
        (),
        f"Long-tail methods as additional conditions of the whole-image classifier: {', '.join(METHODS)}.",
        metavar="NAME,…",
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


@dataclass(frozen=True, slots=True)
class ScoreOptions(Options):
    """What synthetic defects are compared with, and by which network.

    Examples:
        >>> ScoreOptions(backbone="none").against
        'train'
    """

    split: str | None = option(
        None, "Split whose train side is compared.", metavar="NAME", unset="main, else the source's own"
    )
    against: Literal["train", "all"] = option(
        "train", "Real images to compare with. Do not pick a recipe with all: it includes the test images."
    )
    backbone: str | None = option(
        None,
        "Network whose features are compared, or none.",
        metavar="NAME",
        unset=f"{DEFAULT_BACKBONE} if its weights are available locally",
    )
    weights: str | Path | None = option(
        None, "Weights file for that network; nothing is downloaded.", unset="those available locally"
    )
    workers: int | None = option(None, "Number of worker processes.", flag=None, minimum=1)

    def __post_init__(self) -> None:
        """Refuse values that are invalid, alone or together.

        Raises:
            UsageError: The first of them is named.
        """
        Options.__post_init__(self)
        if self.weights is not None and self.backbone is None:
            raise UsageError(
                "--weights without --backbone", hint=f"add --backbone, such as --backbone {DEFAULT_BACKBONE}"
            )


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

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        Options.__post_init__(self)
        check_device(self.device)
