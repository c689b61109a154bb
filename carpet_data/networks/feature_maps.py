"""Feature maps of images of any size, aligned with their pixels: what a network sees at each place."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.errors import DataError, DeviceMemoryError, UsageError, WeightsError
from carpet_data.networks.devices import memory_guard, resolve
from carpet_data.networks.map_stages import Stage, collect, find_stages
from carpet_data.networks.network import Network

__all__ = ["FeatureMaps", "Precision", "native_bfloat16"]

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]

F16 = NDArray[np.float16]
U8 = NDArray[np.uint8]

_FORMAT = 1
"""Part of the digest: a change of how maps are made makes kept ones strangers."""
_MARGIN = 12
"""Context of a tile on each side of what is taken from it, in coarsest cells: all that EfficientNet-Lite0 sees."""
_PIXELS_CPU, _PIXELS_GPU = 2**21, 2**24
"""Pixels that pass a network at a time: more at once gain nothing and need memory."""
_SMALLEST_TILE = 256
_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True, slots=True)
class _Piece:
    """What passes the network at once, along one axis.

    Attributes:
        start: Its first pixel in the image; negative where the mirror image begins.
        origin: The finest cell of the image that its first useful cell is.
        take: The finest cells of the image that are taken from it.
    """

    start: int
    origin: int
    take: slice


@dataclass(frozen=True, slots=True)
class _Window:
    image: int
    rows: _Piece
    columns: _Piece


class FeatureMaps:
    """Maps of a network at chosen strides, on one grid.

    Cell (i, j) of a map stands for the pixels [i * stride, (i + 1) * stride) of the image, with `stride` the finest of
    the strides; the last cells may reach beyond it. Coarser maps are interpolated bilinearly onto the finest, from
    where their cells look, which is measured once by gradients (see `Stage.center`). What lies beyond an image is its
    mirror image.

    An image longer than `tile` on a side is cut into tiles, of which twelve coarsest cells on each side (192 pixels for
    strides up to 16, at most a quarter of the tile) are context only. That is all that a cell of EfficientNet-Lite0
    sees up to stride 16, so its maps are those of the whole image but for rounding; deeper networks, and stride 32, see
    farther: with a context of half as much the mean difference is 0.003 standard deviations.

    Args:
        network: The body is used, moved to the device and put into eval mode.
        strides: In pixels; each must be one that the network has. Of each, its last map is taken.
        layers: Names of the parts of the network to take maps of instead, such as blocks.2 (see `all_stages`).
        device: "auto" for a GPU where there is one.
        batch_size: Maximum number of images, or tiles, at a time; large ones pass in smaller batches, and where memory
            runs out the batch is halved.
        tile: Longest side in pixels of what passes the network at once; smaller needs less memory.
        precision: "auto" is bfloat16 where the CPU or GPU computes in it, else float32.

    Attributes:
        stride: The finest stride, in pixels.
        strides, layers: Of its maps, the finest first.
        channels: Of all maps together, in this order.
        digest: Hex digits that stand for all that maps depend on but the image.

    Raises:
        UsageError: The network has no such strides (those it has are named), or no maps at all; an option is invalid.

    Examples:
        >>> from carpet_data.networks import build, find_weights
        >>> network = build(find_weights("shufflenet_v2_x0_5", "none"), classes=2, seed=0)
        >>> maps = FeatureMaps(network, strides=(8, 16), device="cpu")
        >>> maps.of([np.zeros((60, 100, 3), np.uint8)])[0].shape
        (144, 8, 13)
    """

    def __init__(
        self,
        network: Network,
        *,
        strides: Sequence[int] = (8, 16),
        layers: Sequence[str] | None = None,
        device: str | torch.device = "auto",
        batch_size: int = 8,
        tile: int = 1536,
        precision: Precision = "auto",
    ) -> None:
        self.device = resolve(device) if isinstance(device, str) else device
        _check(batch_size, tile, precision)
        self.network = network.to(self.device).eval()
        self.batch_size, self.tile = batch_size, tile
        self.stages = find_stages(network, strides, layers)
        self.stride = self.stages[0].stride
        self.strides = tuple(sorted({each.stride for each in self.stages}))
        self.layers = tuple(each.name for each in self.stages)
        self.channels = sum(each.channels for each in self.stages)
        self.precision: Precision = precision
        if precision == "auto":
            self.precision = "bfloat16" if native_bfloat16(self.device) else "float32"
        coarsest = self.stages[-1].stride
        if coarsest % self.stride:
            raise UsageError(f"strides {self.strides} do not divide each other", hint="use strides such as 8, 16")
        self._lead, self._skip = _shift(self.stages[0])
        self._margin = min(_MARGIN, tile // coarsest // 4) * coarsest
        self.digest = self._digest()

    def shape(self, height: int, width: int) -> tuple[int, int, int]:
        """The shape of the map of an image: (channels, rows, columns)."""
        return self.channels, -(-height // self.stride), -(-width // self.stride)

    def key(self, image_digest: str, *, height: int, width: int, view: int = 0) -> str:
        """The key of a map in a cache: of an image of this digest, resized to this size, in this view."""
        parts = [self.digest, image_digest, height, width, view]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def of(self, images: Sequence[U8]) -> list[F16]:
        """The maps of images, each uint8 HxWx3 RGB or HxW gray, of any size and each of its own.

        Images of equal sizes pass the network together.

        Returns:
            float16 (channels, ceil(h / stride), ceil(w / stride)) for each; values outside float16's range are cut.

        Raises:
            DataError: An image is empty or of another shape or type.
            WeightsError: The network gives values that are not numbers.
            DeviceMemoryError: Not even one image, or one tile, fits into memory.
        """
        for image in images:
            _check_image(image)
        maps = [np.empty(self.shape(*image.shape[:2]), np.float16) for image in images]
        by_size: dict[tuple[int, int], list[_Window]] = {}
        for number, image in enumerate(images):
            for size, window in self._windows(number, *image.shape[:2]):
                by_size.setdefault(size, []).append(window)
        for size, windows in by_size.items():
            self._fill(maps, images, size, windows)
        return maps

    def _windows(self, number: int, height: int, width: int) -> Iterator[tuple[tuple[int, int], _Window]]:
        tall, rows = self._cut(height)
        wide, columns = self._cut(width)
        for row in rows:
            for column in columns:
                yield (tall, wide), _Window(number, row, column)

    def _cut(self, length: int) -> tuple[int, list[_Piece]]:
        """The pieces along one axis, and their common length in pixels: a whole number of the coarsest cells."""
        stride, coarsest = self.stride, self.stages[-1].stride
        cells = -(-length // stride)
        spare = max(self._skip * stride, *(each.missing * each.stride for each in self.stages))
        needed = max(cells * stride + self._lead + spare, self.network.expected.smallest)
        whole, tile = -(-needed // coarsest) * coarsest, self.tile // coarsest * coarsest
        if length <= self.tile or whole <= tile:
            return whole, [_Piece(-self._lead, 0, slice(0, cells))]
        starts = [*range(0, whole - tile, tile - 2 * self._margin), whole - tile]
        edges = [0, *((start + self._margin) // stride for start in starts[1:]), cells]
        return tile, [
            _Piece(start - self._lead, start // stride, slice(low, high))
            for start, low, high in zip(starts, edges, edges[1:], strict=False)
        ]

    def _fill(self, maps: list[F16], images: Sequence[U8], size: tuple[int, int], windows: Sequence[_Window]) -> None:
        """Compute the maps of windows of one size, in batches that fit into memory."""
        limit = _PIXELS_CPU if self.device.type == "cpu" else _PIXELS_GPU
        count, start = max(min(self.batch_size, limit // (size[0] * size[1])), 1), 0
        hint = "use smaller images, a smaller tile, or --device cpu"
        while start < len(windows):
            batch = windows[start : start + count]
            try:
                with memory_guard(len(batch), self.device, hint=hint):
                    found = self._compute(images, size, batch)
            except DeviceMemoryError:
                if count == 1:
                    raise
                count = self.batch_size = max(min(len(batch), count) // 2, 1)
                continue
            for window, values in zip(batch, found, strict=True):
                maps[window.image][:, window.rows.take, window.columns.take] = values
            start += len(batch)

    def _compute(self, images: Sequence[U8], size: tuple[int, int], batch: Sequence[_Window]) -> list[F16]:
        pixels = np.stack([_crop(images[each.image], each.rows.start, each.columns.start, size) for each in batch])
        half = self.precision == "bfloat16"
        with torch.inference_mode(), collect(self.network.body, [each.name for each in self.stages]) as run:
            x = self.network.prepare(pixels)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
                outputs = run(x)
            found = []
            for number, window in enumerate(batch):
                parts = [self._placed(stage, outputs[stage.name][number], window) for stage in self.stages]
                found.append(torch.cat(parts))
            self._refuse_not_numbers(found)
            return [each.clamp(-_LARGEST, _LARGEST).half().cpu().numpy() for each in found]

    def _placed(self, stage: Stage, values: torch.Tensor, window: _Window) -> torch.Tensor:
        """The map of a stage, or several maps, on the cells that a window gives: float32 (…, c, rows, columns)."""
        values = (values.movedim(-1, -3) if stage.last else values).float()
        for axis, piece in ((values.ndim - 2, window.rows), (values.ndim - 1, window.columns)):
            low, high = piece.take.start - piece.origin, piece.take.stop - piece.origin
            if stage.stride == self.stride and stage.center == self.stages[0].center:
                values = values.narrow(axis, low + self._skip, high - low)
                continue
            middles = torch.arange(low, high, device=values.device) * self.stride + (self.stride - 1) / 2 + self._lead
            values = _interpolated(values, (middles - stage.center) / stage.stride, axis)
        return values

    def _refuse_not_numbers(self, found: Sequence[torch.Tensor]) -> None:
        if all(bool(each.isfinite().all()) for each in found):
            return
        weights = self.network.weights
        where = None if weights.path is None else str(weights.path)
        hint = "the file is damaged or of a training that failed: use other weights"
        raise WeightsError(f"{weights} gives features that are not numbers", where=where, hint=hint)

    def _digest(self) -> str:
        stages = [asdict(each) for each in self.stages]
        made = [_FORMAT, self.precision, self.tile, self._margin, self.device.type, torch.__version__]
        text = json.dumps([self.network.body_digest(), stages, made])
        return hashlib.sha256(text.encode()).hexdigest()


def native_bfloat16(device: torch.device) -> bool:
    """Whether a device gains from bfloat16: a GPU since Ampere, a CPU with AMX.

    A CPU with AVX512-BF16 alone does not: EfficientNet-Lite0 runs as fast in float32 there.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Older versions of torch cannot tell.
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and bool(known.get("amx_bf16"))


