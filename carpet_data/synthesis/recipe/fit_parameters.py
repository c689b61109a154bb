"""What every learned recipe says about its fit; pydantic only, so that recipes are read without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["FitParameters", "check_levels"]


class FitParameters(BaseModel):
    """How a network is fitted. Each value is part of the model's identity: a recipe that changes one wants its own fit.

    Parameters of sampling lie beside `fit` in the recipe, so that they can be changed without fitting again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    crop_px: int = Field(
        default=64,
        ge=32,
        le=1024,
        multiple_of=16,
        description="Pixels across and down of the crop that the network sees.",
    )
    context: float = Field(
        default=1.6, ge=1, le=4, description="How much wider than the defect the crop is: 2 shows as much ground again."
    )
    steps: int = Field(default=1500, ge=1, le=1_000_000, description="Optimisation steps, all stages together.")
    batch_size: int = Field(default=16, ge=1, le=1024, description="Crops a step.")
    learning_rate: float = Field(default=1e-3, gt=0, le=1, description="Largest learning rate; it warms up and decays.")
    ema: float = Field(
        default=0.995, ge=0, lt=1, description="Decay of the averaged weights, which are those that sample; 0 for none."
    )
    precision: Literal["auto", "full", "bf16"] = Field(
        default="auto", description="bf16 where the hardware multiplies it; full is exact everywhere."
    )


def check_levels(crop_px: int, block_px: int, levels: int) -> None:
    """Whether a UNet of so many levels can halve a crop that it sees in blocks.

    Args:
        crop_px: Pixels across and down of the crop.
        block_px: Pixels across a block.
        levels: Each but the last is halved.

    Raises:
        ValueError: A level would have half a pixel.
    """
    least = block_px * 2 ** (levels - 1)
    if crop_px % least:
        raise ValueError(f"crop_px must be a multiple of {least} for {levels} widths and blocks of {block_px} pixels")
