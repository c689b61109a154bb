"""The whole-image classifier: one feature vector an image, or a network trained whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from carpet_data.core.progress import Progress
from carpet_data.dataset import Sample
from carpet_data.errors import UsageError
from carpet_data.experiments.conditions import Condition
from carpet_data.experiments.journal import CLASSIFIER
from carpet_data.experiments.learners.bank import FeatureBank
from carpet_data.experiments.learners.contract import Trained
from carpet_data.experiments.partitions import DatasetSplit, Partition
from carpet_data.networks import devices
from carpet_data.training import tables, views
from carpet_data.training.evaluate import Predictions, predict, predict_features
from carpet_data.training.fit import fit, prepare_network
from carpet_data.training.head import fit_head
from carpet_data.training.tables import ImageTable

__all__ = ["WholeImage", "refuse_unequal"]

_SHARED = ("architecture", "weights", "pooling", "resize", "freeze", "device", "steps", "batch_size", "learning_rate")
"""TrainOptions that all conditions have in common: otherwise more would differ than what is compared."""


@dataclass(frozen=True, slots=True, eq=False)
class WholeImage:
    """The whole-image classifier under the conditions of an experiment.

    With a frozen backbone the features of every image and view are computed once; the heads differ by condition and
    seed. Val images, where the split has some, select the epoch; test images are predicted once, by the selected one.
    """

    conditions: tuple[Condition, ...]
    classes: tuple[str, ...]
    device: torch.device
    bank: FeatureBank | None
    workers: int | None

    @property
    def name(self) -> str:
        """What the journal calls it."""
        return CLASSIFIER

    @classmethod
    def of(
        cls,
        conditions: Sequence[Condition],
        classes: Sequence[str],
        *,
        cache: Path | None = None,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> WholeImage:
        """The classifier with the settings of these conditions, at least one.

        Raises:
            UsageError: An unknown augmentation, network or device.
            WeightsError: The weights are not available.
        """
        for condition in conditions:
            views.check(condition.settings.augment)
        settings, classes = conditions[0].settings, tuple(classes)
        device = devices.resolve(settings.device)
        bank = None
        if settings.frozen:
            network = prepare_network(settings, classes)
            bank = FeatureBank(
                network,
                size=settings.resize,
                seed=settings.seed,
                device=device,
                cache=cache,
                workers=workers,
                progress=progress,
            )
        return cls(tuple(conditions), classes, device, bank, workers)

    def ready(self, partition: Partition) -> None:
        """Compute the features of all training images."""
        if self.bank is None:
            return
        # The real images of the baseline first: each image's plain view then serves all other conditions.
        for condition in sorted(self.conditions, key=lambda each: -each.settings.number_of_views):
            self.bank.table(partition.train(condition), self.classes, condition.settings)

    def train(self, partition: Partition, condition: Condition, seeds: Sequence[int]) -> Iterator[Trained]:
        """Train once per seed, and test."""
        for seed, (found, steps) in zip(seeds, self._trained(partition, condition, seeds), strict=True):
            rows = found.rows(self.classes, condition=condition.name, partition=partition.name, seed=seed)
            yield Trained(tuple(rows), None, steps)

    def forget(self, partition: Partition) -> None:
        """Free the features of the synthetic images."""
        if self.bank is not None:
            self.bank.forget_synthetic([s for pool in partition.pools.values() for s in pool.synthetic()])

    def _trained(
        self, partition: Partition, condition: Condition, seeds: Sequence[int]
    ) -> Iterator[tuple[Predictions, int]]:
        """The predictions of each seed's classifier on the test images, and its number of steps."""
        settings, folder = condition.settings, partition.folder
        train = partition.train(condition)
        test, val = partition.held_out("test"), partition.held_out("val")
        if self.bank is None:
            images = self._images(train, condition)
            test_images = self._images([(folder, test)], condition)
            val_images = self._images([(folder, val)], condition) if val else None
            for seed in seeds:
                fitted = fit(settings.but(seed=seed), images, val_images)
                yield predict(fitted.network, test_images, fitted.device, batch_size=settings.batch_size), fitted.steps
            return
        plain = settings.but(augment="none", views=None)
        train_table = self.bank.table(train, self.classes, settings)
        test_table = self.bank.table([(folder, test)], self.classes, plain)
        val_table = self.bank.table([(folder, val)], self.classes, plain) if val else None
        for seed in seeds:
            done = fit_head(train_table, val_table, settings.but(seed=seed), device=self.device)
            yield predict_features(done.head, test_table), done.steps

    def _images(self, folders: Sequence[tuple[DatasetSplit, Sequence[Sample]]], condition: Condition) -> ImageTable:
        settings = condition.settings
        masks = settings.mix == "mask-cutmix"
        found = [
            tables.load(folder.dataset, samples, self.classes, size=settings.resize, masks=masks, workers=self.workers)
            for folder, samples in folders
        ]
        return found[0] if len(found) == 1 else _joined(found)


def refuse_unequal(conditions: Sequence[Condition], baseline: str) -> None:
    """Refuse conditions that cannot be compared.

    Raises:
        UsageError: A duplicate name, no baseline, no number of steps, or shared settings that differ.
    """
    names = [condition.name for condition in conditions]
    if len(set(names)) < len(names):
        raise UsageError("duplicate condition", hint="name each condition once")
    if baseline not in names:
        raise UsageError(f"unknown condition {baseline!r}", hint=f"use one of: {', '.join(names)}")
    for condition in conditions:
        if condition.settings.steps is None:
            raise UsageError(
                f"{condition.name} has no number of steps, so it would train longer the more images it has",
                hint="set steps",
            )
        for name in _SHARED:
            ours, theirs = getattr(conditions[0].settings, name), getattr(condition.settings, name)
            if ours != theirs:
                raise UsageError(
                    f"{condition.name} has {name.replace('_', ' ')} {theirs!r}, {names[0]} has {ours!r}",
                    hint="let the conditions differ only in what is compared",
                )


def _joined(parts: Sequence[ImageTable]) -> ImageTable:
    masks = [part.masks for part in parts if part.masks is not None]
    return replace(
        parts[0],
        ids=tuple(name for part in parts for name in part.ids),
        labels=np.concatenate([part.labels for part in parts]),
        pixels=np.concatenate([part.pixels for part in parts]),
        masks=np.concatenate(masks) if masks else None,
        origins=tuple(origin for part in parts for origin in part.origins),
        groups=tuple(group for part in parts for group in part.groups),
    )