def _shift(finest: Stage) -> tuple[int, int]:
    """Mirrored pixels before the image, and cells left out, so that the finest cells look at their own pixels.

    To within half a pixel.
    """
    ahead = (finest.stride - 1) / 2 - finest.center
    skip = max(math.ceil((ahead - 0.5) / finest.stride), 0)
    return math.floor(skip * finest.stride - ahead + 0.5), skip


def _crop(image: U8, top: int, left: int, size: tuple[int, int]) -> U8:
    """uint8 (h, w, 3) from a place of an image; beyond it lies its mirror image."""
    for axis, (start, length) in enumerate(((top, size[0]), (left, size[1]))):
        count = image.shape[axis]
        if start >= 0 and start + length <= count:
            image = image[start : start + length] if axis == 0 else image[:, start : start + length]
        else:
            turn = max(2 * (count - 1), 1)
            places = np.arange(start, start + length) % turn
            image = image.take(np.where(places < count, places, turn - places) if count > 1 else places * 0, axis=axis)
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def _interpolated(values: torch.Tensor, places: torch.Tensor, axis: int) -> torch.Tensor:
    """Values at fractional places along an axis; beyond the ends, the last ones."""
    last = values.shape[axis] - 1
    places = places.clamp(0, last)
    low = places.floor().long()
    share = (places - low).view([-1 if each == axis else 1 for each in range(values.ndim)]).to(values.dtype)
    first = values.index_select(axis, low)
    return torch.lerp(first, values.index_select(axis, (low + 1).clamp(max=last)), share)


def _check(batch_size: int, tile: int, precision: str) -> None:
    if batch_size < 1:
        raise UsageError(f"the batch size must be at least 1 (got {batch_size})")
    if tile < _SMALLEST_TILE:
        raise UsageError(f"the tile must be at least {_SMALLEST_TILE} pixels (got {tile})")
    if precision not in get_args(Precision):
        raise UsageError(f"unknown precision {precision!r}", hint=f"use one of: {', '.join(get_args(Precision))}")


def _check_image(image: U8) -> None:
    gray_or_color = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if image.dtype != np.uint8 or not gray_or_color or not image.size:
        raise DataError(
            f"not an image: {image.dtype} of shape {image.shape}", hint="give uint8 of shape (h, w, 3) or (h, w)"
        )
