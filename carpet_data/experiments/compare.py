"""Train every condition on every partition with every seed, and keep the predictions on the test images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import Sample
from carpet_data.errors import UsageError
from carpet_data.experiments.bank import FeatureBank
from carpet_data.experiments.comparison import Comparison, Training
from carpet_data.experiments.conditions import BASELINE, Condition
from carpet_data.experiments.partitions import DatasetSplit, Partition, classes_of, refuse_unfit
from carpet_data.networks import devices
from carpet_data.training import tables, views
from carpet_data.training.evaluate import Predictions, predict, predict_features
from carpet_data.training.fit import fit, prepare_network
from carpet_data.training.head import fit_head
from carpet_data.training.options import TrainOptions
from carpet_data.training.tables import ImageTable

__all__ = ["refuse_unequal", "run"]

_SHARED = ("architecture", "weights", "pooling", "resize", "freeze", "device", "steps", "batch_size", "learning_rate")
"""TrainOptions that all conditions have in common: otherwise more would differ than what is compared."""


def run(
    partitions: Iterable[Partition],
    conditions: Sequence[Condition],
    *,
    seeds: Sequence[int],
    classes: Sequence[str] | None = None,
    baseline: str = BASELINE,
    done: Iterable[Training] = (),
    keep: Callable[[Training], None] | None = None,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare conditions over partitions and seeds.

    With a frozen backbone the features of every image and view are computed once; the heads differ by condition and
    seed. Val images, where the split has some, select the epoch; test images are predicted once, by the selected one.

    Args:
        partitions: Taken one at a time, so that a generator may make each when its turn comes.
        conditions: At least the baseline.
        seeds: One per training run of a condition and partition.
        classes: All class names in order; None for those of the partitions, which are then all taken at once.
        baseline: The condition that the others are compared with.
        done: Training runs of an earlier, interrupted call; they are not repeated.
        keep: Called with each new training run, to record it.
        cache: A folder where features are kept for the next run; None to keep none.
        workers: Number of processes that decode; None for one per core.
        progress: Called while features are computed and after each training run.

    Raises:
        UsageError: No seed or condition, a duplicate name, no baseline, or settings that differ in more than what is
            compared.
        DataError: A partition cannot be evaluated (`refuse_unfit`), an image cannot be read, or a training diverges.
        LeakError: A held-out image could reach training.
        WeightsError: The weights are not available.
        DeviceMemoryError: A batch does not fit into memory.
    """
    refuse_unequal(conditions, baseline)
    if not seeds or len(set(seeds)) < len(seeds):
        raise UsageError(f"invalid seeds {list(seeds)}", hint="give at least one, all different")
    if classes is None:
        partitions = tuple(partitions)
        classes = classes_of(partitions)
    classes = tuple(classes)
    known = {condition.name for condition in conditions}
    found = {training.key: training for training in done if training.condition in known}
    for condition in conditions:
        views.check(condition.settings.augment)
    device = devices.resolve(conditions[0].settings.device)
    bank = _bank(conditions[0].settings, classes, device, cache, workers, progress)
    experiment = _Experiment(tuple(conditions), tuple(seeds), classes, device, bank, workers, progress)
    notes = list[str]()
    names = list[str]()
    for partition in partitions:
        if partition.name in names:
            raise UsageError(f"duplicate partition {partition.name!r}", hint="name each partition once")
        names.append(partition.name)
        notes += refuse_unfit(partition)
        partition.refuse_leaks()
        for training in experiment.trainings(partition, found):
            found[training.key] = training
            if keep is not None:
                keep(training)
    return Comparison(classes, tuple(conditions), baseline, tuple(found.values()), tuple(dict.fromkeys(notes)))


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


def _bank(
    settings: TrainOptions,
    classes: tuple[str, ...],
    device: torch.device,
    cache: Path | None,
    workers: int | None,
    progress: Progress | None,
) -> FeatureBank | None:
    """The features that all conditions share; None where more than the head trains."""
    if not settings.frozen:
        return None
    network = prepare_network(settings, classes)
    size, seed = settings.resize, settings.seed
    return FeatureBank(network, size=size, seed=seed, device=device, cache=cache, workers=workers, progress=progress)


@dataclass(frozen=True, slots=True, eq=False)
class _Experiment:
    """What the partitions of one comparison share."""

    conditions: tuple[Condition, ...]
    seeds: tuple[int, ...]
    classes: tuple[str, ...]
    device: torch.device
    bank: FeatureBank | None
    workers: int | None
    progress: Progress | None

    def trainings(self, partition: Partition, done: dict[tuple[str, str, int], Training]) -> Iterable[Training]:
        """Train what is not done yet on a partition."""
        wanted = [
            (condition, seed)
            for condition in self.conditions
            for seed in self.seeds
            if (condition.name, partition.name, seed) not in done
        ]
        total = len(self.conditions) * len(self.seeds)
        if not wanted:
            return
        test = partition.held_out("test")
        units = tuple(sample.group if sample.group is not None else sample.id for sample in test)
        if self.bank is not None:
            # The real images of the baseline first: each image's plain view then serves all other conditions.
            for condition in sorted(self.conditions, key=lambda each: -each.settings.number_of_views):
                self.bank.table(partition.train(condition), self.classes, condition.settings)
        finished = total - len(wanted)
        for condition in self.conditions:
            seeds = [seed for each, seed in wanted if each is condition]
            if not seeds:
                continue
            real, synthetic = partition.counts(condition)
            trained = {sample.class_name for _, samples in partition.train(condition) for sample in samples}
            untrained = tuple(name for name in self.classes if name not in trained)
            for seed, (found, steps) in zip(seeds, self._trained(partition, condition, seeds), strict=True):
                rows = tuple(found.rows(self.classes, condition=condition.name, partition=partition.name, seed=seed))
                yield Training(
                    condition.name, partition.name, seed, real, synthetic, steps, rows, units, untrained=untrained
                )
                finished += 1
                if self.progress is not None:
                    self.progress(Step(finished, total, f"training, {partition.name}"))
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
            images = self._images(train, settings)
            test_images = self._images([(folder, test)], settings)
            val_images = self._images([(folder, val)], settings) if val else None
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

    def _images(self, folders: Sequence[tuple[DatasetSplit, Sequence[Sample]]], settings: TrainOptions) -> ImageTable:
        masks = settings.mix == "mask-cutmix"
        found = [
            tables.load(folder.dataset, samples, self.classes, size=settings.resize, masks=masks, workers=self.workers)
            for folder, samples in folders
        ]
        return found[0] if len(found) == 1 else _joined(found)


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
