"""How the fine-tuned models are trained: what segmentation and detection share. No torch here."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TypeVar

from carpet_data.core.device_names import check_device
from carpet_data.core.options import Options, option

__all__ = ["TuneOptions"]

Self = TypeVar("Self", bound="TuneOptions")


@dataclass(frozen=True, slots=True)
class TuneOptions(Options):
    """How a network is trained on crops of images and their masks."""

    architecture: str = option(
        "auto",
        "Backbone: auto (the usual one of the model; efficientnet_lite0 where its weights cannot be had), a classifier "
        "of torchvision, efficientnet_lite0 to 2, timm:NAME, or a plug-in.",
        flag="--arch",
        metavar="NAME",
    )
    weights: str = option(
        "auto",
        "Weights of the backbone: auto (available locally, else downloaded), none (random), a name of torchvision, a "
        "file, or the folder of a trained classifier.",
        metavar="NAME|PATH",
    )
    size: int | None = option(
        None, "Longer side in pixels that images are resized to.", unset="as they are", minimum=32, maximum=16384
    )
    crop: int = option(
        256, "Side in pixels of the squares that are trained on, and of the tiles of a larger image.", minimum=32
    )
    epochs: int = option(20, "Number of epochs.", minimum=1)
    epoch_steps: int = option(50, "Number of optimizer steps of an epoch, after which validation looks.", minimum=1)
    batch_size: int = option(8, "Number of crops per step.", minimum=2)
    learning_rate: float = option(
        0.0005, "Initial learning rate of AdamW; it falls to 0 along a cosine.", flag="--lr", above=0, maximum=10
    )
    weight_decay: float = option(0.01, "Weight decay.", minimum=0)
    defect_share: float = option(
        0.7,
        "Share of the crops that show a defect, the types alike; the others lie anywhere, half of them in good images.",
        minimum=0,
        maximum=1,
    )
    augment: str = option(
        "strong", "Augmentation: none, light, strong, or a recipe of the method augment.", metavar="RECIPE"
    )
    united: bool = option(False, "One class for all defects, as in the published protocol of segmentation.")
    patience: int | None = option(
        None, "Number of epochs without a better validation after which training stops.", unset="never", minimum=1
    )
    seed: int = option(0, "Random seed of the new layers, the crops and the augmentation.", minimum=0)
    device: str = option("auto", "Device: auto, cpu, cuda, cuda:1 or mps.", metavar="NAME")
    amp: bool = option(True, "Mixed precision on a GPU.")

    def __post_init__(self) -> None:
        """Refuse values that are invalid.

        Raises:
            UsageError: The first of them is named.
        """
        Options.__post_init__(self)
        check_device(self.device)

    @property
    def name(self) -> str:
        """The name of the model."""
        raise NotImplementedError

    def digest(self) -> str:
        """A hex digest of what decides the result; the device is not part of it, so that a run may move."""
        values = {name: value for name, value in self.to_json().items() if name != "device"}
        return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
