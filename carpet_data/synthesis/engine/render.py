"""What a worker does: a plan becomes a scene, a candidate, a verdict, and the bytes of two files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from carpet_data.core import seeds
from carpet_data.core.images import encode_png
from carpet_data.synthesis.contract import Candidate, Facts, Image, Method, Redraw, Scene, Unsuited, is_learned
from carpet_data.synthesis.engine import codec, depth, gates, scene_loader
from carpet_data.synthesis.engine.plan import ImagePlan
from carpet_data.synthesis.engine.train_images import TrainImages
from carpet_data.synthesis.recipe import registry
from carpet_data.synthesis.recipe.model import GateRules

REDRAW = "redraw"
"""The gate that the method itself is: it found no way to use its draw."""
UNSUITED = "unsuited"
"""The same where no other draw would help."""


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What all plans of one class have in common; it travels once with every few of them.

    Attributes:
        target: The method, "module:Class".
        parameters: Its parameters as JSON text.
        attempts: Maximum number of attempts per image.
        model: The weights that a learned method opens; None for other methods.
    """

    root: Path
    target: str
    parameters: str
    rules: GateRules
    attempts: int
    facts: Facts
    model: Path | None = None
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class RenderResult:
    """One synthetic image as bytes, or the statement that all attempts failed.

    Attributes:
        image: The encoded image; None where every attempt was refused.
        mask: The encoded mask, PNG; None for null samples and where there is no image.
        attempt: The attempt that passed, from 0.
        refused: Gate -> number of attempts that it refused.
        reason: Why the method itself refused the last of its own attempts.
    """

    plan: ImagePlan
    image: bytes | None
    mask: bytes | None
    suffix: str
    attempt: int
    drawn: Mapping[str, Any]
    scores: Mapping[str, float]
    refused: Mapping[str, int]
    reason: str = ""


def render(work: tuple[WorkerContext, ImagePlan]) -> RenderResult:
    """Make one image: a pure function of the context and the plan.

    Raises:
        DataError: A file of the data set cannot be read.
        RuntimeError: The method broke its contract.
    """
    context, plan = work
    method, parameters = _method(context.target, context.parameters, context.model, context.device)
    images = _images(context.root, context.facts.is_object, context.facts.is_ordered, context.facts.full_scale)
    scene = scene_loader.load(images, plan, context.facts, whole=method.needs_whole)
    refused: Counter[str] = Counter()
    reason = ""
    for attempt in range(context.attempts):
        rng = seeds.generator(plan.seed, *plan.seed_key, attempt)
        try:
            candidate = method.render(scene, parameters, rng)
        except Unsuited as error:
            return RenderResult(plan, None, None, "", attempt + 1, {}, {}, {**refused, UNSUITED: 1}, str(error))
        except Redraw as error:
            refused[REDRAW] += 1
            reason = str(error)
            continue
        try:
            verdict = gates.judge(candidate, scene, context.rules)
        except ValueError as error:
            raise RuntimeError(f"the method {context.target} broke its contract: {error}") from error
        if verdict.refused_by is None:
            how = codec.of_file(context.root / plan.host.sample.image_path)
            return RenderResult(
                plan,
                codec.encode(_in_depth(images, plan, scene, candidate, context.facts.full_scale), how),
                None if plan.null else encode_png(candidate.mask),
                how.suffix,
                attempt,
                drawn_values(candidate),
                verdict.scores,
                dict(refused),
            )
        refused[verdict.refused_by] += 1
    return RenderResult(plan, None, None, "", context.attempts, {}, {}, dict(refused), reason)


def _in_depth(
    images: TrainImages, plan: ImagePlan, scene: Scene, candidate: Candidate, full: int
) -> Image | NDArray[np.uint16]:
    """The candidate's image, as deep as its host's file."""
    deep = None if full == depth.EIGHT_BIT else images.deep_host(plan.host)
    if deep is None:
        return candidate.image
    if scene.whole is not None:
        # It is another picture than the host's, moved and turned as a whole.
        return depth.spread(candidate.image, full, seeds.generator(plan.seed, *plan.seed_key, "depth"))
    return depth.deepened(scene_loader.vary_deep(deep, plan.variation, full), scene.host, candidate.image, full)


def drawn_values(candidate: Candidate) -> dict[str, Any]:
    """What a method drew, as plain JSON values.

    Raises:
        TypeError: JSON cannot hold a value.
    """
    values: dict[str, Any] = json.loads(json.dumps(dict(candidate.drawn), allow_nan=False, default=_plain))
    return values


def _plain(value: Any) -> Any:
    """numpy's numbers and arrays as JSON has them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a method drew {value!r}, which JSON cannot hold")


@lru_cache(maxsize=8)
def _method(target: str, parameters: str, model: Path | None, device: str) -> tuple[Method, BaseModel]:
    method = registry.load(target)
    if is_learned(method) and model is not None:
        method.open(model, device)
    return method, method.Parameters.model_validate_json(parameters)


@lru_cache(maxsize=1)
def _images(root: Path, is_object: bool, is_ordered: bool, full_scale: int) -> TrainImages:
    return TrainImages(root, is_object=is_object, is_ordered=is_ordered, full_scale=full_scale)


def forget() -> None:
    """Free the memory of what this process has decoded."""
    _images.cache_clear()
    _method.cache_clear()
    codec.of_file.cache_clear()
