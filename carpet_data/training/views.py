"""Views: variations of an image, each a pure function of the seed, the sample's id and the number of the view."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.errors import UsageError
from carpet_data.synthesis.methods.albumentations_pipeline import Pipeline, built
from carpet_data.synthesis.recipe.files import find
from carpet_data.synthesis.recipe.files import load as load_recipe

__all__ = ["VIEWS", "augment", "check", "identity"]

U8 = NDArray[np.uint8]

VIEWS = ("none", "light", "strong")
"""Strengths: none; flips and quarter turns; these, and a crop, a slight turn, light, blur and grain."""

_DIHEDRAL = 8
_AREA_RANGE = (0.7, 1.0)
_TURN_DEG = 10.0
_BRIGHTNESS, _CONTRAST, _GAMMA = 0.15, 0.2, 0.2
_BLUR_P, _BLUR_RANGE_PX = 0.25, (0.3, 0.9)
_GRAIN_P, _GRAIN_RANGE = 0.25, (1.0, 4.0)


def check(strength: str) -> None:
    """Refuse what `augment` could not do.

    Args:
        strength: One of VIEWS, or a recipe of the method `augment`: a shipped name, or the path of a file.

    Raises:
        UsageError: It is neither, or the recipe is of another method.
        DataError: The recipe's file is wrong.
    """
    if strength not in VIEWS:
        _pipeline(strength)


def identity(strength: str) -> str:
    """What views of a strength depend on besides seed, id and number: for keys of caches."""
    return strength if strength in VIEWS else hashlib.sha256(_document(strength).encode()).hexdigest()


def augment(
    pixels: U8, masks: U8 | None, *, strength: str, seed: int, ids: Sequence[str], view: int
) -> tuple[U8, U8 | None]:
    """One view of each image.

    View 0 is the plain image, so training that wants variation in its first epoch counts epochs from 1. The flips and
    quarter turns come in blocks: views 0 to 7 show an image in its eight positions, each once, in an order of its own.

    Args:
        pixels: uint8 (n, s, s, 3) RGB; not written to.
        masks: uint8 (n, s, s), masks or maps of class or instance numbers, moved alike; or None.
        strength: As `check`.
        seed: Of the run.
        ids: The sample of each image.
        view: The number of the view, or of the epoch.

    Returns:
        Arrays of the same shapes; the given ones where nothing changes.

    Raises:
        UsageError: As `check`, or the recipe does not fit images of this size.
    """
    if strength == "none" or view == 0:
        return pixels, masks
    assert len(ids) == len(pixels), "an id for every image"
    out = np.empty(pixels.shape, np.uint8)
    out_masks = None if masks is None else np.empty(masks.shape, np.uint8)
    for row, sample_id in enumerate(ids):
        mask = None if masks is None else masks[row]
        key = _key(sample_id)
        if strength in VIEWS:
            image, moved = _dihedral(pixels[row], mask, _position(seed, key, view))
            if strength == "strong":
                image, moved = _strong(image, moved, _generator(seed, key, view))
        else:
            image, moved = _by_recipe(_pipeline(strength), pixels[row], mask, _generator(seed, key, view))
        out[row] = image
        if out_masks is not None:
            assert moved is not None
            out_masks[row] = moved
    return out, out_masks


@lru_cache(maxsize=65536)
def _key(sample_id: str) -> tuple[int, ...]:
    digest = hashlib.sha256(sample_id.encode()).digest()
    return tuple(int.from_bytes(digest[at : at + 4], "big") for at in range(0, 16, 4))


def _generator(seed: int, key: tuple[int, ...], *numbers: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(*key, *numbers)))


def _position(seed: int, key: tuple[int, ...], view: int) -> int:
    """Which of the eight positions a view shows; 0 is the plain one."""
    block, place = divmod(view, _DIHEDRAL)
    order = _generator(seed, key, block, _DIHEDRAL).permutation(_DIHEDRAL)
    if block == 0:
        # The plain position belongs to view 0.
        order = np.concatenate(([0], order[order != 0]))
    return int(order[place])


def _dihedral(image: U8, mask: U8 | None, position: int) -> tuple[U8, U8 | None]:
    def turned(array: U8) -> U8:
        array = np.rot90(array, position % 4)
        return np.ascontiguousarray(array[:, ::-1] if position >= 4 else array)

    return turned(image), None if mask is None else turned(mask)


def _strong(image: U8, mask: U8 | None, rng: np.random.Generator) -> tuple[U8, U8 | None]:
    size = image.shape[0]
    side = float(np.sqrt(rng.uniform(*_AREA_RANGE)))
    turn = float(rng.uniform(-_TURN_DEG, _TURN_DEG))
    left, top = rng.uniform(0, 1 - side, 2) * size
    # Crop and enlarge, turned about the crop's middle, in one step: every pixel is interpolated once.
    middle = (left + side * size / 2 - 0.5, top + side * size / 2 - 0.5)
    matrix = cv2.getRotationMatrix2D(middle, turn, 1 / side)
    matrix[:, 2] += np.array([(size - 1) / 2, (size - 1) / 2]) - np.array(middle)
    image = _warped(image, matrix, cv2.INTER_LINEAR)
    mask = None if mask is None else _warped(mask, matrix, cv2.INTER_NEAREST)
    image = cv2.LUT(image, _light(rng)).astype(np.uint8, copy=False)
    if rng.random() < _BLUR_P:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(*_BLUR_RANGE_PX))).astype(np.uint8, copy=False)
    if rng.random() < _GRAIN_P:
        # The same in the three channels, so that gray images stay gray.
        grain = rng.normal(0, rng.uniform(*_GRAIN_RANGE), (size, size, 1))
        image = np.clip(np.rint(image + grain), 0, 255).astype(np.uint8)
    return image, mask


def _warped(array: U8, matrix: NDArray[Any], how: int) -> U8:
    size = (array.shape[1], array.shape[0])
    done = cv2.warpAffine(array, matrix, size, flags=how, borderMode=cv2.BORDER_REFLECT_101)
    return done.astype(np.uint8, copy=False)


def _light(rng: np.random.Generator) -> U8:
    """A table value -> value: contrast about the middle, brightness, gamma."""
    values = np.linspace(0, 1, 256)
    contrast, brightness = 1 + rng.uniform(-_CONTRAST, _CONTRAST), rng.uniform(-_BRIGHTNESS, _BRIGHTNESS)
    gamma = float(np.exp(rng.uniform(-_GAMMA, _GAMMA)))
    lit = np.clip((values - 0.5) * contrast + 0.5 + brightness, 0, 1) ** gamma
    return np.rint(lit * 255).astype(np.uint8)


def _by_recipe(pipeline: Pipeline, image: U8, mask: U8 | None, rng: np.random.Generator) -> tuple[U8, U8 | None]:
    given = np.zeros(image.shape[:2], np.uint8) if mask is None else mask
    varied, moved, _ = pipeline.varied(np.ascontiguousarray(image), given, rng)
    return varied, None if mask is None else moved


def _pipeline(name: str) -> Pipeline:
    return built(_document(name))


def _document(name: str) -> str:
    """The pipeline of a recipe, as JSON; read again when its file has changed."""
    try:
        path = find(name)
    except UsageError as error:
        raise UsageError(
            f"unknown augmentation {name!r}: {error.what}",
            where=error.where,
            hint=f"use {', '.join(VIEWS)}, or a recipe of the method augment (augment, or FILE.yaml)",
        ) from error
    state = path.stat()
    return _document_of(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _document_of(path: Path, modified_ns: int, size: int) -> str:  # noqa: ARG001 - they make the key of the cache
    recipe = load_recipe(path)
    if recipe.envelope.method != "augment":
        raise UsageError(
            f"it is a recipe of the method {recipe.envelope.method}",
            where=path,
            hint="training varies images by recipes of the method augment only",
        )
    return json.dumps(recipe.parameters.model_dump()["pipeline"], sort_keys=True)
