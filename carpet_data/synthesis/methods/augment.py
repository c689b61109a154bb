"""augment: a whole real defect image, moved, lit and grained by a pipeline of albumentations; its mask moves along."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
from pydantic import BaseModel, Field, field_validator

from carpet_data.errors import UsageError
from carpet_data.synthesis.contract import Candidate, Method, Redraw, Scene
from carpet_data.synthesis.methods.albumentations_pipeline import build, built
from carpet_data.synthesis.methods.parameters import Parameters, Share


def _node(name: str, p: float, **arguments: Any) -> dict[str, Any]:
    return {"__class_fullname__": name, "p": p, **arguments}


DEFAULT_PIPELINE: dict[str, Any] = {
    "__version__": "2.0.8",
    "transform": _node(
        "Compose",
        1.0,
        transforms=[
            _node("HorizontalFlip", 0.5),
            _node("VerticalFlip", 0.5),
            _node(
                "Affine",
                0.8,
                scale=[1.03, 1.12],
                keep_ratio=True,
                rotate=[-2.0, 2.0],
                translate_percent=[-0.015, 0.015],
                shear=[0.0, 0.0],
                interpolation=2,
                mask_interpolation=0,
                border_mode=4,
            ),
            _node("RandomBrightnessContrast", 0.7, brightness_limit=[-0.04, 0.04], contrast_limit=[-0.06, 0.06]),
            _node("RandomGamma", 0.3, gamma_limit=[90.0, 110.0]),
            _node(
                "OneOf",
                0.4,
                transforms=[
                    _node("GaussNoise", 1.0, std_range=[0.003, 0.01], per_channel=True),
                    _node("GaussianBlur", 1.0, blur_limit=0, sigma_limit=[0.3, 0.6]),
                    _node("Sharpen", 1.0, alpha=[0.05, 0.15], lightness=[1.0, 1.0]),
                ],
            ),
        ],
    ),
}
"""Flips; a slight turn and enlargement, so that hardly any mirrored border is visible; light; grain or blur."""


class AugmentParameters(Parameters):
    """Parameters of `augment`."""

    pipeline: dict[str, Any] = Field(
        default_factory=lambda: copy.deepcopy(DEFAULT_PIPELINE),
        description="Pipeline as albumentations.to_dict gives it: __version__ and transform, a Compose; every "
        "transform needs its p.",
    )
    min_kept: Share = Field(0.7, description="Minimum share of the defect's pixels that stay; below: a retry.")

    @field_validator("pipeline")
    @classmethod
    def _buildable(cls, pipeline: dict[str, Any]) -> dict[str, Any]:
        try:
            build(pipeline)
        except UsageError as error:
            raise ValueError(f"{error.what}; {error.hint}") from error
        return pipeline


class Augment(Method):
    """Varies real defect images; the scene's host is such an image."""

    version = 1
    donors_needed = 1
    needs_whole = True
    makes_nulls = True
    Parameters: type[BaseModel] = AugmentParameters

    def render(self, scene: Scene, parameters: AugmentParameters, rng: np.random.Generator) -> Candidate:
        """Vary the scene's whole image; the candidate's box is all of it.

        Raises:
            Redraw: The defect left the image, or too much of it, or nothing changed.
            UsageError: The pipeline does not fit the image.
        """
        assert scene.whole is not None, "the engine gives the whole image to a method that asks for it"
        image, mask = scene.whole
        varied, moved, applied = built(json.dumps(parameters.pipeline, sort_keys=True))(image, mask, rng)
        if np.array_equal(varied, image):
            raise Redraw("the pipeline changed nothing")
        if mask.any() and (not moved.any() or moved.sum() < parameters.min_kept * mask.sum()):
            raise Redraw("the defect left the image")
        height, width = mask.shape
        return Candidate(varied, moved, (0, 0, width, height), {"applied": list(applied)})
