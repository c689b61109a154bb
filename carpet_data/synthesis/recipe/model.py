"""The recipe: how synthetic samples are made, validated, with an identity that later versions keep."""

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
        description="Minimum number of hosts; missing ones are defect images with their defect removed.",
    )
    flip: bool = Field(default=True, description="Textures: flip a host that is used again, each way once.")
    flip_objects: bool = Field(default=False, description="Objects: flip hosts as well (mirrors screw threads).")
    rotate_deg: float = Field(
        default=1.0,
        ge=0,
        le=10,
        description="Textures: maximum rotation of a host, in degrees, once all flips are used; cropped, not mirrored.",
    )
    shift_frac: float = Field(
        default=0.02,
        ge=0,
        le=0.25,
        description="Textures: maximum shift along with the rotation, as a fraction of the image.",
    )
    light: float = Field(
        default=0.03, ge=0, le=0.5, description="Maximum relative change of brightness of a host that is used again."
    )


class GateRules(_Strict):
    """Quality checks: when a candidate is refused and drawn again."""

    visible: float = Field(
        default=1.0,
        ge=0,
        description="Minimum change inside the mask, relative to the noise of the host; other texture has about 2.",
    )
    outside_frac: float = Field(
        default=0.01, ge=0, le=1, description="Maximum fraction of the image that changes outside the mask."
    )
    nearness: float = Field(
        default=0.97, ge=0, le=1, description="Maximum similarity to a donor: mask overlap times correlation."
    )
    area_slack: float = Field(
        default=1.5, ge=1, description="Factor by which the area may leave the range of the training masks."
    )
    border: Literal["as-class", "allow", "refuse"] = Field(
        default="as-class",
        description="Whether a mask may touch the image border; as-class: only if a training mask does.",
    )


class Envelope(_Strict):
    """The fields of every recipe, whatever its method."""

    schema_: Literal[1] = Field(default=1, alias="schema", description="Version of this format; 1.")
    method: str = Field(description="Name of the method.")
    version: int = Field(ge=1, description="Version of the method; another version may give other pixels.")
    summary: str = Field(default="", description="Summary in one line; not part of the recipe's identity.")
    subject: Literal["auto", "texture", "object"] = Field(
        default="auto",
        description="What the images show: a texture, or an object on a background; auto: decided from the hosts.",
    )
    attempts: int = Field(default=8, ge=1, le=1000, description="Maximum number of attempts per image.")
    null_share: float = Field(
        default=0.0, ge=0, le=1, description="Null samples (good pasted onto good, labeled good) per defect image."
    )
    hosts: HostRules = Field(default=HostRules(), description="Choice and variation of host images.")
    gates: GateRules = Field(default=GateRules(), description="Quality checks of candidates.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Parameters of the method.")


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
        """The document without what changes no pixel: what is stored beside the images, under the identity."""
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
