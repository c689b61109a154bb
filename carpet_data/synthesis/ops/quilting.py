"""Image quilting: fill a hole with patches of the same material, cut where old and new agree best.

After Efros and Freeman, "Image quilting for texture synthesis and transfer" (SIGGRAPH 2001), with three changes that
a woven texture needs. The hole has any shape, so patches go where most is known already, as in Criminisi, Perez and
Toyama, "Region filling and object removal by exemplar-based image inpainting" (IEEE TIP 2004), and the cut is a
minimum cut on the pixel grid, as in Kwatra et al., "Graphcut textures" (SIGGRAPH 2003). And yarns are never quite
evenly spaced: a chosen patch is bent by a few pixels until its yarns meet those it joins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from carpet_data.synthesis.contract import Image, Mask, Redraw
from carpet_data.synthesis.ops.masks import grown, window_of
from carpet_data.synthesis.ops.pixels import F32, grey, like, to_bytes
from carpet_data.synthesis.ops.seam import cut_between

_SEARCH_SIDE_PX = 560
_CANDIDATES = 8
_FLOW_LIMIT_PX = 5.0
_TRIES = 4
_AS_GOOD = 1.05
_GRAIN_PX, _MOST_GRAIN = 0.7, 4 / 3


@dataclass(frozen=True, slots=True)
class Place:
    """Where a patch was found: the column and row of its top left pixel, and the mean squared difference."""

    x: int
    y: int
    cost: float


class Finder:
    """Finds windows of a source image (uint8 HxWx3 or HxW) that look like what is known of a patch.

    The whole image is searched at reduced size by three Fourier transforms a patch; the best places are then compared
    at full size, in color. Only pixels in `allowed` (bool HxW) may be used.
    """

    def __init__(self, image: Image, allowed: Mask) -> None:
        self._image = image
        self._reduction = 1
        while max(image.shape[:2]) // self._reduction > _SEARCH_SIDE_PX:
            self._reduction *= 2
        # A window may not touch a forbidden pixel: its sum in the integral image of those is 0.
        self._forbidden = cv2.integral((~allowed).astype(np.uint8))
        small = _reduced(grey(image), self._reduction)
        self._mean = float(small.mean())
        self._shape = small.shape
        height, width = (cv2.getOptimalDFTSize(length) for length in small.shape)
        centerd = np.zeros((height, width), np.float32)
        centerd[: small.shape[0], : small.shape[1]] = (small - self._mean) / 64.0
        self._spectrum = cv2.dft(centerd)
        self._square_spectrum = cv2.dft(centerd * centerd)

    def find(
        self, wanted: Image, weight: F32, *, besides: Mask | None = None, candidates: int = _CANDIDATES
    ) -> list[Place]:
        """Places whose windows differ little from `wanted`.

        Args:
            wanted: uint8 hxwx3 or hxw, the channels of the source.
            weight: float32 hxw >= 0: how much each pixel counts; 0 where it is unknown.
            besides: bool HxW of the source: centers of windows that are not wanted.
            candidates: Maximum number of places, apart from each other.

        Returns:
            The places, best first; empty where no window of this size is allowed.
        """
        height, width = wanted.shape[:2]
        rows, columns = self._image.shape[0] - height + 1, self._image.shape[1] - width + 1
        if rows < 1 or columns < 1:
            return []
        sums = self._forbidden
        free = (sums[height:, width:] - sums[:rows, width:] - sums[height:, :columns] + sums[:rows, :columns]) == 0
        if besides is not None:
            free &= ~besides[height // 2 : height // 2 + rows, width // 2 : width // 2 + columns]
        if not free.any() or not (weight > 0).any():
            return []
        starts = self._coarse(wanted, weight, free, candidates)
        places = [self._refined(wanted, weight, free, x, y) for x, y in starts]
        return sorted(set(places), key=lambda place: (place.cost, place.y, place.x))

    def _coarse(self, wanted: Image, weight: F32, free: Mask, candidates: int) -> list[tuple[int, int]]:
        """The best places at reduced size, each apart from the others, as (x, y) at full size."""
        step = self._reduction
        small = (_reduced(grey(wanted), step) - self._mean) / 64.0
        mass = _reduced(weight, step)
        template = np.zeros(self._spectrum.shape, np.float32)
        weights = np.zeros(self._spectrum.shape, np.float32)
        template[: small.shape[0], : small.shape[1]] = small * mass
        weights[: small.shape[0], : small.shape[1]] = mass
        cross = cv2.mulSpectrums(self._spectrum, cv2.dft(template), 0, conjB=True)
        energy = cv2.mulSpectrums(self._square_spectrum, cv2.dft(weights), 0, conjB=True)
        cost = np.asarray(cv2.idft(energy - 2.0 * cross, flags=cv2.DFT_SCALE))
        open_places = free[::step, ::step]
        cost = cost[: open_places.shape[0], : open_places.shape[1]]
        closed = ~open_places[: cost.shape[0], : cost.shape[1]]
        if closed.all():
            y, x = np.nonzero(free)
            return [(int(x[0]), int(y[0]))]
        cost = np.where(closed, np.float32(np.inf), cost)
        places = []
        reach = max(2, min(small.shape) // 6)
        for _ in range(candidates):
            best = int(np.argmin(cost))
            y, x = divmod(best, cost.shape[1])
            if not np.isfinite(cost[y, x]):
                break
            places.append((x * step, y * step))
            cost[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1] = np.inf
        return places

    def _refined(self, wanted: Image, weight: F32, free: Mask, x: int, y: int) -> Place:
        """The best place within one reduced pixel of (x, y), by exact comparison in color."""
        height, width = wanted.shape[:2]
        reach = self._reduction
        target = wanted.astype(np.float32)
        heavy = like(weight, wanted)
        total = float(weight.sum()) * (1 if wanted.ndim == 2 else 3)
        best = Place(x, y, float("inf"))
        for row in range(max(0, y - reach + 1), min(free.shape[0], y + reach)):
            for column in range(max(0, x - reach + 1), min(free.shape[1], x + reach)):
                if free[row, column]:
                    window = self._image[row : row + height, column : column + width]
                    difference = window - target
                    cost = float((difference * difference * heavy).sum()) / total
                    if cost < best.cost:
                        best = Place(column, row, cost)
        return best


def fill(
    image: Image,
    hole: Mask,
    allowed: Mask,
    rng: np.random.Generator,
    *,
    context_px: int = 40,
    overlap_px: int = 20,
    patch_px: int | None = None,
) -> Image:
    """Fill the hole from elsewhere in the image.

    Each part of the hole is filled by one patch where one that covers it fits: a seam can then lie only around the
    hole. Where none does, smaller patches are laid from the rim inwards.

    Args:
        image: uint8 HxWx3 or HxW. What lies in the hole is never looked at.
        hole: bool HxW: what to fill.
        allowed: bool HxW: pixels that patches may be taken from; those in the hole never are.
        rng: Chooses among patches that fit about equally well.
        context_px: How much around a hole a patch is compared with.
        overlap_px: How far around the hole old pixels may give way to new ones, so that the cut finds a good way.
        patch_px: Edge of a patch; None for one that covers the hole, as far as half the image's sides allow.

    Returns:
        uint8 of the shape of `image`: changed in the hole and at most `overlap_px` around it.

    Raises:
        Redraw: No patch fits: the hole leaves too little clean image.
    """
    return quilted(image, hole, allowed, rng, context_px=context_px, overlap_px=overlap_px, patch_px=patch_px).image


@dataclass(frozen=True, slots=True, eq=False)
class Quilt:
    """A filled image.

    Attributes:
        image: uint8, the shape of what was filled.
        area: bool HxW: all that patches cover; no other pixel has changed.
        rim: float32 HxWx2: the direction across the cuts (x, y; length 1) at the pixels along them, 0 elsewhere.
    """

    image: Image
    area: Mask
    rim: F32


def quilted(
    image: Image,
    hole: Mask,
    allowed: Mask,
    rng: np.random.Generator,
    *,
    context_px: int = 40,
    overlap_px: int = 20,
    patch_px: int | None = None,
    keep_grain: bool = False,
) -> Quilt:
    """As `fill`, and where the patches and the cuts between them lie.

    `keep_grain` gives bent patches back the finest detail that bending takes from them.

    Raises:
        Redraw: No patch fits: the hole leaves too little clean image.
    """
    quilt = Quilt(image.copy(), np.zeros(hole.shape, np.bool_), np.zeros((*hole.shape, 2), np.float32))
    if not hole.any():
        return quilt
    known = ~hole
    lay = partial(_lay, Finder(image, allowed & ~hole), image, quilt, known, rng=rng, grain=keep_grain)
    count, parts = cv2.connectedComponents(hole.astype(np.uint8), connectivity=8)
    for number in range(1, count):
        part = parts == number
        if known[part].all():
            # A neighbor's patch reached over it.
            continue
        window = window_of(part, context_px)
        longest = min(hole.shape) // 2
        if (
            patch_px is None
            and max(side.stop - side.start for side in window) <= longest
            and lay(window, grown(part[window], overlap_px))
        ):
            continue
        size = min(patch_px or longest, *hole.shape)
        around = window_of(part, overlap_px)
        while not known[around].all():
            window = _next_window(known, around, size)
            if lay(window, grown(hole[window], overlap_px)):
                continue
            if size <= 8:
                raise Redraw("too little of the image is clean: no patch fits")
            size = max(8, size * 2 // 3)
    return quilt


def _lay(
    finder: Finder,
    image: Image,
    quilt: Quilt,
    known: Mask,
    window: tuple[slice, slice],
    near: Mask,
    *,
    rng: np.random.Generator,
    grain: bool,
) -> bool:
    """Lay one patch in the window; False where none fits."""
    context, old = quilt.image[window], known[window]
    height, width = old.shape
    weight = old.astype(np.float32)
    places = finder.find(context, weight, candidates=_TRIES * 2)
    if not places:
        return False
    tried = []
    for place in places[:_TRIES]:
        found = image[place.y : place.y + height, place.x : place.x + width]
        patch = agree(found, context, old)
        if grain:
            patch = regrained(patch, found)
        difference = (patch.astype(np.float32) - context) ** 2
        ring = old & near
        tried.append((float(difference[ring].mean()) if ring.any() else place.cost, patch))
    least = min(cost for cost, _ in tried)
    fitting = [patch for cost, patch in tried if cost <= least * _AS_GOOD]
    patch = fitting[int(rng.integers(len(fitting)))]
    new = cut_between(patch, context, ~old, ~old | near)
    rim = quilt.rim[window]
    rim[new] = 0
    cut = across(new, old)
    np.copyto(rim, cut, where=cut.any(axis=-1, keepdims=True))
    context[new] = patch[new]
    quilt.area[window] |= new
    known[window] = True
    return True


def across(region: Mask, known: Mask) -> F32:
    """Along the outline of a region (bool hxw), where known pixels lie beside it: the direction across it.

    float32 hxwx2 (x, y; length 1), 0 elsewhere.
    """
    bits = region.view(np.uint8)
    line = (np.asarray(cv2.dilate(bits, np.ones((3, 3), np.uint8))) != bits) & known
    soft = cv2.GaussianBlur(bits.astype(np.float32), (0, 0), 2.0)
    normal = np.stack([cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)], axis=-1)
    length = np.sqrt((normal**2).sum(axis=-1))
    return np.asarray(normal * (line / np.maximum(length, 1e-6))[..., None], np.float32)


def agree(patch: Image, context: Image, known: Mask, *, light: bool = True) -> Image:
    """Bend and light a patch so that it meets what is known of its context (uint8 hxwx3 or hxw, all of one shape).

    The displacement is found where pixels are known (dense inverse search flow, Kroeger et al., ECCV 2016) and
    continued smoothly to where they are not; so is the difference of light, with `light`.
    """
    height, width = known.shape
    if min(height, width) < 16 or not known.any():
        return patch
    weight = known.astype(np.float32)
    sigma = max(4.0, min(height, width) / 8)
    where = grey(patch).astype(np.uint8)
    there = np.where(known, grey(context), where).astype(np.uint8)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(there, where, None)  # type: ignore[call-overload]
    flow = np.clip(flow, -_FLOW_LIMIT_PX, _FLOW_LIMIT_PX) * weight[:, :, None]
    smooth = _smooth(flow, sigma) / (_smooth(weight, sigma) + 1e-3)[:, :, None]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    maps = (x + smooth[:, :, 0], y + smooth[:, :, 1])
    bent = cv2.remap(patch, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101).astype(np.float32)
    if light:
        # Light changes slowly; a finer correction would paint single yarns of the context into the patch.
        broad = 3 * sigma
        mass = _smooth(weight, broad) + 1e-3
        bent += _smooth((context - bent) * like(weight, bent), broad) / like(mass, bent)
    return to_bytes(bent)


def regrained(image: Image, model: Image, where: Mask | None = None) -> Image:
    """An image with the finest detail as strong as its model's has it (both uint8 hxwx3 or hxw, of the same thing).

    Interpolation blurs: what it takes is given back by a factor, a third at most. `where` (bool hxw) they are compared.
    """
    values, wanted = image.astype(np.float32), model.astype(np.float32)
    fine, own = (each - cv2.GaussianBlur(each, (0, 0), _GRAIN_PX) for each in (values, wanted))
    seen = np.s_[:] if where is None else where
    have, want = (float(np.sqrt((each[seen] ** 2).mean())) for each in (fine, own))
    gain = float(np.clip(want / max(have, 1e-3), 1.0, _MOST_GRAIN))
    return to_bytes(np.asarray(values + (gain - 1) * fine, np.float32))


def _next_window(known: Mask, around: tuple[slice, slice], size: int) -> tuple[slice, slice]:
    """The window around the unknown pixel that has most known neighbors."""
    inside = known[around]
    share = cv2.boxFilter(inside.astype(np.float32), -1, (size, size), borderType=cv2.BORDER_REPLICATE)
    share = np.where(inside, np.float32(-1), share)
    place = divmod(int(np.argmax(share)), inside.shape[1])
    starts = (
        int(np.clip(side.start + at - size // 2, 0, length - size))
        for side, at, length in zip(around, place, known.shape, strict=True)
    )
    top, left = starts
    return slice(top, top + size), slice(left, left + size)


def _smooth(values: F32, sigma: float) -> F32:
    """A Gaussian blur, computed on fewer pixels: nothing finer than sigma is left to lose."""
    height, width = values.shape[:2]
    step = max(1, int(sigma / 3))
    small = cv2.resize(values, (-(-width // step), -(-height // step)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / step)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)


def _reduced(values: F32, step: int) -> F32:
    if step == 1:
        return values
    height, width = (max(1, length // step) for length in values.shape)
    return cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
