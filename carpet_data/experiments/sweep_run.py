"""Run the lines of a sweep, network by network, each different training once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from carpet_data import networks
from carpet_data.core.progress import Progress, Step, part_of
from carpet_data.dataset import SIDES, Dataset, Sample, Side
from carpet_data.errors import DataError, WeightsError
from carpet_data.experiments.sweep_plan import Line
from carpet_data.experiments.sweep_records import LineResult, Record, read_record, write_record
from carpet_data.networks import Network
from carpet_data.networks.feature_cache import FeatureCache
from carpet_data.networks.network import fresh_head
from carpet_data.training.course import TRAINING, History
from carpet_data.training.evaluate import Predictions, predict, predict_features
from carpet_data.training.features import FeatureTable, extract
from carpet_data.training.fit import fit
from carpet_data.training.head import fit_head
from carpet_data.training.options import TrainOptions
from carpet_data.training.tables import Sides, load_sides

__all__ = ["Shared", "run"]

_MEMORY_BYTES = 2 * 2**30
"""For the pixels of all sizes together; what is beyond is mapped from files."""
_FEATURE_BYTES = 2**30


class Shared:
    """What the lines of a sweep share: images decoded once per size, and features computed once per size and network.

    Args:
        samples: Of each side; val may be empty.
        options: Of all lines.
        cache: A folder where features are kept for the next run; None to keep none.
        workers: Processes that decode; None for one per core.
    """

    def __init__(
        self,
        dataset: Dataset,
        samples: Mapping[Side, Sequence[Sample]],
        options: Iterable[TrainOptions],
        *,
        device: torch.device,
        cache: Path | None = None,
        workers: int | None = None,
    ) -> None:
        self._dataset = dataset
        self._samples: dict[Side, Sequence[Sample]] = {side: samples.get(side, ()) for side in SIDES}
        # Where one line of a size needs masks, they are loaded for all.
        self._of_size = {each.resize: each for each in sorted(options, key=lambda each: each.mix == "mask-cutmix")}
        self._budget = _MEMORY_BYTES // (3 * max(1, len(self._of_size)))
        self.device = device
        self._cache = FeatureCache(cache, memory_bytes=_FEATURE_BYTES)
        self._workers = workers
        self._sides: dict[int, Sides] = {}

    def sides(self, size: int) -> Sides:
        """All images of one size, decoded where they are not yet.

        Raises:
            DataError: One cannot be read.
        """
        if size not in self._sides:
            self._sides[size] = load_sides(
                self._dataset,
                self._samples,
                self._of_size[size],
                workers=self._workers,
                memory_bytes=self._budget,
            )
        return self._sides[size]

    def features(
        self, network: Network, options: TrainOptions
    ) -> tuple[FeatureTable, FeatureTable | None, FeatureTable]:
        """The features of the three sides that a line's head learns from, computed where no line before needed them.

        Raises:
            UsageError: The images are too small for the network.
            DeviceMemoryError: A batch does not fit into memory.
        """
        sides, count = self.sides(options.resize), options.number_of_views
        compute = partial(
            extract, network, device=self.device, batch_size=max(options.batch_size, 2), cache=self._cache
        )
        strength = options.augment if count > 1 else "none"
        train = compute(sides.train, views=count, strength=strength, seed=options.seed)
        return train, None if sides.val is None else compute(sides.val), compute(sides.test)


def run(
    lines: Sequence[Line],
    shared: Shared,
    folder: Path,
    *,
    seeds: Sequence[int],
    progress: Progress | None = None,
) -> tuple[LineResult, ...]:
    """Train every line with every seed; what the run folder keeps already is not trained again.

    The weights of the last epoch are what is scored, so that the epochs of a row are what they say; only in a row with
    `patience` does validation choose the epoch. A training that fails (it diverges, or its batches do not fit into
    memory) does not stop the others.

    The lines are those of `sweep_plan.plan`; every training is kept in the run folder as soon as it is done. `progress`
    is called with each epoch, of those of all rows.

    Returns:
        One result per line, in their order.

    Raises:
        DataError: An image cannot be read, or a kept training is damaged.
        WeightsError: Weights are damaged, or belong to another network.
    """
    # Network by network, so that each is loaded, and its features are held, once.
    ready = sorted(
        (line for line in lines if not line.missing),
        key=lambda line: (line.architecture, line.weights_name, line.settings.pooling, line.settings.resize),
    )
    trainer = _Trainer(shared)
    total = sum(line.settings.epochs for line in ready) * len(seeds)
    found: dict[str, list[Record]] = {line.name: [] for line in lines}
    failed: dict[str, str] = {}
    done = 0
    for line in ready:
        for seed in seeds:
            identity = line.identity(seed)
            record = read_record(folder, identity)
            if record is None:
                shared.sides(line.settings.resize)  # outside what may fail: a damaged image ends the sweep
                try:
                    record = trainer.train(line, seed, _of_all(progress, done, total))
                except WeightsError:
                    raise
                except DataError as error:
                    # The other seeds would most likely fail as well, and a mean over some of them misleads.
                    failed[line.name] = f"{line.weights_name}: failed, {error.what}"
                    break
                write_record(folder, identity, record)
            found[line.name].append(record)
            done += line.settings.epochs
            if progress is not None:
                progress(Step(done, total, TRAINING))
    return tuple(_result(line, found[line.name], failed.get(line.name, line.missing)) for line in lines)


class _Trainer:
    """Trains one line after the other; the network of the last one is kept for the next."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._key: tuple[object, ...] = ()
        self._network: Network | None = None

    def train(self, line: Line, seed: int, progress: Progress | None) -> Record:
        """One training, timed with the features that it is the first to need."""
        options = line.settings.but(seed=seed, device=str(self._shared.device))
        began = time.perf_counter()
        trained = self._head if options.frozen else self._whole
        history, kept, val, test = trained(line, options, progress)
        epoch = history[kept - 1]
        classes = self._shared.sides(options.resize).classes
        return Record(
            seed=seed,
            epochs=len(history),
            train_loss=epoch.train_loss,
            train_accuracy=epoch.train_accuracy,
            val_loss=None if val is None else val.loss,
            val_accuracy=None if val is None else val.accuracy,
            test_loss=test.loss,
            right=int((test.predicted == test.truth).sum()),
            test_images=len(test),
            seconds=time.perf_counter() - began,
            history=tuple(asdict(each) for each in history),
            predictions=tuple(test.rows(classes, condition=line.name, partition="", seed=seed)),
        )

    def _head(self, line: Line, options: TrainOptions, progress: Progress | None) -> _Trained:
        network = self._built(line, options)
        train, val, test = self._shared.features(network, options)
        head = network.head
        if options.retrain_head or options.lmr:
            head = fresh_head(network.feature_size, head.out_features, seed=options.seed)
        chooser = val if options.patience is not None else None
        done = fit_head(train, chooser, options, head=head, device=self._shared.device, progress=progress)
        found = None if val is None else predict_features(done.head, val)
        return done.history, done.best_epoch, found, predict_features(done.head, test)

    def _whole(self, line: Line, options: TrainOptions, progress: Progress | None) -> _Trained:
        assert line.weights is not None
        sides = self._shared.sides(options.resize)
        pinned = options.but(architecture=line.architecture, weights=line.weights.wanted)
        chooser = sides.val if options.patience is not None else None
        done = fit(pinned, sides.train, chooser, progress=progress)
        judge = partial(predict, done.network, device=self._shared.device, batch_size=max(options.batch_size, 32))
        return done.history, done.best_epoch, None if sides.val is None else judge(sides.val), judge(sides.test)

    def _built(self, line: Line, options: TrainOptions) -> Network:
        assert line.weights is not None
        # The seed decides the head, and a body without weights of its own.
        key = (line.weights, options.pooling, options.seed)
        if self._network is None or self._key != key:
            classes = self._shared.sides(options.resize).classes
            self._network = networks.build(
                line.weights, classes=len(classes), seed=options.seed, pooling=options.pooling, class_names=classes
            )
            self._key = key
        return self._network


_Trained = tuple[History, int, Predictions | None, Predictions]
"""History, the epoch that was kept, and the predictions of validation and test images."""


def _of_all(progress: Progress | None, before: int, total: int) -> Progress | None:
    whole = part_of(progress, before, total)
    return None if whole is None else lambda step: whole(step) if step.what == TRAINING else None


def _result(line: Line, records: Sequence[Record], missing: str) -> LineResult:
    return LineResult(
        name=line.name,
        settings=line.settings,
        architecture=line.architecture,
        weights=line.weights_name,
        missing=missing,
        fallback=line.fallback,
        records=() if missing else tuple(records),
    )
