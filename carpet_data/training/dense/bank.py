"""Feature maps and class coverage of samples, computed once for all folds, conditions and seeds."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.core import executor
from carpet_data.core.images import read
from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import Sample
from carpet_data.networks import Network, devices
from carpet_data.networks.feature_cache import FeatureCache
from carpet_data.networks.feature_maps import FeatureMaps
from carpet_data.networks.map_stages import all_stages
from carpet_data.training.dense.cells import class_cover, moved, scaled_size
from carpet_data.training.dense.options import DenseOptions

__all__ = ["MapBank", "Resolution", "inner_layers", "resized"]

F16 = NDArray[np.float16]
F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

_WORTH_WORKERS = 200_000_000
"""Source pixels below which one process is done before others have started."""
_CHUNK_PIXELS = 16_000_000
"""Pixels of resized images and views that are held at a time."""
_COVER_BYTES = 256 * 2**20
_FINE, _COARSE = (8, 16), 32
"""Strides of the usual heads: one takes the first two alone."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """How an image becomes a map.

    Attributes:
        scale: Factor by which it is resized.
        strides: Of the maps that are joined, sorted; the finest is the size of a cell.
    """

    scale: float
    strides: tuple[int, ...]

    @property
    def stride(self) -> int:
        """Pixels of the resized image across and down a cell."""
        return min(self.strides)


def inner_layers(network: Network, strides: Sequence[int]) -> tuple[str, ...] | None:
    """The layers whose maps serve a dense head: of each stride all blocks of different widths, but the last of all.

    What the last block of a network shows is shaped by the classes that it was trained for: with it the maps of
    EfficientNet-Lite0 told defects worse, with the block before it better. None where a stride has no blocks, as in a
    ResNet, whose stages then serve as they are.
    """
    blocks = [stage for stage in all_stages(network) if "." in stage.name]
    chosen: list[str] = []
    for stride in sorted(set(strides)):
        own = {stage.channels: stage.name for stage in blocks if stage.stride == stride}
        if not own:
            return None
        if len(own) > 1 and blocks[-1].name in own.values():
            del own[blocks[-1].channels]
        chosen += own.values()
    return tuple(chosen)


def resized(image: U8, scale: float) -> U8:
    """An image, uint8 HxW or HxWx3, resized by a factor: shrinking averages over areas, enlarging is cubic."""
    height, width = scaled_size(image.shape[0], image.shape[1], scale)
    if (height, width) == image.shape[:2]:
        return image
    how = cv2.INTER_AREA if height * width < image.shape[0] * image.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


@dataclass(slots=True, eq=False)
class MapBank:
    """Maps of samples by the bytes of their image, the view and the resolution.

    An image is known by its hash, so the real images of another partition, or of a linked copy of the data set, are
    known already. Threads may share a bank: what one of them computes the others wait for.

    Attributes:
        network: Its frozen body makes the maps.
        cache: A folder where maps are kept for the next run; None to keep none.
        memory_bytes: For maps in memory, the least recently used out first.
        batch_size: Number of images that the network sees at a time.
        workers: Processes that decode images; None for one per core where there is enough to do.
    """

    network: Network
    device: torch.device
    cache: Path | None = None
    memory_bytes: int = 2**30
    batch_size: int = 8
    workers: int | None = None
    progress: Progress | None = None
    _usual: tuple[int, ...] | None = field(default=None, init=False, repr=False)
    _makers: dict[tuple[int, ...], FeatureMaps] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)
    _threads: int = field(default_factory=torch.get_num_threads, init=False, repr=False)
    _maps: FeatureCache = field(init=False, repr=False)
    _covers: FeatureCache = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self._maps = FeatureCache(self.cache, memory_bytes=self.memory_bytes)
        self._covers = FeatureCache(memory_bytes=_COVER_BYTES)

    def resolution(self, options: DenseOptions) -> Resolution:
        """That of settled options; where they name no strides, 8, 16, and 32 where the network has it."""
        assert options.scale is not None, "settled"
        if options.strides is not None:
            return Resolution(float(options.scale), tuple(sorted(options.strides)))
        if self._usual is None:
            known = {stage.stride for stage in all_stages(self.network)}
            self._usual = (*_FINE, _COARSE) if _COARSE in known else _FINE
        return Resolution(float(options.scale), self._usual)

    def widths(self, options: DenseOptions) -> tuple[int, ...]:
        """Of each head, how many channels of a map it takes: one takes all, another those of strides 8 and 16 alone.

        Where the options name strides there is one head.
        """
        stages = self.maker(self.resolution(options).strides).stages
        everything = sum(stage.channels for stage in stages)
        fine = sum(stage.channels for stage in stages if stage.stride < _COARSE)
        return (everything,) if options.strides is not None or fine == everything else (fine, everything)

    def maker(self, strides: tuple[int, ...]) -> FeatureMaps:
        """What makes the maps of these strides.

        Raises:
            UsageError: The network has no map of one of them.
        """
        if strides not in self._makers:
            self._makers[strides] = FeatureMaps(
                self.network,
                strides=strides,
                layers=inner_layers(self.network, strides),
                device=self.device,
                batch_size=self.batch_size,
            )
        return self._makers[strides]

    def channels(self, resolution: Resolution) -> int:
        """Numbers of each cell."""
        return self.maker(resolution.strides).channels

    def shape(
        self, sample: Sample, resolution: Resolution, view: int = 0, *, channels: int | None = None
    ) -> tuple[int, int, int]:
        """The shape of a sample's map: channels (None for those of the network), rows, columns."""
        height, width = scaled_size(sample.height, sample.width, resolution.scale)
        rows, columns = -(-height // resolution.stride), -(-width // resolution.stride)
        if channels is None:
            channels = self.channels(resolution)
        return (channels, columns, rows) if view % 2 else (channels, rows, columns)

    def add(self, samples: Sequence[Sample], resolution: Resolution, views: int = 1) -> None:
        """Compute the maps of samples in views 0 … views - 1 that are not kept yet.

        Where they fit neither memory nor the cache, `map` computes some of them again.

        Raises:
            ImageError, DeviceMemoryError: As `map`.
        """
        for _ in self.each(samples, resolution, [views] * len(samples)):
            pass

    def each(
        self, samples: Sequence[Sample], resolution: Resolution, views: Sequence[int]
    ) -> Iterator[tuple[int, int, F16]]:
        """The maps of samples, each in its number of views: (number of the sample, view, map), kept ones first.

        What is not kept yet is computed in batches, and once, even where all maps together fit neither memory nor the
        cache.

        Raises:
            ImageError, DeviceMemoryError: As `map`.
        """
        with self._lock:
            missing: dict[int, list[int]] = {}
            for row, (sample, count) in enumerate(zip(samples, views, strict=True)):
                found = [self._kept(sample, resolution, view) for view in range(count)]
                kept = [values for values in found if values is not None]
                if len(kept) < count:
                    missing.setdefault(count, []).append(row)
                    continue
                for view, values in enumerate(kept):
                    yield row, view, values
            for count, rows in sorted(missing.items()):
                computed = self._computed([samples[row] for row in rows], resolution, range(count))
                for row in rows:
                    for view in range(count):
                        yield row, view, next(computed)

    def map(self, sample: Sample, resolution: Resolution, view: int = 0) -> F16:
        """The map of a sample: float16 (channels, rows, columns); not to be written to.

        Raises:
            ImageError: The image is missing or damaged.
            DeviceMemoryError: One image at a time does not fit into memory.
        """
        with self._lock:
            found = self._kept(sample, resolution, view)
            if found is not None:
                return found
            return next(iter(self._computed([sample], resolution, [view])))

    def cover(self, sample: Sample, classes: Sequence[str], resolution: Resolution, view: int = 0) -> F32 | None:
        """The share of each cell that each defect class covers, see `class_cover`, in the position of a view.

        Raises:
            DataError, UsageError: As `class_cover`.
        """
        key = (_identity(sample), sample.mask_sha256, sample.annotation, tuple(classes))
        digest = hashlib.sha256(repr((*key, resolution.scale, resolution.stride, view)).encode()).hexdigest()
        with self._lock:
            kept = self._covers.get(digest, self.shape(sample, resolution, view, channels=len(classes) - 1))
            if kept is not None:
                return kept
            found = class_cover(sample, classes, scale=resolution.scale, stride=resolution.stride, view=view)
            if found is not None:
                self._covers.put(digest, found)
            return found

    def _kept(self, sample: Sample, resolution: Resolution, view: int) -> F16 | None:
        return self._maps.get(self._key(sample, resolution, view), self.shape(sample, resolution, view), np.float16)

    def _computed(self, samples: Sequence[Sample], resolution: Resolution, views: Sequence[int]) -> Iterator[F16]:
        """The maps of samples, each in these views, computed and kept."""
        maker = self.maker(resolution.strides)
        images = executor.run(partial(_loaded, scale=resolution.scale), samples, workers=self._workers(samples))
        total, done = len(samples) * len(views), 0
        for chunk in _chunked(zip(samples, images, strict=True), len(views)):
            shown = [np.asarray(moved(image, view), np.uint8) for _, image in chunk for view in views]
            asked = [(sample, view) for sample, _ in chunk for view in views]
            # A thread that is to compute on one core takes all of them here, since the others wait.
            with devices.threads(self._threads):
                made = maker.of(shown)
            for (sample, view), found in zip(asked, made, strict=True):
                self._maps.put(self._key(sample, resolution, view), found)
                yield found
            done += len(asked)
            if self.progress is not None:
                self.progress(Step(done, total, "computing feature maps"))

    def _workers(self, samples: Sequence[Sample]) -> int | None:
        pixels = sum(sample.width * sample.height for sample in samples)
        return 1 if pixels < _WORTH_WORKERS else self.workers

    def _key(self, sample: Sample, resolution: Resolution, view: int) -> str:
        height, width = scaled_size(sample.height, sample.width, resolution.scale)
        return self.maker(resolution.strides).key(_identity(sample), height=height, width=width, view=view)


def _identity(sample: Sample) -> str:
    if sample.image_sha256 is not None:
        return sample.image_sha256
    # A raw folder records no hashes; its files are identified by place, size and time.
    assert sample.root is not None, "a data set sets it"
    path = sample.root / sample.image_path
    state = path.stat() if path.is_file() else None
    known = f"{path.resolve()} {state and (state.st_size, state.st_mtime_ns)}"
    return hashlib.sha256(known.encode(errors="surrogatepass")).hexdigest()


def _loaded(sample: Sample, *, scale: float) -> U8:
    assert sample.root is not None, "a data set sets it"
    return resized(read(sample.root / sample.image_path), scale)


def _chunked(loaded: Iterator[tuple[Sample, U8]], views: int) -> Iterator[list[tuple[Sample, U8]]]:
    """Images in pieces that memory holds; at least one image each."""
    chunk: list[tuple[Sample, U8]] = []
    pixels = 0
    for sample, image in loaded:
        chunk.append((sample, image))
        pixels += image.shape[0] * image.shape[1] * views
        if pixels >= _CHUNK_PIXELS:
            yield chunk
            chunk, pixels = [], 0
    if chunk:
        yield chunk
