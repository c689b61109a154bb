"""What a donor-paste recipe can say."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class DonorPasteParameters(BaseModel):
    """What can be set in a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    blend: Literal["auto", "tint", "relief", "cutout", "seam"] = Field(
        "auto",
        description="How the defect joins the host: tint keeps the host's texture (stains), relief multiplies it (thin "
        "cracks on smooth ground), cutout covers it (metal, threads), seam replaces it up to the cheapest cut (holes); "
        "auto measures each donor.",
    )
    flip: bool = Field(True, description="Mirror half of the donors (never on objects).")
    turn: Literal["auto", "none", "halves", "quarters", "free"] = Field(
        "auto",
        description="How far a donor may be turned on a texture; auto: freely for a cutout, by quarters or halves, as "
        "the weave allows, otherwise. On objects it always follows the object.",
    )
    angle_range_deg: tuple[float, float] = Field(
        (-6.0, 6.0), description="Small turn on top of it; not used for seams through a weave."
    )
    scale_range: tuple[float, float] = Field(
        (0.8, 1.25), description="Size relative to the donor; seams through a weave keep the weave's scale."
    )
    stretch_range: tuple[float, float] = Field((0.92, 1.08), description="Width over height, on top of the scale.")
    elastic_frac: float = Field(0.05, ge=0, le=0.5, description="Random bending, as a share of the defect's breadth.")
    bend_frac: float = Field(
        0.08, ge=0, le=1, description="How far a long thin defect curves, as a share of its length."
    )
    swell_range: tuple[float, float] = Field(
        (-0.1, 0.12), description="How much the middle of a seam defect grows while its rim stays."
    )
    split_share: float = Field(
        0.35, ge=0, le=1, description="Share of donors with several components that keep only some of them."
    )
    merge_share: float = Field(
        0.25, ge=0, le=1, description="Share of stains that run into a second copy of themselves."
    )
    place: Literal["auto", "anywhere", "train"] = Field(
        "auto",
        description="auto: anywhere on textures, the same part on objects; train: near the centres of train defects.",
    )
    align_periods: float = Field(
        1.25, ge=0, le=4, description="How far to look for a place where the weave continues, in periods of it."
    )
    max_mismatch: float = Field(
        0.9, gt=0, description="Seams whose collar differs more from the host are drawn again (1 = unrelated)."
    )
    max_mismatch_object: float = Field(
        0.4, gt=0, description="The same for seams on objects, where it says whether the same part was found."
    )
    max_seam: float = Field(
        0.5, gt=0, description="Seams whose gradient differs more from the host's (in logarithms) are drawn again."
    )
    light: float = Field(1.0, ge=0, le=1, description="How far colour and light follow the host.")
    feather_px: float = Field(0.55, gt=0, le=20, description="Edge width of a cutout.")
    visible_levels: float = Field(6.0, ge=0, le=255, description="Grey levels of change that count as visible.")
    mask: Literal["visible", "annotated"] = Field(
        "visible", description="visible: what changed; annotated: the warped mask as loose as the annotators drew it."
    )
    dilate_px: int = Field(0, ge=0, le=50, description="Grow the final mask, to be as loose as the train masks.")

    @field_validator("angle_range_deg", "scale_range", "stretch_range", "swell_range")
    @classmethod
    def _in_order(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError(f"the first number ({value[0]}) must not be above the second ({value[1]})")
        return value

    @field_validator("scale_range", "stretch_range")
    @classmethod
    def _can_be_a_size(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0.05 <= value[0] <= value[1] <= 20:
            raise ValueError("sizes must be between 0.05 and 20")
        return value

    @field_validator("swell_range")
    @classmethod
    def _does_not_fold(cls, value: tuple[float, float]) -> tuple[float, float]:
        # Beyond this the middle would be drawn over itself.
        if not -0.6 <= value[0] <= value[1] <= 0.6:
            raise ValueError("swelling must be between -0.6 and 0.6")
        return value
