"""Synthetic defects on good images, made by our own methods, none of which needs a real defect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from carpet_data.core import seeds
from carpet_data.errors import DataError
from carpet_data.synthesis.contract import Facts, Method, Redraw, Scene
from carpet_data.synthesis.methods.nsa import Nsa
from carpet_data.synthesis.methods.perlin import Perlin
from carpet_data.synthesis.methods.procedural import Procedural
from carpet_data.synthesis.ops import foreground

__all__ = ["METHODS", "SyntheticDefects"]

U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

METHODS: Mapping[str, tuple[tuple[Method, BaseModel], ...]] = {
    "perlin": ((Perlin(), Perlin.Parameters(area_frac_range=(0.0005, 0.03))),),
    "nsa": ((Nsa(), Nsa.Parameters(size="image")),),
    "procedural": tuple(
        (Procedural(), Procedural.Parameters(kind=kind, size="kind"))
        for kind in ("scratch", "spot", "stain", "crack", "abrasion")
    ),
}
"""Name -> methods with their parameters, taken in turn."""

_TRIES = 20


class SyntheticDefects:
    """Draws defects on good images.

    Args:
        images: Good images, uint8 HxWx3 or HxW: hosts, and textures for each other.
        name: A name of `METHODS`, or "mixed" for all of them in turn.
        seed: Root of all that is drawn; the same call draws the same.
    """

    def __init__(self, images: Sequence[U8], name: str, seed: int) -> None:
        self._images = images
        names = list(METHODS) if name == "mixed" else [name]
        # In turn by method, not by its variants, of which procedural has five.
        longest = max(len(METHODS[each]) for each in names)
        self._methods = [METHODS[each][turn % len(METHODS[each])] for turn in range(longest) for each in names]
        self._seed = seed
        found = [foreground.find(image) for image in images]
        self._foregrounds = found
        known = sum(each is not None for each in found)
        self._facts = Facts("defect", (0.001, 0.01), (1,), ((0.5, 0.5),), 0.0, is_object=2 * known > len(found))

    def draw(self, row: int, number: int) -> tuple[U8, Mask]:
        """Image `row` with its defect of this number: the image, and bool (h, w) of what changed visibly.

        Raises:
            DataError: No method can change this image.
        """
        host = self._images[row]
        others = [image for place, image in enumerate(self._images) if place != row] or [host]
        for attempt in range(_TRIES):
            rng = seeds.generator(self._seed, "defect", row, number, attempt)
            method, parameters = self._methods[(number + attempt) % len(self._methods)]
            picked = rng.choice(len(others), min(len(others), max(method.textures_needed, 1)), replace=False)
            textures = tuple(others[int(place)] for place in picked)
            scene = Scene(host, self._foregrounds[row], (), textures, self._facts)
            try:
                found = method.render(scene, parameters, rng)
            except Redraw:
                continue
            if found.mask.any():
                return found.image, found.mask
        raise DataError(
            f"no synthetic defect can be made on an image of {host.shape[1]}x{host.shape[0]} pixels",
            hint="use larger images, or another --defects",
        )
