"""How an anomaly model is trained: every choice in one frozen document. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from carpet_data.core.device_names import check_device
from carpet_data.core.options import Options, option
from carpet_data.errors import UsageError

__all__ = ["AnomalyModelName", "AnomalyOptions"]

AnomalyModelName: TypeAlias = Literal["patchcore", "subspace", "padim", "autoencoder", "synthetic"]

_STRIDES = (1, 2, 4, 8, 16, 32, 64)
_FEW, _MANY_VIEWS = 8, 8


@dataclass(frozen=True, slots=True)
class AnomalyOptions(Options):
    """How a model of good images is trained.

    Examples:
        >>> AnomalyOptions(model="padim").views_of(1), AnomalyOptions(model="padim").views_of(100)
        (8, 1)
    """

    model: AnomalyModelName = option(
        "patchcore",
        "Model: patchcore (nearest neighbors of cells), subspace (PCA of cells), padim (Gaussians of cells), "
        "autoencoder (reconstruction, no pretrained network), or synthetic (the dense head on synthetic defects).",
    )
    good: int | None = option(
        None, "Number of good training images to use, chosen at random.", unset="all of them", minimum=1
    )
    false_alarms: float = option(
        0.01, "Share of good images that may be rejected: the threshold is set by held-out ones.", above=0, maximum=0.5
    )
    threshold: Literal["good", "synthetic"] = option(
        "good",
        "What sets the threshold: held-out good images and --false-alarms, or what separates these best from the same "
        "images with synthetic defects.",
    )
    size: int = option(
        384, "Longest side in pixels to which larger images are reduced; more finds smaller defects.", minimum=16
    )
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
    strides: tuple[int, ...] | None = option(
        None, "Strides of the feature maps that are joined.", unset="8,16", metavar="N,…", minimum=1
    )
    views: int | None = option(
        None,
        "Number of flips and quarter turns of each good image to learn from.",
        unset="8 with up to 8 good images, else 1",
        minimum=1,
        maximum=8,
    )
    coreset: float = option(
        0.01, "Share of all cells that patchcore keeps, of at least 4000 and at most 10000.", above=0, maximum=1
    )
    positions: Literal["auto", "aligned", "free"] = option(
        "auto",
        "Gaussians of padim: aligned (one for each position), free (one for all positions), or auto: aligned where the "
        "position explains at least 30 % of the variance of good cells.",
    )
    steps: int = option(800, "Number of optimizer steps of the autoencoder.", minimum=1)
    defects: Literal["mixed", "perlin", "nsa", "procedural"] = option(
        "mixed", "Method that makes synthetic defects: one of them, or all in turn."
    )
    folds: int = option(5, "Number of folds of good images, by which the threshold is found.", minimum=2, maximum=50)
    seed: int = option(0, "Random seed of the choice of images and of all that the model draws.", minimum=0)
    device: str = option("auto", "Device: auto, cpu, cuda, cuda:1 or mps.", metavar="NAME")

    def __post_init__(self) -> None:
        """Refuse values that are invalid, alone or together.

        Raises:
            UsageError: The first of them is named.
        """
        Options.__post_init__(self)
        check_device(self.device)
        if self.strides is not None and (not self.strides or any(stride not in _STRIDES for stride in self.strides)):
            raise UsageError(
                f"invalid --strides value {','.join(map(str, self.strides)) or '(empty)'}",
                hint="use different powers of 2, such as 8,16",
            )

    @property
    def used_strides(self) -> tuple[int, ...]:
        """The strides, also where none are given."""
        return (8, 16) if self.strides is None else tuple(sorted(set(self.strides)))

    def views_of(self, images: int) -> int:
        """The number of views of each of so many good images."""
        if self.views is not None:
            return self.views
        return _MANY_VIEWS if images <= _FEW else 1
