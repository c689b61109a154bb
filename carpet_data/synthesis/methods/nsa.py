"""nsa: patches of other good images, cloned into the host so that no seam shows.

After Schlueter, Tan, Hou and Kainz, "Natural synthetic anomalies for self-supervised anomaly detection and
localization" (ECCV 2022): sizes from a gamma distribution, another place, mixed-gradient Poisson cloning (Perez,
Gangnet and Blake, SIGGRAPH 2003), and the label is what really changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from carpet_data.synthesis.contract import Box, Candidate, Image, Mask, Method, Redraw, Scene
from carpet_data.synthesis.ops.compositing import good_on_good, noise_level, visible
from carpet_data.synthesis.ops.foreground import find
from carpet_data.synthesis.ops.new_shape import deform
from carpet_data.synthesis.ops.quilting import grey

__all__ = ["Nsa", "NsaParameters", "clone"]

Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(gt=0, le=8)]

_SMALLEST_PX = 6
_TRIES = 20
_ON_OBJECT = 0.7


class NsaParameters(BaseModel):
    """Parameters of `nsa`, version 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Literal["class", "image"] = Field(
        "class", description="Mean patch size: as the class's train masks, or `scale_frac` of the image's sides."
    )
    gamma_shape: float = Field(2.0, gt=0, le=50, description="Shape of the gamma distribution of a patch's sides.")
    scale_frac: float = Field(0.1, gt=0, le=1, description="Mean side as a share of the image's, for size `image`.")
    side_frac_range: tuple[Share, Share] = Field(
        (0.02, 0.5), description="Sides are cut off at these shares of the image's."
    )
    patches_range: tuple[int, int] = Field((1, 3), description="How many patches one image gets.")
    resize_range: tuple[Factor, Factor] = Field((0.7, 1.3), description="Enlargement of a patch.")
    outline: Literal["blob", "rectangle"] = Field(
        "blob", description="Outline of a patch: a deformed ellipse, or the rectangle of the paper."
    )
    gradients: Literal["mixed", "patch", "either"] = Field(
        "either",
        description="Keep the stronger gradient of host and patch at each pixel, or the patch's everywhere; either: "
        "drawn for each patch, as mixed ones hardly show on a rich texture.",
    )
    least_changed_frac: Share = Field(
        0.2, description="A patch that visibly changes less than this share of its area is drawn again."
    )
    visible_levels: int | None = Field(
        None, ge=1, le=128, description="Change of a grey value that counts as visible; None: by the host's own noise."
    )


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
        host = scene.host
        if min(host.shape[:2]) < _SMALLEST_PX + 4:
            raise Redraw("the host is too small for a patch")
        if scene.null:
            shape = _outline(_sides(scene, parameters, rng), parameters, rng)
            corner = _place(None, shape, (host.shape[0], host.shape[1]), rng)
            if corner is None:
                raise Redraw("the drawn patch is larger than the host")
            return good_on_good(scene, shape, (corner[1], corner[0]), rng)
        low, high = parameters.patches_range
        count = int(rng.integers(low, high + 1))
        image: Image = host.copy()
        mask = np.zeros(host.shape[:2], np.bool_)
        boxes: list[Box] = []
        drawn = []
        for _ in range(count):
            for _ in range(_TRIES):
                found = _one(scene, image, parameters, rng)
                if found is not None:
                    x, y, width, height = found.box
                    image[y : y + height, x : x + width] = found.image
                    mask[y : y + height, x : x + width] |= found.seen
                    boxes.append(found.box)
                    drawn.append(found.drawn)
                    break
        if not boxes:
            raise Redraw("no patch changed the host visibly")
        x0, y0 = min(x for x, _, _, _ in boxes), min(y for _, y, _, _ in boxes)
        x1, y1 = max(x + w for x, _, w, _ in boxes), max(y + h for _, y, _, h in boxes)
        return Candidate(image, mask, (x0, y0, x1 - x0, y1 - y0), {"patches": drawn})


@dataclass(frozen=True, slots=True, eq=False)
class _Patch:
    """A window of the host after cloning: where, its pixels, what visibly changed, what was drawn."""

    box: Box
    image: Image
    seen: Mask
    drawn: dict[str, object]


