"""Features of every image and view, computed once for all conditions, seeds and partitions of an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.core.progress import Progress, part_of
from carpet_data.dataset import Sample
from carpet_data.errors import UsageError
from carpet_data.experiments.partitions import DatasetSplit
from carpet_data.networks import Network
from carpet_data.networks.feature_cache import FeatureCache
from carpet_data.training import tables
from carpet_data.training.features import FeatureTable, extract
from carpet_data.training.options import TrainOptions

__all__ = ["FeatureBank"]

F32 = NDArray[np.float32]

_CHUNK = 512
"""Number of images that are decoded at a time; their pixels are not kept."""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureBank:
    """Features by image, in memory.

    An image is known by its id and the hash of its bytes, so the real images of another partition, or of a linked copy
    of the data set, are known already. The views of an image depend on its id and on `seed` only, so every condition
    and every repeat sees the same ones and differs by when it shows which.

    Attributes:
        network: Its frozen body makes the features.
        size: Side in pixels of the square that images are resized to.
        seed: Random seed of the views.
        cache: A folder where features are kept for the next run; None to keep none.
    """

    network: Network
    size: int
    seed: int
    device: torch.device
    batch_size: int = 64
    cache: Path | None = None
    workers: int | None = None
    progress: Progress | None = None
    _known: dict[tuple[str, str], dict[tuple[str, int], F32]] = field(default_factory=dict, init=False, repr=False)

    def add(self, folder: DatasetSplit, samples: Sequence[Sample], settings: TrainOptions) -> None:
        """Compute what is not known yet of the views that settings ask for; see `table`."""
        strength, views = _shown(settings)
        cache = None if self.cache is None else FeatureCache(self.cache)
        missing = [s for s in samples if self._find(s, strength, views) is None]
        done, total = 0, views * len(missing)
        for start in range(0, len(missing), _CHUNK):
            chunk = missing[start : start + _CHUNK]
            # Labels play no part in features; one name for all keeps the table free of the classes.
            names = sorted({sample.class_name for sample in chunk})
            images = tables.load(folder.dataset, chunk, names, size=self.size, workers=self.workers)
            found = extract(
                self.network,
                images,
                views=views,
                strength=strength,
                seed=self.seed,
                device=self.device,
                batch_size=self.batch_size,
                cache=cache,
                progress=part_of(self.progress, done, total),
            )
            done += views * len(chunk)
            for row, sample in enumerate(chunk):
                of_image = self._known.setdefault(_key(sample), {})
                of_image[strength, views] = np.ascontiguousarray(found.values[:, row])

    def table(
        self, folders: Sequence[tuple[DatasetSplit, Sequence[Sample]]], classes: Sequence[str], settings: TrainOptions
    ) -> FeatureTable:
        """The features of samples in their order, computed where they are not known yet.

        Args:
            folders: Samples and where they are.
            classes: Names; a label is the index of a sample's class.
            settings: Their augmentation and number of views.

        Raises:
            As `tables.load` and `extract`.
        """
        strength, views = _shown(settings)
        for folder, samples in folders:
            self.add(folder, samples, settings)
        everything = [sample for _, samples in folders for sample in samples]
        values = np.empty((views, len(everything), self.network.feature_size), np.float32)
        for row, sample in enumerate(everything):
            known = self._find(sample, strength, views)
            assert known is not None
            values[:, row] = known
        place = {name: number for number, name in enumerate(classes)}
        unknown = sorted({sample.class_name for sample in everything} - set(place))
        if unknown:
            raise UsageError(f"unknown class {unknown[0]!r} (known: {', '.join(classes)})", hint="name all classes")
        labels = np.array([place[sample.class_name] for sample in everything], np.int64)
        ids, origins = tuple(s.id for s in everything), tuple(s.origin for s in everything)
        return FeatureTable(values, labels, ids, tuple(classes), origins)

    def forget_synthetic(self, samples: Sequence[Sample]) -> None:
        """Free the features of synthetic samples: no other partition has them."""
        for sample in samples:
            if sample.origin == "synthetic":
                self._known.pop(_key(sample), None)

    def _find(self, sample: Sample, strength: str, views: int) -> F32 | None:
        of_image = self._known.get(_key(sample), {})
        if views == 1 and of_image:
            # View 0 is the plain image, whatever the others are.
            return next(iter(of_image.values()))[:1]
        return of_image.get((strength, views))


def _key(sample: Sample) -> tuple[str, str]:
    return sample.id, sample.image_sha256 or sample.image_path


def _shown(settings: TrainOptions) -> tuple[str, int]:
    views = settings.number_of_views
    return (settings.augment if views > 1 else "none"), views
