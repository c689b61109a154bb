"""How the dense head is trained: every choice in one frozen document. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from carpet_data.core.device_names import check_device
from carpet_data.core.options import Options, option
from carpet_data.errors import UsageError

__all__ = ["CHOSEN", "DenseOptions"]

_STRIDES = (1, 2, 4, 8, 16, 32, 64)
_VIEWS = 8
_MAX_SCALE = 8.0

CHOSEN: dict[str, object] = {"scale": 1.0, "views": 8, "smoothing": 0.7}
"""Options that are settled where they are not given, and their usual values: scale and smoothing are chosen on the
training images, and have these values where there are too few images to choose by."""


@dataclass(frozen=True, slots=True)
class DenseOptions(Options):
    """How the dense head is trained.

    Examples:
        >>> DenseOptions(scale=2.0).settled().views
        8
    """

    architecture: str = option(
        "auto",
        "Network: auto (efficientnet_lite0, whose weights come with the package), a classifier of torchvision, "
        "efficientnet_lite0 to 2, timm:NAME, or a plug-in.",
        flag="--arch",
        metavar="NAME",
    )
    weights: str = option(
        "auto",
        "Weights: auto (available locally, else downloaded), none (random), a name of torchvision, a file, or the "
        "folder of a trained model.",
        metavar="NAME|PATH",
    )
    scale: float | None = option(
        None,
        "Factor by which images are resized first; 2 finds smaller defects and takes four times as long.",
        unset="1 or 2 by cross-fitting; 1 where the longer side is over 768 pixels",
        above=0,
        maximum=_MAX_SCALE,
    )
    strides: tuple[int, ...] | None = option(
        None,
        "Strides of the feature maps that one head joins, the finest of which is the size of a cell.",
        unset="the mean of two heads: 8,16 and 8,16,32",
        metavar="N,…",
        minimum=1,
    )
    views: int | None = option(
        None,
        "Number of flips and quarter turns of each real image to train on.",
        unset="8",
        minimum=1,
        maximum=_VIEWS,
    )
    test_views: int | None = option(
        None,
        "Number of flips and quarter turns of a new image whose maps are averaged; more take longer and do better.",
        unset="1; 8 where a class has fewer than 3 groups of images",
        minimum=1,
        maximum=_VIEWS,
    )
    background: float = option(
        1.0, "Weight of all background cells relative to all defect cells.", above=0, maximum=1000
    )
    background_cells: int = option(1500, "Maximum number of background cells of a view.", minimum=1)
    defect_cells: int = option(400, "Maximum number of defect cells of a view.", minimum=1)
    synthetic_weight: float = option(
        1.0, "Weight of all synthetic cells of a class relative to all real ones.", minimum=0, maximum=1000
    )
    hidden: int = option(
        128, "Number of units of the hidden layer of the head; 0 for a linear head.", minimum=0, maximum=4096
    )
    dropout: float = option(0.3, "Share of hidden units that are dropped in a step.", minimum=0, below=1)
    steps: int = option(600, "Number of optimizer steps.", minimum=1)
    batch_cells: int = option(1024, "Number of cells per step.", minimum=1)
    learning_rate: float = option(0.003, "Initial learning rate; it falls to 0 along a cosine.", above=0, maximum=10)
    weight_decay: float = option(0.001, "Weight decay.", minimum=0)
    smoothing: float | None = option(
        None,
        "Standard deviation in cells of the Gaussian that smooths the probabilities.",
        unset="chosen by cross-fitting",
        minimum=0,
        maximum=10,
    )
    folds: int = option(
        3, "Number of folds of the training images, by which settings and thresholds are found.", minimum=2, maximum=50
    )
    good_recall: float = option(
        0.95, "Share of good images that the threshold keeps good, on held-out training images.", minimum=0.5, below=1
    )
    seed: int = option(0, "Random seed of the cells that are drawn and of the head.", minimum=0)
    device: str = option("auto", "Device: auto, cpu, cuda, cuda:1 or mps.", metavar="NAME")

    def __post_init__(self) -> None:
        """Refuse values that are invalid, alone or together.

        Raises:
            UsageError: The first of them is named.
        """
        Options.__post_init__(self)
        check_device(self.device)
        if self.strides is not None:
            wrong = [stride for stride in self.strides if stride not in _STRIDES]
            if wrong or not self.strides or len(set(self.strides)) != len(self.strides):
                raise UsageError(
                    f"invalid --strides value {','.join(map(str, self.strides)) or '(empty)'}",
                    hint="use different powers of 2, such as 8,16",
                )

    @property
    def open(self) -> tuple[str, ...]:
        """The names of the options that are to be settled."""
        return tuple(name for name in CHOSEN if getattr(self, name) is None)

    def settled(self) -> DenseOptions:
        """The same options, with a value for each of `CHOSEN`."""
        return self.but(**{name: CHOSEN[name] for name in self.open})
