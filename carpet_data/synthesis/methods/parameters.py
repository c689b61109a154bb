"""What the parameters of methods share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Parameters(BaseModel):
    """The parameters of a method in a recipe: frozen, and unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _in_order(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"the first number ({value[0]}) must not be above the second ({value[1]})")
    return value


InOrder = AfterValidator(_in_order)
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Factor: TypeAlias = Annotated[float, Field(gt=0, le=8)]
Range: TypeAlias = Annotated[tuple[float, float], InOrder]
ShareRange: TypeAlias = Annotated[tuple[Share, Share], InOrder]
FactorRange: TypeAlias = Annotated[tuple[Factor, Factor], InOrder]
VisibleLevels: TypeAlias = Annotated[
    int | None,
    Field(
        ge=1, le=128, description="Minimum visible change in gray levels; None: measured from the noise of the host."
    ),
]
