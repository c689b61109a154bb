"""What a recipe of `ddpm-inpaint` can say; pydantic only, so that recipes are read without torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from carpet_data.synthesis.recipe.fit_parameters import FitParameters, check_levels

__all__ = ["DdpmInpaintFit", "DdpmInpaintParameters"]

Share = Annotated[float, Field(ge=0, le=1)]


class DdpmInpaintFit(FitParameters):
    """How the network of `ddpm-inpaint` is built and trained."""

    widths: tuple[int, ...] = Field(
        (48, 80, 112), min_length=2, max_length=6, description="Channels of each level; each halves the size."
    )
    block_px: Literal[1, 2, 4] = Field(
        2, description="Width in pixels of the blocks that the network sees: larger is faster and less sharp."
    )
    layers: int = Field(1, ge=1, le=4, description="Residual blocks per level.")
    pretrain_share: float = Field(
        0.25, ge=0, lt=1, description="Share of the steps trained on clean background alone, at first."
    )
    defect_share: float = Field(0.5, gt=0, le=1, description="Share of crops with defects, after that.")
    inside_share: Share = Field(
        0.8, description="Weight of the loss inside the mask, however small it is; the rest is outside."
    )
    class_dropout: float = Field(
        0.1, ge=0, lt=1, description="Share of crops trained without their class; guidance needs it."
    )

    @field_validator("widths")
    @classmethod
    def _in_groups(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(width < 8 or width % 8 for width in value):
            raise ValueError("widths must be multiples of 8")
        return value

    @model_validator(mode="after")
    def _levels_fit(self) -> DdpmInpaintFit:
        check_levels(self.crop_px, self.block_px, len(self.widths))
        return self


class DdpmInpaintParameters(BaseModel):
    """Parameters of `ddpm-inpaint`, version 1: all but `fit` can be changed without fitting again."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    fit: DdpmInpaintFit = Field(
        default_factory=lambda: DdpmInpaintFit.model_validate({}), description="How the network is trained."
    )
    start: Literal["auto", "paste", "noise"] = Field(
        "auto",
        description="paste: repaint a donor paste; noise: fill a new shape from noise; auto: either, by `noise_share`.",
    )
    noise_share: Share = Field(0.25, description="Share of images that start from noise if `start` is auto.")
    strength_range: tuple[Share, Share] = Field(
        (0.4, 0.6), description="Amount of noise on a paste: 0 keeps it as it is, 1 keeps nothing of it."
    )
    sampler: Literal["ddim", "dpm-solver"] = Field(
        "dpm-solver", description="ddim (Song et al. 2021) or DPM-Solver++ (Lu et al. 2022)."
    )
    sample_steps: int = Field(12, ge=1, le=1000, description="Denoising steps per image.")
    guidance: float = Field(
        1.5, ge=0, le=20, description="Classifier-free guidance scale; 1 for none, which is twice as fast."
    )
    morph_range: tuple[Share, Share] = Field(
        (0.15, 0.6), description="New shapes: position between the first donor's shape and the second's."
    )
    deform_frac: float = Field(
        0.08, ge=0, le=0.5, description="New shapes: displacement of the edge, as a share of the radius."
    )
    bend_frac: float = Field(
        0.2,
        ge=0,
        le=0.6,
        description="New thin shapes: bend of the ends off the axis, as a share of half the length.",
    )
    visible_levels: int | None = Field(
        None, ge=1, le=128, description="Minimum visible change in gray levels; null: from the noise of the host."
    )

    @field_validator("strength_range", "morph_range")
    @classmethod
    def _in_order(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError(f"the first number ({value[0]}) must not be above the second ({value[1]})")
        return value
