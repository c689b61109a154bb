"""How a detector is trained. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from carpet_data.core.options import option
from carpet_data.training.tuning.options import TuneOptions

__all__ = ["DetectModelName", "DetectOptions"]

DetectModelName: TypeAlias = Literal["fasterrcnn", "maskrcnn", "retinanet", "ssdlite"]


@dataclass(frozen=True, slots=True)
class DetectOptions(TuneOptions):
    """How a detector is trained.

    Examples:
        >>> DetectOptions(model="maskrcnn").monitor
        'ap50'
    """

    batch_size: int = option(4, "Number of crops per step.", minimum=2)
    learning_rate: float = option(
        0.0003, "Initial learning rate of AdamW; it falls to 0 along a cosine.", flag="--lr", above=0, maximum=10
    )
    model: DetectModelName = option(
        "fasterrcnn", "Detector of torchvision: fasterrcnn, maskrcnn (with masks), retinanet or ssdlite."
    )
    monitor: Literal["ap50", "ap"] = option(
        "ap50", "Validation metric that selects the epoch: COCO AP at an IoU of 0.5, or from 0.5 to 0.95."
    )
    min_score: float = option(0.05, "Minimum score of a detection.", minimum=0, below=1)

    @property
    def name(self) -> str:
        """The name of the model."""
        return self.model
