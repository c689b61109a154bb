"""Images and features that the rows of a sweep share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from carpet_data.core.progress import Progress
from carpet_data.dataset import GOOD, Dataset, Sample, Side
from carpet_data.networks import Network
from carpet_data.networks.feature_cache import FeatureCache
from carpet_data.training import tables, views
from carpet_data.training.features import FeatureTable, extract
from carpet_data.training.options import TrainOptions
from carpet_data.training.tables import ImageTable

__all__ = ["Features", "Images", "Shared"]

_MEMORY_BYTES = 2 * 2**30
"""For the pixels of all sizes together; what is beyond is mapped from files."""


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """The images of one size; val is None for a split without val images."""

    train: ImageTable
    val: ImageTable | None
    test: ImageTable


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The features of one network at one size."""

    train: FeatureTable
    val: FeatureTable | None
    test: FeatureTable


class Shared:
    """Decodes images once a size, and computes features once a size and network.

    Args:
        dataset: Says where the files are.
        samples: Of each side; val may be empty.
        settings: Of all rows.
        device: Where features are computed.
        cache: A folder where features are kept for the next run; None to keep none.
        workers: Processes that decode; None for one a core.
    """

    def __init__(
        self,
        dataset: Dataset,
        samples: Mapping[Side, Sequence[Sample]],
        settings: Iterable[TrainOptions],
        *,
        device: torch.device,
        cache: Path | None = None,
        workers: int | None = None,
    ) -> None:
        wanted = tuple(settings)
        names = {sample.class_name for side in samples.values() for sample in side}
        self.classes = tuple(sorted(names, key=lambda name: (name != GOOD, name)))
        self._dataset = dataset
        self._samples = samples
        self._masked = frozenset(each.resize for each in wanted if each.mix == "mask-cutmix")
        self._budget = _MEMORY_BYTES // (max(1, len({each.resize for each in wanted})) * max(1, len(samples)))
        self._device = device
        self._cache = None if cache is None else FeatureCache(cache)
        self._workers = workers
        self._images: dict[int, Images] = {}
        self._features: dict[tuple[object, ...], Features] = {}

    def images(self, size: int, progress: Progress | None = None) -> Images:
        """All images of one size, decoded where they are not yet.

        Raises:
            DataError: One cannot be read.
        """
        if size not in self._images:
            loaded: dict[Side, ImageTable] = {}
            for side, samples in self._samples.items():
                if samples:
                    loaded[side] = tables.load(
                        self._dataset,
                        samples,
                        self.classes,
                        size=size,
                        masks=side == "train" and size in self._masked,
                        workers=self._workers,
                        memory_bytes=self._budget,
                        progress=progress,
                    )
            self._images[size] = Images(loaded["train"], loaded.get("val"), loaded["test"])
        return self._images[size]

    def features(self, network: Network, settings: TrainOptions) -> Features:
        """The features that a row's head learns from, computed where no row before needed them.

        Args:
            network: The row's, with the weights that it begins with.
            settings: The row's.

        Raises:
            UsageError: The images are too small for the network.
            DeviceMemoryError: A batch does not fit into memory.
        """
        count = settings.number_of_views
        strength = settings.augment if count > 1 else "none"
        weights = network.weights
        # The seed decides random weights, and which views there are.
        seed = settings.seed if weights.sha256 is None or count > 1 else None
        body = (network.architecture, weights.sha256, network.pooling)
        batch = max(settings.batch_size, 2)
        key = (body, settings.resize, count, views.identity(strength), seed, batch)
        if key not in self._features:
            # Rows come network by network: what belongs to the one before is done with.
            self._features = {each: kept for each, kept in self._features.items() if each[0] == body}
            images = self.images(settings.resize)
            train = self._extract(network, images.train, batch, count, strength, settings.seed)
            val = None if images.val is None else self._extract(network, images.val, batch)
            self._features[key] = Features(train, val, self._extract(network, images.test, batch))
        return self._features[key]

    def _extract(
        self, network: Network, table: ImageTable, batch: int, count: int = 1, strength: str = "none", seed: int = 0
    ) -> FeatureTable:
        return extract(
            network,
            table,
            views=count,
            strength=strength,
            seed=seed,
            device=self._device,
            batch_size=batch,
            cache=self._cache,
        )
