"""What a worker does: a job becomes a scene, a candidate, a verdict, and the bytes of two files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from carpet_data.core.images import encode_png
from carpet_data.dataset import Sample
from carpet_data.synthesis.contract import Candidate, Facts, Method, Redraw, is_learned
from carpet_data.synthesis.engine import codec, gates, scenes, seeds
from carpet_data.synthesis.engine.pixels import Pixels, plate
from carpet_data.synthesis.engine.plan import Job
from carpet_data.synthesis.recipe import registry
from carpet_data.synthesis.recipe.model import GateRules

REDRAW = "redraw"
"""The gate that the method itself is: it found no way to use its draw."""


@dataclass(frozen=True, slots=True)
class Brief:
    """What all jobs of one class have in common; it travels once with every few of them.

    Attributes:
        root: The prepared folder.
        target: The method, "module:attribute".
        parameters: Its parameters as JSON text.
        rules: Of the gates.
        attempts: Draws an image.
        facts: Of the class.
        model: The weights that a learned method opens; None for other methods.
        device: Where a learned method computes.
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
class Rendered:
    """One synthetic image as bytes, or the word that none could be made.

    Attributes:
        job: Its plan.
        image: The encoded image; None where every draw was refused.
        mask: The encoded mask, PNG; None for null samples and where there is no image.
        suffix: Of the image file.
        attempt: The draw that passed, from 0.
        drawn: What the method drew.
        scores: Of the gates.
        refused: Gate -> draws that it refused.
    """

    job: Job
    image: bytes | None
    mask: bytes | None
    suffix: str
    attempt: int
    drawn: Mapping[str, Any]
    scores: Mapping[str, float]
    refused: Mapping[str, int]


def render(work: tuple[Brief, Job]) -> Rendered:
    """Make one image: a pure function of the brief and the job.

    Raises:
        DataError: A file of the data set cannot be read.
        RuntimeError: The method broke its contract.
    """
    brief, job = work
    method, parameters = _method(brief.target, brief.parameters, brief.model, brief.device)
    pixels = _pixels(brief.root, brief.facts.is_object)
    scene = scenes.build(pixels, job, brief.facts, scenes.Wants(method.donors_needed, method.needs_whole))
    refused: Counter[str] = Counter()
    for attempt in range(brief.attempts):
        rng = seeds.generator(job.seed, *job.seed_key, attempt)
        try:
            candidate = method.render(scene, parameters, rng)
        except Redraw:
            refused[REDRAW] += 1
            continue
        try:
            verdict = gates.judge(candidate, scene, brief.rules)
        except ValueError as error:
            raise RuntimeError(f"the method {brief.target} broke its contract: {error}") from error
        if verdict.refused_by is None:
            return _encoded(brief, job, candidate, attempt, verdict.scores, refused)
        refused[verdict.refused_by] += 1
    return Rendered(job, None, None, "", brief.attempts, {}, {}, dict(refused))


def _encoded(
    brief: Brief, job: Job, candidate: Candidate, attempt: int, scores: Mapping[str, float], refused: Mapping[str, int]
) -> Rendered:
    how = codec.of_file(brief.root / job.host.sample.image_path)
    mask = None if job.null else encode_png(candidate.mask)
    image = codec.encode(candidate.image, how)
    # Through JSON once, so that what is recorded is plain whatever the method drew it as.
    drawn = json.loads(json.dumps(dict(candidate.drawn), allow_nan=False, default=_plain))
    return Rendered(job, image, mask, how.suffix, attempt, drawn, scores, dict(refused))


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
def _pixels(root: Path, is_object: bool) -> Pixels:
    return Pixels(root, is_object=is_object)


def make_plate(work: tuple[Path, Sample]) -> None:
    """Make and keep the clean plate of one image."""
    plate(*work)


def forget() -> None:
    """Give back the memory of what this process had decoded."""
    _pixels.cache_clear()
    _method.cache_clear()
    codec.of_file.cache_clear()
