"""Whole images through albumentations: what is refused, that masks stay exact, and that every node has its own seed."""

from __future__ import annotations

import json
import random
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from carpet_data.errors import UsageError
from carpet_data.synthesis.contract import Candidate, Facts, Image, Redraw, Scene
from carpet_data.synthesis.methods.albumentations_pipeline import build
from carpet_data.synthesis.methods.augment import DEFAULT_PIPELINE, Augment, AugmentParameters
from carpet_data.synthesis.recipe import files

FACTS = Facts("hole", (), (), (), 0.0, is_object=False)


def node(name: str, p: float = 1.0, **arguments: Any) -> dict[str, Any]:
    return {"__class_fullname__": name, "p": p, **arguments}


def document(*nodes: dict[str, Any]) -> dict[str, Any]:
    return {"__version__": "2.0.8", "transform": node("Compose", transforms=list(nodes))}


def picture(height: int = 64, width: int = 80, *, grey: bool = False) -> tuple[Image, NDArray[np.bool_]]:
    rng = np.random.default_rng(1)
    image = rng.integers(40, 160, (height, width) if grey else (height, width, 3)).astype(np.uint8)
    mask = np.zeros((height, width), np.bool_)
    mask[20:32, 30:50] = True
    image[mask] = 255
    return image, mask


def augment(image: Image, mask: NDArray[np.bool_], seed: int = 0, **parameters: Any) -> Candidate:
    scene = Scene(image, None, (), (), FACTS, whole=(image, mask))
    return Augment().render(scene, AugmentParameters(**parameters), np.random.default_rng(seed))


@pytest.mark.parametrize("grey", [False, True])
def test_the_default_pipeline(grey: bool) -> None:
    image, mask = picture(grey=grey)
    before = image.copy()
    made = augment(image, mask)
    assert np.array_equal(image, before)
    assert made.image.shape == image.shape
    assert made.image.dtype == np.uint8
    assert made.mask.dtype == np.bool_
    assert made.mask.any()
    assert made.box == (0, 0, 80, 64)
    assert not np.array_equal(made.image, image)
    json.dumps(made.drawn)


@pytest.mark.parametrize("seed", range(8))
def test_the_mask_moves_exactly_with_the_image(seed: int) -> None:
    _, mask = picture()
    image = mask.astype(np.uint8) * np.uint8(255)
    geometry = [deepcopy(each) for each in DEFAULT_PIPELINE["transform"]["transforms"][:3]]
    geometry[2].update(interpolation=0, p=1.0)
    made = augment(image, mask, seed, pipeline=document(*geometry))
    assert np.array_equal(made.image > 0, made.mask)


def test_a_mirrored_border_is_mirrored_in_the_mask_too() -> None:
    image, _ = picture()
    full = np.ones(image.shape[:2], np.bool_)
    turned = document(node("Affine", rotate=[20.0, 25.0], mask_interpolation=0, border_mode=4, interpolation=0))
    assert augment(image, full, pipeline=turned).mask.all()


def test_equal_seeds_give_equal_pixels_whatever_the_global_generators_say() -> None:
    image, mask = picture()
    one = augment(image, mask, 3)
    np.random.seed(99)  # noqa: NPY002
    random.seed(99)
    again, other = augment(image, mask, 3), augment(image, mask, 4)
    assert np.array_equal(one.image, again.image)
    assert np.array_equal(one.mask, again.mask)
    assert not np.array_equal(one.image, other.image)


def test_every_node_has_its_own_seed_nested_ones_too() -> None:
    image, mask = picture()
    pair = [node("HorizontalFlip", 0.5), node("VerticalFlip", 0.5)]
    flips = build(document(*pair, node("Sequential", transforms=deepcopy(pair))))
    rng = np.random.default_rng(0)
    seen = [flips(image, mask, rng)[2] for _ in range(200)]
    # With one stream for all, the four would agree always; with four streams, in one run of eight.
    agree = sum(len(applied) in (0, 4) for applied in seen)
    assert 8 < agree < 50


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "__version__"),
        ({"__version__": "2.0.8", "transform": node("HorizontalFlip")}, "not a Compose"),
        (document(node("HorizontalFlipp")), "HorizontalFlip'"),
        (document({"__class_fullname__": "HorizontalFlip"}), "has no p"),
        (document(node("RandomGamma", gama_limit=[80, 120])), "gama_limit"),
        (document(node("RandomGamma", gamma_limit="much")), "gamma_limit"),
        (document(node("OneOf", transforms=[node("RandomGamma", gama_limit=[80, 120])])), "gama_limit"),
        (document(node("OneOf", transforms=node("HorizontalFlip"))), "not a list"),
        (document(node("ImageCompression")), "cue"),
        (document(node("OneOf", transforms=[node("CoarseDropout")])), "erase"),
        (document(node("Affine", mask_interpolation=1)), "interpolates the mask"),
        (document(node("Affine", fill_mask=1)), "fills the mask"),
        (document({"p": 1.0}), "__class_fullname__"),
    ],
)  # fmt: skip
def test_wrong_pipelines_are_refused_when_they_are_read(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        build(wrong)
    assert says in str(caught.value)
    with pytest.raises(ValidationError, match="pipeline cannot be built"):
        AugmentParameters(pipeline=wrong)


def test_a_transform_that_does_not_fit_the_image_is_an_error_that_helps() -> None:
    image, mask = picture(grey=True)
    with pytest.raises(UsageError, match="grayscale image of 80x64"):
        augment(image, mask, pipeline=document(node("ChannelShuffle"), node("HueSaturationValue")))
    with pytest.raises(UsageError, match="turns a uint8 image"):
        augment(image, mask, pipeline=document(node("RandomCrop", height=20, width=20)))


def test_a_defect_that_leaves_the_image_is_drawn_again() -> None:
    image, mask = picture()
    away = document(node("Affine", translate_px={"x": [60, 60], "y": [0, 0]}, mask_interpolation=0))
    with pytest.raises(Redraw, match="left the image"):
        augment(image, mask, pipeline=away)
    with pytest.raises(Redraw, match="changed nothing"):
        augment(image, mask, pipeline=document(node("HorizontalFlip", 0.0)))


def test_the_shipped_recipe_is_the_default() -> None:
    recipe = files.load("augment")
    assert recipe.parameters == AugmentParameters()
    assert recipe.parameters.model_dump()["pipeline"] == DEFAULT_PIPELINE


@pytest.mark.parametrize("name", ["augment-object", "procedural", "procedural-crack", "procedural-abrasion"])
def test_the_other_shipped_recipes_load(name: str) -> None:
    assert files.load(name).method == name.split("-")[0]
