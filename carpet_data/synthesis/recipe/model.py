"""The recipe: what a synthetic sample is made by, validated, with an identity that later versions keep."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from carpet_data.synthesis.contract import Method
from carpet_data.synthesis.recipe import registry

_NO_PIXELS = ("summary", "null_share")
"""A label, and a count that adds images instead of changing them."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class HostRules(_Strict):
    """How host images are chosen and varied. A host's first use is always the image as it is."""

    min_count: int = Field(
        default=4,
        ge=0,
        le=10_000,
        description="With fewer good images, defect images with their defect removed join them.",
    )
    flip: bool = Field(default=True, description="Textures: a host used again is flipped, each way once.")
    flip_objects: bool = Field(
        default=False, description="Flip hosts that show an object too (its thread would turn round)."
    )
    rotate_deg: float = Field(
        default=1.0,
        ge=0,
        le=10,
        description="Textures: once each flip is used, turned by up to this and cropped (no mirror).",
    )
    shift_frac: float = Field(
        default=0.02, ge=0, le=0.25, description="Textures: together with the turn, moved by up to this."
    )
    light: float = Field(default=0.03, ge=0, le=0.5, description="Hosts used again: brightness times 1 ± up to this.")


class GateRules(_Strict):
    """When a candidate is refused and drawn again."""

    visible: float = Field(
        default=1.0,
        ge=0,
        description="Least change inside the mask, in units of the host's own variation; other texture scores about 2.",
    )
    outside_frac: float = Field(
        default=0.01, ge=0, le=1, description="Most changed pixels outside the mask, of the image."
    )
    nearness: float = Field(
        default=0.97, ge=0, le=1, description="Most likeness to a donor: mask overlap times correlation."
    )
    area_slack: float = Field(
        default=1.5, ge=1, description="Area may leave the range of the train masks by this factor."
    )
    border: Literal["as-class", "allow", "refuse"] = Field(
        default="as-class",
        description="Whether a mask may touch the image border; as-class: only where a train mask does.",
    )


class Envelope(_Strict):
    """What every recipe says, whatever its method."""

    schema_: Literal[1] = Field(default=1, alias="schema", description="Of this document; 1.")
    method: str = Field(description="Name of a method.")
    version: int = Field(ge=1, description="Of the method; other versions may give other pixels.")
    summary: str = Field(default="", description="One line for people; no part of the recipe's identity.")
    subject: Literal["auto", "texture", "object"] = Field(
        default="auto",
        description="What images show: a texture, or an object on a ground; auto looks at the good images.",
    )
    attempts: int = Field(default=8, ge=1, le=1000, description="Draws for one image before it is given up.")
    null_share: float = Field(
        default=0.0, ge=0, le=1, description="Good pasted onto good, labelled good: so many for each defect image."
    )
    hosts: HostRules = Field(default=HostRules(), description="Choice and variation of hosts.")
    gates: GateRules = Field(default=GateRules(), description="When to draw again.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Of the method.")


@dataclass(frozen=True)
class Recipe:
    """A validated recipe.

    Attributes:
        name: Shown to people: the shipped name, or the file's stem.
        envelope: All but the parameters.
        parameters: The method's own model, every default filled in.
        target: Where the method lies, "module:attribute".
        file: It was read from; None for one that was built in Python.
    """

    name: str
    envelope: Envelope
    parameters: BaseModel
    target: str
    file: Path | None = None

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.envelope.method

    def load_method(self) -> Method:
        """The method, imported now if it was not.

        Raises:
            CarpetDataError: It cannot be loaded.
        """
        return registry.load(self.target)

    @property
    def is_learned(self) -> bool:
        """Whether the recipe must be fitted to a data set before it is used."""
        return self.load_method().learned

    def document(self) -> dict[str, Any]:
        """The whole recipe as plain values, every default filled in."""
        values = self.envelope.model_dump(mode="json", by_alias=True)
        values["parameters"] = self.parameters.model_dump(mode="json")
        return values

    def to_json(self) -> dict[str, Any]:
        """What `recipes list --json` says of it."""
        return {
            "name": self.name,
            "hash": self.identity,
            "learned": self.is_learned,
            "recipe": self.document(),
        }

    def kept(self) -> dict[str, Any]:
        """The document without what shapes no pixel: what is kept beside the images, under the identity."""
        return {key: value for key, value in self.document().items() if key not in _NO_PIXELS}

    @cached_property
    def identity(self) -> str:
        """Hex SHA-256 of the canonical JSON of all that shapes the pixels."""
        values = identifying(self.envelope)
        values["parameters"] = identifying(self.parameters)
        for name in _NO_PIXELS:
            values.pop(name, None)
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


def identifying(model: BaseModel) -> dict[str, Any]:
    """The values of a model that make its identity: all of them, defaults filled in.

    A field that was added after its method's version had been published declares
    `json_schema_extra={"added": True}`: at its default it stays out, so that old recipes keep their hash.
    """
    values: dict[str, Any] = {}
    dumped = model.model_dump(mode="json", by_alias=True)
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("added") and value == field.get_default(call_default_factory=True):
            continue
        key = field.alias or name
        values[key] = identifying(value) if isinstance(value, BaseModel) else dumped[key]
    return values
