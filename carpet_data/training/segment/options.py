"""How a segmentation network is trained. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from carpet_data.core.options import option
from carpet_data.training.tuning.options import TuneOptions

__all__ = ["SegmentLoss", "SegmentModelName", "SegmentOptions"]

SegmentModelName: TypeAlias = Literal["unet", "deeplabv3", "lraspp", "draem-unet"]
SegmentLoss: TypeAlias = Literal["auto", "cross-entropy+dice", "cross-entropy", "focal"]


@dataclass(frozen=True, slots=True)
class SegmentOptions(TuneOptions):
    """How a segmentation network is trained.

    Examples:
        >>> SegmentOptions(model="draem-unet").loss_name
        'focal'
    """

    model: SegmentModelName = option(
        "unet",
        "Network: unet (segmentation-models-pytorch), deeplabv3 or lraspp (torchvision), or draem-unet, the plain "
        "U-Net of the published protocol, trained from random weights.",
    )
    loss: SegmentLoss = option("auto", "Loss function: auto is focal for draem-unet, else cross-entropy+dice.")
    monitor: Literal["miou", "loss"] = option(
        "miou", "Validation metric that selects the epoch: mean IoU of the defect types, or the loss."
    )

    @property
    def name(self) -> str:
        """The name of the model."""
        return self.model

    @property
    def loss_name(self) -> SegmentLoss:
        """The loss, with "auto" resolved."""
        if self.loss != "auto":
            return self.loss
        return "focal" if self.model == "draem-unet" else "cross-entropy+dice"
