"""The parameters of donor paste, without what it needs to run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from carpet_data.synthesis.methods.parameters import Parameters, Range, Share


def _can_be_a_size(value: tuple[float, float]) -> tuple[float, float]:
    if not 0.05 <= value[0] <= value[1] <= 20:
        raise ValueError("sizes must be between 0.05 and 20")
    return value


def _does_not_fold(value: tuple[float, float]) -> tuple[float, float]:
    # Beyond this the middle would be drawn over itself.
    if not -0.6 <= value[0] <= value[1] <= 0.6:
        raise ValueError("swelling must be between -0.6 and 0.6")
    return value


class DonorPasteParameters(Parameters):
    """Parameters of `donor-paste`."""

    blend: Literal["auto", "tint", "relief", "cutout", "seam"] = Field(
        "auto",
        description="How the defect joins the host: tint keeps the host's texture (stains), relief multiplies it (thin "
        "cracks on a smooth surface), cutout covers it (metal, threads), seam replaces it up to the cheapest cut "
        "(holes); auto measures each donor.",
    )
    structure: Literal["keep", "ignore"] = Field(
        "keep",
        description="keep: on a strict lattice (wire mesh, fine twill) the donor is laid so that both lattices "
        "coincide and replaces the host's structure; where everything runs in one direction, donors keep it; reliefs "
        "keep their light; ignore: as on any other texture.",
        json_schema_extra={"added": True},
    )
    flip: bool = Field(True, description="Mirror half of the donors (never on objects).")
    turn: Literal["auto", "none", "halves", "quarters", "free"] = Field(
        "auto",
        description="How far a donor may be turned on a texture; auto: freely for a cutout, by quarters or halves, as "
        "the weave allows, otherwise. On objects it always follows the object.",
    )
    angle_range_deg: Range = Field(
        (-6.0, 6.0), description="Small additional turn; not used for seams through a weave."
    )
    scale_range: Annotated[Range, AfterValidator(_can_be_a_size)] = Field(
        (0.8, 1.25), description="Size relative to the donor; seams through a weave keep the weave's scale."
    )
    stretch_range: Annotated[Range, AfterValidator(_can_be_a_size)] = Field(
        (0.92, 1.08), description="Width over height, in addition to the scale."
    )
    elastic_frac: float = Field(0.05, ge=0, le=0.5, description="Random bending, as a share of the defect's breadth.")
    bend_frac: float = Field(
        0.08, ge=0, le=1, description="How far a long thin defect curves, as a share of its length."
    )
    swell_range: Annotated[Range, AfterValidator(_does_not_fold)] = Field(
        (-0.1, 0.12), description="How much the middle of a seam defect grows while its rim stays."
    )
    split_share: Share = Field(
        0.35, description="Probability that only some components of a multi-component donor are used."
    )
    merge_share: Share = Field(0.25, description="Share of stains that run into a second copy of themselves.")
    place: Literal["auto", "anywhere", "train"] = Field(
        "auto",
        description="auto: anywhere on textures, the same part on objects; train: near the centers of training "
        "defects.",
    )
    align_periods: float = Field(
        1.25, ge=0, le=4, description="How far to look for a place where the weave continues, in periods of it."
    )
    max_mismatch: float = Field(
        0.9, gt=0, description="Maximum difference of a seam's collar from the host (1 = unrelated); above: a retry."
    )
    max_mismatch_object: float = Field(
        0.4, gt=0, description="The same on objects, where it shows whether the same part was found."
    )
    max_seam: float = Field(
        0.5,
        gt=0,
        description="Maximum difference of a seam's gradient from the host's (in logarithms); above: a retry.",
    )
    light: float = Field(1.0, ge=0, le=1, description="How far color and light follow the host.")
    feather_px: float = Field(0.55, gt=0, le=20, description="Edge width of a cutout.")
    visible_levels: float = Field(6.0, ge=0, le=255, description="Minimum visible change in gray levels.")
    mask: Literal["visible", "annotated"] = Field(
        "visible",
        description="visible: what changed (on a lattice or a lit relief, where more changes than annotators draw: "
        "their mask); annotated: the warped mask as loose as the annotators drew it.",
    )
    dilate_px: int = Field(0, ge=0, le=50, description="Growth of the final mask, to be as loose as training masks.")