def clone(window: Image, patch: Image, shape: Mask, *, mixed: bool) -> Image:
    """Put a patch into a window by its gradients, so that its values meet the window's at the edge of the shape.

    Args:
        window: uint8 hxwx3 or hxw.
        patch: uint8 of the same shape.
        shape: bool hxw; its outermost two rows and columns are left out.
        mixed: Keep the window's gradient where it is the stronger one.

    Returns:
        uint8 of the shape of `window`, changed inside `shape` only.
    """
    inner = np.zeros(shape.shape, np.bool_)
    inner[2:-2, 2:-2] = shape[2:-2, 2:-2]
    if not inner.any():
        return window
    heavy = inner if window.ndim == 2 else inner[:, :, None]
    if not mixed:
        return np.where(heavy, _cloned(window, patch, inner, cv2.NORMAL_CLONE), window).astype(np.uint8)
    # Mixed channel by channel, two greys would make rainbows: only the brightness is mixed, the colour stays.
    one, other = (np.clip(np.rint(grey(image)), 0, 255).astype(np.uint8) for image in (window, patch))
    change = _cloned(one, other, inner, cv2.MIXED_CLONE).astype(np.float32) - one
    values = np.clip(np.rint(window + (change if window.ndim == 2 else change[:, :, None])), 0, 255)
    return np.where(heavy, values, window).astype(np.uint8)


def _cloned(window: Image, patch: Image, inner: Mask, how: int) -> Image:
    first, second = (image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2) for image in (window, patch))
    # The cloner lays the middle of the mask's bounding box on a point: that of the box itself leaves all in its place.
    x, y, width, height = cv2.boundingRect(inner.astype(np.uint8))
    found = cv2.seamlessClone(
        np.ascontiguousarray(second),
        np.ascontiguousarray(first),
        inner.astype(np.uint8) * np.uint8(255),
        (x + width // 2, y + height // 2),
        how,
    )
    return np.asarray(found if window.ndim == 3 else found[:, :, 0], dtype=np.uint8)


def _one(scene: Scene, image: Image, parameters: NsaParameters, rng: np.random.Generator) -> _Patch | None:
    """Clone one patch into a window of `image`; None where it hardly changes anything."""
    shape = _outline(_sides(scene, parameters, rng), parameters, rng)
    height, width = shape.shape
    corner = _place(scene.foreground, shape, (image.shape[0], image.shape[1]), rng)
    if corner is None:
        return None
    y, x = corner
    source = _in_channels(scene.textures[int(rng.integers(len(scene.textures)))], image)
    zoom = float(rng.uniform(*parameters.resize_range))
    tall, wide = (
        int(np.clip(round(length / zoom), 2, most)) for length, most in zip((height, width), source.shape, strict=False)
    )
    # Bare ground cloned onto an object would only smear it.
    subject = None if scene.foreground is None else find(source)
    start = _place(subject, np.ones((tall, wide), np.bool_), (source.shape[0], source.shape[1]), rng)
    if start is None:
        return None
    top, left = start
    cut = np.ascontiguousarray(source[top : top + tall, left : left + wide])
    patch = cv2.resize(cut, (width, height), interpolation=cv2.INTER_LINEAR if zoom >= 1 else cv2.INTER_AREA)
    gradients = parameters.gradients
    mixed = bool(rng.integers(2)) if gradients == "either" else gradients == "mixed"
    before = image[y : y + height, x : x + width]
    after = clone(before, patch.astype(np.uint8), shape, mixed=mixed)
    levels = parameters.visible_levels
    threshold = float(np.clip(3 * noise_level(before), 4, 10)) if levels is None else float(levels)
    seen = visible(before, after, shape, threshold=threshold)
    if float(seen.sum()) < parameters.least_changed_frac * float(shape.sum()):
        return None
    told: dict[str, object] = {"box": [x, y, width, height], "from": [left, top, wide, tall], "mixed": mixed}
    return _Patch((x, y, width, height), after, seen, told)


def _in_channels(source: Image, image: Image) -> Image:
    if source.ndim == image.ndim:
        return source
    if image.ndim == 2:
        return cv2.cvtColor(source, cv2.COLOR_RGB2GRAY).astype(np.uint8)
    return np.repeat(source[:, :, None], 3, axis=2)


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
    """Row and column of a window, on an object if there is one; None where no place was found."""
    rows, columns = size[0] - shape.shape[0] + 1, size[1] - shape.shape[1] + 1
    if rows < 1 or columns < 1:
        return None
    for _ in range(_TRIES):
        y, x = int(rng.integers(rows)), int(rng.integers(columns))
        if foreground is None:
            return y, x
        part = foreground[y : y + shape.shape[0], x : x + shape.shape[1]]
        if float(part[shape].mean()) >= _ON_OBJECT:
            return y, x
    return None
