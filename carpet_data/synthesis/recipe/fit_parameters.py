"""The values of a fit that all learned recipes share; pydantic only, so that recipes are read without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["FitParameters", "check_levels"]


class FitParameters(BaseModel):
    """How a network is trained. Each value is part of the identity of the model: another value needs another fit.

    Sampling parameters are beside `fit` in the recipe, so that they can be changed without fitting again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    crop_px: int = Field(
        default=64,
        ge=32,
        le=1024,
        multiple_of=16,
        description="Width and height of the crop that the network sees.",
    )
    context: float = Field(
        default=1.6,
        ge=1,
        le=4,
        description="Width of the crop relative to the defect.",
    )
    steps: int = Field(
        default=1500, ge=1, le=1_000_000, description="Number of optimization steps, all stages together."
    )
    batch_size: int = Field(default=16, ge=1, le=1024, description="Crops in a step.")
    learning_rate: float = Field(default=1e-3, gt=0, le=1, description="Maximum learning rate; it warms up and decays.")
    ema: float = Field(
        default=0.995, ge=0, lt=1, description="Decay of the averaged weights, which are used for sampling; 0 for none."
    )
    precision: Literal["auto", "full", "bf16"] = Field(
        default="auto", description="auto is bf16 if the hardware multiplies it; full is exact everywhere."
    )


def check_levels(crop_px: int, block_px: int, levels: int) -> None:
    """Refuse a crop, seen by the network in blocks of `block_px`, that a UNet cannot halve at each level but the last.

    Raises:
        ValueError: A level would have half a pixel.
    """
    least = block_px * 2 ** (levels - 1)
    if crop_px % least:
        raise ValueError(f"crop_px must be a multiple of {least} for {levels} widths and blocks of {block_px} pixels")
