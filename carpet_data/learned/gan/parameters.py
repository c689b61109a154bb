"""What a recipe of `gan` can say; pydantic only, so that recipes are read without torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from carpet_data.synthesis.recipe.fit_parameters import FitParameters

__all__ = ["BACKGROUND", "BRANCH", "CLASSES", "GanFitParameters", "GanParameters"]

BACKGROUND, BRANCH, CLASSES = "ground", "defect", "classes.json"
"""Files of a fitted model: two networks and the names of the labels."""


class GanFitParameters(FitParameters):
    """How the networks are fitted."""

    steps: int = Field(3000, ge=2, le=1_000_000, description="Optimisation steps, both stages together.")
    learning_rate: float = Field(5e-4, gt=0, le=1, description="Largest learning rate; it warms up and decays.")
    ground_share: float = Field(
        0.2, ge=0, lt=1, description="Share of the steps that learn good ground, before the defects."
    )
    generated_ground: float = Field(
        0.25, ge=0, le=1, description="Share of the ground under new defects that is generated; the rest is real."
    )
    latent: int = Field(48, ge=2, le=1024, description="Numbers that a sample is made from.")
    width: int = Field(32, ge=16, le=256, multiple_of=16, description="Channels of the ground generator at full size.")
    matching: float = Field(2.0, ge=0, le=100, description="Weight of the mean features that fakes share with reals.")
    area: float = Field(0.5, ge=0, le=100, description="Weight of the mean mask area that a class shares with reals.")
    mode_seeking: float = Field(0.1, ge=0, le=100, description="Weight of the difference between samples.")


class GanParameters(BaseModel):
    """Parameters of `gan`, version 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    fit: GanFitParameters = Field(
        default_factory=lambda: GanFitParameters.model_validate({}), description="How the networks are fitted."
    )
    truncation: float = Field(
        0.9, ge=0, le=2, description="Latents are multiplied by it: lower is safer and more alike, 0 is one sample."
    )
    draws: int = Field(
        8, ge=1, le=256, description="Defects drawn for a place at once; the first that is sound is used."
    )
    mask_level: float = Field(0.5, gt=0, lt=1, description="Where the network's mask counts as defect.")
    feather_px: float = Field(2.0, ge=0, le=32, description="The change begins within so many pixels inside the rim.")
