"""How `predict` works and what it writes. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from carpet_data.core.device_names import check_device
from carpet_data.core.options import Options, option
from carpet_data.errors import UsageError

__all__ = ["PredictOptions"]


@dataclass(frozen=True, slots=True)
class PredictOptions(Options):
    """How `predict` works and what it writes.

    Examples:
        >>> PredictOptions(tile=512, overlap=64).overlap
        64
    """

    threshold: float | None = option(
        None,
        "Minimum anomaly score of an image that counts as defective, and minimum score of a detection.",
        unset="the model's own decision",
        minimum=0,
        maximum=1,
    )
    tile: int | None = option(
        None, "Side in pixels of the tiles that large images are cut into.", unset="whole images", minimum=32
    )
    overlap: int = option(0, "Number of pixels that neighboring tiles share, with --tile.", minimum=0)
    overlays: bool = option(
        False, "Pictures of the images with outlines, boxes, class and score, in OUT/overlays (PNG)."
    )
    heat_maps: bool = option(False, "Gray heat maps of the size of the images, in OUT/heat-maps (PNG).")
    heat_bits: Literal[8, 16] = option(8, "Bits per pixel of the heat maps.")
    masks: bool = option(False, "Class of each pixel as an index mask, in OUT/masks (PNG).")
    copy_images: bool = option(False, "The images too, in OUT/images, linked or copied, so that OUT stands alone.")
    batch_size: int = option(8, "Number of images that a GPU predicts together.", minimum=1)
    device: str = option("auto", "Device: auto, cpu, cuda, cuda:1 or mps.", metavar="NAME")

    def __post_init__(self) -> None:
        """Refuse values that are invalid, alone or together.

        Raises:
            UsageError: The first of them is named.
        """
        Options.__post_init__(self)
        check_device(self.device)
        if self.tile is None and self.overlap:
            raise UsageError("--overlap has no effect without --tile", hint="add --tile 512, or leave --overlap out")
        if self.tile is not None and self.overlap >= self.tile:
            raise UsageError(
                f"--overlap {self.overlap} is not smaller than --tile {self.tile}", hint="use an eighth of the tile"
            )
