"""What a recipe of `gan` can say; pydantic only, so that recipes are read without torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from carpet_data.synthesis.recipe.fit_parameters import FitParameters

__all__ = ["BACKGROUND", "BRANCH", "CLASSES", "GanFitParameters", "GanParameters"]

BACKGROUND, BRANCH, CLASSES = "ground", "defect", "classes.json"
"""Files of a fitted model: two networks and the names of the labels."""


class GanFitParameters(FitParameters):
    """How the networks of `gan` are trained."""

    steps: int = Field(3000, ge=2, le=1_000_000, description="Number of optimization steps, both stages together.")
    learning_rate: float = Field(5e-4, gt=0, le=1, description="Maximum learning rate; it warms up and decays.")
    ground_share: float = Field(
        0.2, ge=0, lt=1, description="Share of the steps trained on clean background, before the defects."
    )
    generated_ground: float = Field(
        0.25, ge=0, le=1, description="Share of generated background under new defects; the rest is real."
    )
    latent: int = Field(48, ge=2, le=1024, description="Length of the latent vector of a sample.")
    width: int = Field(
        32, ge=16, le=256, multiple_of=16, description="Channels of the background generator at full size."
    )
    matching: float = Field(2.0, ge=0, le=100, description="Weight of feature matching.")
    area: float = Field(
        0.5, ge=0, le=100, description="Weight of the difference in mean mask area between generated and real defects."
    )
    mode_seeking: float = Field(
        0.1, ge=0, le=100, description="Weight of mode seeking: two latents must give different masks."
    )


class GanParameters(BaseModel):
    """Parameters of `gan`, version 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    fit: GanFitParameters = Field(
        default_factory=lambda: GanFitParameters.model_validate({}), description="How the networks are trained."
    )
    truncation: float = Field(
        0.9,
        ge=0,
        le=2,
        description="Factor on the latents: lower is safer and less varied, 0 is always the same sample.",
    )
    draws: int = Field(
        8, ge=1, le=256, description="Number of defects drawn at once for a place; the first usable one is taken."
    )
    mask_level: float = Field(0.5, gt=0, lt=1, description="Threshold of the mask of the network.")
    feather_px: float = Field(2.0, ge=0, le=32, description="Width in pixels of the soft rim inside the mask.")
