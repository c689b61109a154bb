"""nsa: patches of other good images, cloned into the host so that no seam shows.

After Schlueter, Tan, Hou and Kainz, "Natural synthetic anomalies for self-supervised anomaly detection and
localization" (ECCV 2022): sizes from a gamma distribution, another place, mixed-gradient Poisson cloning (Perez,
Gangnet and Blake, SIGGRAPH 2003), and the label is what really changed.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import cv2
import numpy as np
from pydantic import BaseModel, Field

from carpet_data.synthesis.contract import Candidate, Image, Mask, Method, Redraw, Scene
from carpet_data.synthesis.methods.parameters import FactorRange, InOrder, Parameters, Share, ShareRange, VisibleLevels
from carpet_data.synthesis.ops.compositing import candidate, good_on_good
from carpet_data.synthesis.ops.foreground import find
from carpet_data.synthesis.ops.masks import mask_box
from carpet_data.synthesis.ops.new_shape import deform
from carpet_data.synthesis.ops.pixels import grey, in_channels, in_color, like, to_bytes
from carpet_data.synthesis.ops.visible import visible_levels, visible_mask

Count: TypeAlias = Annotated[int, Field(ge=1, le=64)]

_SMALLEST_PX = 6
_TRIES = 20
_ON_OBJECT = 0.7


class NsaParameters(Parameters):
    """Parameters of `nsa`."""

    size: Literal["class", "image"] = Field(
        "class", description="Mean patch size: as the class's training masks, or `scale_frac` of the image's sides."
    )
    gamma_shape: float = Field(2.0, gt=0, le=50, description="Shape of the gamma distribution of a patch's sides.")
    scale_frac: float = Field(0.1, gt=0, le=1, description="Mean side as a share of the image's, for size `image`.")
    side_frac_range: ShareRange = Field((0.02, 0.5), description="Sides are cut off at these shares of the image's.")
    patches_range: Annotated[tuple[Count, Count], InOrder] = Field((1, 3), description="Number of patches in an image.")
    resize_range: FactorRange = Field((0.7, 1.3), description="Enlargement of a patch.")
    outline: Literal["blob", "rectangle"] = Field(
        "blob", description="Outline of a patch: a deformed ellipse, or the rectangle of the paper."
    )
    gradients: Literal["mixed", "patch", "either"] = Field(
        "either",
        description="Keep the stronger gradient of host and patch at each pixel, or the patch's everywhere; either: "
        "drawn for each patch, as mixed ones hardly show on a rich texture.",
    )
    least_changed_frac: Share = Field(
        0.2, description="Minimum share of a patch's area that must visibly change; below: a retry."
    )
    visible_levels: VisibleLevels = None


class Nsa(Method):
    """Natural synthetic anomalies; see `NsaParameters`."""

    version = 1
    textures_needed = 2
    makes_nulls = True
    Parameters: type[BaseModel] = NsaParameters

    def render(self, scene: Scene, parameters: NsaParameters, rng: np.random.Generator) -> Candidate:
        """Make one candidate.

        Raises:
            Redraw: The host is too small, the object has no room, or the change cannot be seen.
        """
        host, p = scene.host, parameters
        if min(host.shape[:2]) < _SMALLEST_PX + 4:
            raise Redraw("the host is too small for a patch")
        if scene.null:
            shape = _outline(_sides(scene, p, rng), p, rng)
            corner = _place(None, shape, (host.shape[0], host.shape[1]), rng)
            if corner is None:
                raise Redraw("the drawn patch is larger than the host")
            return good_on_good(scene, shape, corner, rng)
        made: list[Candidate] = []
        for _ in range(int(rng.integers(p.patches_range[0], p.patches_range[1] + 1))):
            image = made[-1].image if made else host
            found = next((one for _ in range(_TRIES) if (one := _cloned_patch(scene, image, p, rng)) is not None), None)
            made += [found] if found is not None else []
        if not made:
            raise Redraw("no patch changed the host visibly")
        mask = np.logical_or.reduce([one.mask for one in made])
        x0, y0 = min(one.box[0] for one in made), min(one.box[1] for one in made)
        x1, y1 = max(one.box[0] + one.box[2] for one in made), max(one.box[1] + one.box[3] for one in made)
        drawn = {"patches": [dict(one.drawn) for one in made]}
        return Candidate(made[-1].image, mask, (x0, y0, x1 - x0, y1 - y0), drawn)


def clone(window: Image, patch: Image, shape: Mask, *, mixed: bool) -> Image:
    """Put a patch into a window by its gradients, so that its values meet the window's at the edge of the shape.

    All are uint8 hxwx3 or hxw; the shape (bool hxw) loses its outermost two rows and columns. `mixed` keeps the
    window's gradient where it is the stronger one. Pixels change inside `shape` only.
    """
    inner = np.zeros(shape.shape, np.bool_)
    inner[2:-2, 2:-2] = shape[2:-2, 2:-2]
    if not inner.any():
        return window
    if not mixed:
        values = _cloned(window, patch, inner, cv2.NORMAL_CLONE)
    else:
        # Mixed channel by channel, two greys would make rainbows: only the brightness is mixed, the color stays.
        one, other = (grey(image).astype(np.uint8) for image in (window, patch))
        change = _cloned(one, other, inner, cv2.MIXED_CLONE).astype(np.float32) - one
        values = to_bytes(window + like(change, window))
    return np.where(like(inner, window), values, window)


def _cloned(window: Image, patch: Image, inner: Mask, how: int) -> Image:
    # The cloner lays the middle of the mask's bounding box on a point: that of the box itself leaves all in its place.
    x, y, width, height = mask_box(inner)
    first, second = (np.ascontiguousarray(in_color(image)) for image in (window, patch))
    bits, middle = inner.astype(np.uint8) * np.uint8(255), (x + width // 2, y + height // 2)
    found = cv2.seamlessClone(second, first, bits, middle, how)
    return np.asarray(found if window.ndim == 3 else found[:, :, 0], dtype=np.uint8)


def _cloned_patch(scene: Scene, image: Image, p: NsaParameters, rng: np.random.Generator) -> Candidate | None:
    """The image with a patch cloned into it; None where that hardly changes anything."""
    shape = _outline(_sides(scene, p, rng), p, rng)
    height, width = shape.shape
    corner = _place(scene.foreground, shape, (image.shape[0], image.shape[1]), rng)
    if corner is None:
        return None
    x, y = corner
    source = in_channels(scene.textures[int(rng.integers(len(scene.textures)))], image)
    zoom = float(rng.uniform(*p.resize_range))
    tall, wide = (
        int(np.clip(round(length / zoom), 2, most)) for length, most in zip((height, width), source.shape, strict=False)
    )
    # Bare background cloned onto an object would only smear it.
    foreground = None if scene.foreground is None else find(source)
    start = _place(foreground, np.ones((tall, wide), np.bool_), (source.shape[0], source.shape[1]), rng)
    if start is None:
        return None
    left, top = start
    cut = np.ascontiguousarray(source[top : top + tall, left : left + wide])
    patch = cv2.resize(cut, (width, height), interpolation=cv2.INTER_LINEAR if zoom >= 1 else cv2.INTER_AREA)
    mixed = bool(rng.integers(2)) if p.gradients == "either" else p.gradients == "mixed"
    before = image[y : y + height, x : x + width]
    after = clone(before, patch.astype(np.uint8), shape, mixed=mixed)
    seen = visible_mask(after, before, shape, visible_levels(before, p.visible_levels))
    if float(seen.sum()) < p.least_changed_frac * float(shape.sum()):
        return None
    drawn = {"box": [x, y, width, height], "from": [left, top, wide, tall], "mixed": mixed}
    return candidate(image, (x, y), after, seen, drawn)


def _sides(scene: Scene, parameters: NsaParameters, rng: np.random.Generator) -> tuple[int, int]:
    """Rows and columns of a patch, its frame included."""
    sides = []
    for length in scene.host.shape[:2]:
        mean = parameters.scale_frac
        if parameters.size == "class" and scene.facts.areas_frac:
            mean = float(np.sqrt(np.mean(scene.facts.areas_frac)))
        share = rng.gamma(parameters.gamma_shape, mean / parameters.gamma_shape)
        side = float(np.clip(share, *parameters.side_frac_range)) * length
        sides.append(int(np.clip(round(side), _SMALLEST_PX, length - 4)) + 4)
    return sides[0], sides[1]


def _outline(size: tuple[int, int], parameters: NsaParameters, rng: np.random.Generator) -> Mask:
    """The shape of a patch, its frame of two pixels free."""
    height, width = size
    shape = np.zeros(size, np.bool_)
    shape[2:-2, 2:-2] = True
    if parameters.outline == "rectangle":
        return shape
    y, x = np.mgrid[:height, :width]
    away = ((x - (width - 1) / 2) / (width / 2 - 2)) ** 2 + ((y - (height - 1) / 2) / (height / 2 - 2)) ** 2
    blob = deform((away <= 1) & shape, rng, strength=0.15) if min(size) > 16 else (away <= 1) & shape
    framed = np.pad(blob, 2)
    # The deformed shape may have outgrown the drawn sides, which the host's may not allow.
    return np.asarray(framed[: height + 8, : width + 8]) if min(framed.shape) > 4 else shape


def _place(
    foreground: Mask | None, shape: Mask, size: tuple[int, int], rng: np.random.Generator
) -> tuple[int, int] | None:
    """Column and row of a window, on an object if there is one; None where no place was found."""
    rows, columns = size[0] - shape.shape[0] + 1, size[1] - shape.shape[1] + 1
    if rows < 1 or columns < 1:
        return None
    for _ in range(_TRIES):
        y, x = int(rng.integers(rows)), int(rng.integers(columns))
        if foreground is None or (
            float(foreground[y : y + shape.shape[0], x : x + shape.shape[1]][shape].mean()) >= _ON_OBJECT
        ):
            return x, y
    return None
