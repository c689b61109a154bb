"""Pipelines of albumentations: read strictly from their serialized form, and run from our own seeds.

The only module that uses albumentations. What it guards against in 2.0.8: `Compose(seed=…)` hands every child the same
random stream, so that two flips of p = 0.5 always agree; a mistyped argument only warns; a missing p becomes 0.5;
importing the library asks the network for a newer version.
"""

from __future__ import annotations

import json
import os
import random
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from carpet_data.errors import UsageError, nearest
from carpet_data.synthesis.contract import Image, Mask

_REFUSED = {
    "ImageCompression": "its blocks and rings would be a cue that only synthetic images carry",
    "Lambda": "a recipe cannot hold a function",
    "ToTensorV2": "the result must stay an image",
    "ToTensor3D": "the result must stay an image",
    "Normalize": "the result must stay an image of 8 bits",
    "ToFloat": "the result must stay an image of 8 bits",
}
_WHERE = "parameters.pipeline"
Labels: TypeAlias = NDArray[np.uint8]
_NEAREST = 0
"""cv2.INTER_NEAREST: a mask has no soft edge."""


class Pipeline:
    """A checked pipeline; made by `build`."""

    def __init__(self, compose: Any) -> None:
        self._compose = compose
        self._nodes = tuple(_walk(compose))

    def __call__(self, image: Image, mask: Mask, rng: np.random.Generator) -> tuple[Image, Mask, tuple[str, ...]]:
        """Run it once: a pure function of its arguments.

        Image (uint8 HxWx3 RGB or HxW) and mask (bool HxW) are not written to; `rng` seeds every node, nested ones too,
        each with its own generators. Also returns the names of the transforms that were applied, in order.

        Raises:
            UsageError: A transform cannot work on such an image, or gives another size or type.
        """
        out, moved, applied = self.varied(image, mask.astype(np.uint8), rng)
        return out, np.ascontiguousarray(moved > 0), applied

    def varied(self, image: Image, labels: Labels, rng: np.random.Generator) -> tuple[Image, Labels, tuple[str, ...]]:
        """As a call, with a map of numbers (uint8 HxW), each of which moves with its pixel, in place of a mask."""
        seeds = np.random.SeedSequence(rng.integers(0, 2**63, 4).tolist()).spawn(len(self._nodes))
        for node, seed in zip(self._nodes, seeds, strict=True):
            numbers, words = seed.spawn(2)
            node.random_generator = np.random.default_rng(numbers)
            node.py_random = random.Random(int.from_bytes(words.generate_state(8).tobytes(), "little"))  # noqa: S311
        try:
            done = self._compose(image=image.copy(), mask=labels.copy())
        except Exception as error:
            # Anything may come out of a transform that does not fit the image (its channels, its size).
            kind = "grayscale" if image.ndim == 2 else "RGB"
            what = f"the pipeline fails on a {kind} image of {image.shape[1]}x{image.shape[0]}: {_short(error)}"
            raise UsageError(what, where=_WHERE, hint="use transforms that work on such images") from error
        out, moved = done["image"], done["mask"]
        if out.shape != image.shape or out.dtype != np.uint8 or moved.shape != labels.shape:
            raise UsageError(
                f"the pipeline turns a uint8 image {image.shape} into {out.dtype} {out.shape}",
                where=_WHERE,
                hint="keep the size, the channels and the 8 bits of the image",
            )
        applied = tuple(name for name, _ in done["applied_transforms"])
        return np.ascontiguousarray(out), np.ascontiguousarray(moved, np.uint8), applied


def build(document: Mapping[str, Any]) -> Pipeline:
    """Build a pipeline from what `albumentations.to_dict` gives.

    The document is {"__version__": …, "transform": {"__class_fullname__": "Compose", "p": 1.0, "transforms": […]}}.

    Raises:
        UsageError: It is not such a document, has unknown transforms or arguments, leaves out a p, or holds a transform
            that would make the mask inexact or leave a mark on synthetic images.
    """
    if set(document) != {"__version__", "transform"} or not isinstance(document.get("transform"), Mapping):
        raise _wrong("it needs __version__ and transform, and nothing else", "write it as albumentations.to_dict does")
    tree = document["transform"]
    if tree.get("__class_fullname__") != "Compose":
        raise _wrong("its outermost transform is not a Compose", "wrap the transforms in a Compose")
    library = _library()
    _check_nodes(tree, library.core.serialization.SERIALIZABLE_REGISTRY)
    with warnings.catch_warnings():
        # The library warns about invalid arguments and continues without them.
        warnings.simplefilter("error")
        try:
            compose = library.from_dict({"transform": _plain(tree)})
        except (ValueError, TypeError, KeyError, AttributeError, Warning) as error:
            raise _wrong(_short(error), "see the transform in the documentation of albumentations 2.0.8") from error
    for node in _walk(compose):
        _check_mask(node)
    compose.save_applied_params = True
    return Pipeline(compose)


@lru_cache(maxsize=8)
def built(document: str) -> Pipeline:
    """As `build`, from JSON, and only once for each document in a process."""
    return build(json.loads(document))


def _library() -> Any:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations
    import albumentations.core.serialization

    return albumentations


def _check_nodes(tree: Any, known: Mapping[str, Any]) -> None:
    """Check the name and the p of every node before the library sees them, which guesses where it should refuse."""
    if not isinstance(tree, Mapping) or not isinstance(tree.get("__class_fullname__"), str):
        raise _wrong("a transform has no __class_fullname__", "write each as albumentations.to_dict does")
    name = tree["__class_fullname__"]
    if name not in known:
        hint = nearest(name, known).strip() or "see the documentation of albumentations 2.0.8"
        raise _wrong(f"unknown transform {name!r}", hint)
    if name in _REFUSED or "Dropout" in name:
        reason = _REFUSED.get(name, "it may erase the defect, and the mask would not follow")
        raise _wrong(f"{name} is not allowed: {reason}", "remove it")
    if "p" not in tree:
        raise _wrong(f"{name} has no p", "set its probability, 0 to 1")
    children = tree.get("transforms", ())
    if not isinstance(children, list | tuple):
        raise _wrong(f"the transforms of {name} are not a list", "write a list of transforms")
    for child in children:
        _check_nodes(child, known)


def _check_mask(node: Any) -> None:
    """Refuse what would move the mask and the image differently."""
    name = type(node).__name__
    if getattr(node, "mask_interpolation", _NEAREST) not in (None, _NEAREST):
        raise _wrong(f"{name} interpolates the mask", "set mask_interpolation: 0 (nearest)")
    if float(getattr(node, "fill_mask", 0) or 0) != 0:
        raise _wrong(f"{name} fills the mask", "set fill_mask: 0")


def _walk(node: Any) -> Iterator[Any]:
    yield node
    for child in getattr(node, "transforms", ()):
        yield from _walk(child)


def _plain(tree: Any) -> Any:
    """A deep copy with lists as tuples where they are values: the library checks ranges as tuples."""
    if isinstance(tree, Mapping):
        return {
            key: [_plain(child) for child in value] if key == "transforms" else _plain(value)
            for key, value in tree.items()
        }
    if isinstance(tree, list | tuple):
        return tuple(_plain(value) for value in tree)
    return tree


def _wrong(what: str, hint: str) -> UsageError:
    return UsageError(f"the pipeline cannot be built: {what}", where=_WHERE, hint=hint)


def _short(error: BaseException) -> str:
    """The first two lines of an error: pydantic's say where and what, the rest is advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and "validation error" in lines[0]:
        lines = lines[1:3]
    return " ".join(lines[:2])[:300] or type(error).__name__
