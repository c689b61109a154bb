"""Run the lines of a sweep, network by network, each different training once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from carpet_data import networks
from carpet_data.core.progress import Progress, Step, part_of
from carpet_data.errors import DataError, WeightsError
from carpet_data.experiments.sweep_images import Shared
from carpet_data.experiments.sweep_plan import Line
from carpet_data.experiments.sweep_records import LineResult, Record, read_record, write_record
from carpet_data.networks import Network
from carpet_data.networks.network import fresh_head
from carpet_data.training.evaluate import Predictions, predict, predict_features
from carpet_data.training.fit import fit
from carpet_data.training.head import fit_head
from carpet_data.training.history import TRAINING, History
from carpet_data.training.options import TrainOptions
from carpet_data.training.sampling import Shares

__all__ = ["run"]

"""Told (done, total) in epochs of all trainings."""


def run(
    lines: Sequence[Line],
    shared: Shared,
    folder: Path,
    *,
    seeds: Sequence[int],
    device: torch.device,
    progress: Progress | None = None,
) -> tuple[LineResult, ...]:
    """Train every line with every seed; what the run folder keeps already is not trained again.

    The weights of the last epoch are what is scored, so that the epochs of a row are what they say; only in a row with
    `patience` does val choose the epoch. A training that fails (it diverges, or its batches do not fit into memory)
    takes no other with it.

    Args:
        lines: As `sweep_plan.plan` gives them.
        shared: Their images.
        folder: The run folder; every training is kept there as soon as it is done.
        seeds: Of the trainings.
        device: Where.
        progress: Called with each epoch, of those of all rows.

    Returns:
        One result a line, in their order.

    Raises:
        DataError: An image cannot be read, or a kept training is damaged.
        WeightsError: Weights are damaged, or belong to another network.
    """
    ready = sorted((line for line in lines if not line.missing), key=_order)
    trainer = _Trainer(shared, device)
    total = sum(line.settings.epochs for line in ready) * len(seeds)
    found: dict[str, list[Record]] = {line.name: [] for line in lines}
    failed: dict[str, str] = {}
    done = 0
    for line in ready:
        for seed in seeds:
            identity = line.identity(seed)
            record = read_record(folder, identity)
            if record is None:
                shared.images(line.settings.resize)  # outside what may fail: a damaged image ends the sweep
                try:
                    record = trainer.train(line, seed, _of_all(progress, done, total))
                except WeightsError:
                    raise
                except DataError as error:
                    # The other seeds would most likely fail as well, and a mean over some of them misleads.
                    failed[line.name] = f"{_weights(line)}: failed, {error.what}"
                    break
                write_record(folder, identity, record)
            found[line.name].append(record)
            done += line.settings.epochs
            if progress is not None:
                progress(Step(done, total, TRAINING))
    return tuple(_result(line, found[line.name], failed.get(line.name, line.missing)) for line in lines)


class _Trainer:
    """Trains one line after the other; the network of the last one is kept for the next."""

    def __init__(self, shared: Shared, device: torch.device) -> None:
        self._shared = shared
        self._device = device
        self._key: tuple[object, ...] = ()
        self._network: Network | None = None

    def train(self, line: Line, seed: int, progress: Progress | None) -> Record:
        """One training, timed with the features that it is the first to need."""
        assert line.weights is not None
        settings = line.settings.but(seed=seed, device=str(self._device))
        began = time.perf_counter()
        if settings.frozen:
            record = self._train_head(self._built(line, settings), settings, progress)
        else:
            record = self._train_network(line, settings, progress)
        return replace(record, seconds=time.perf_counter() - began)

    def _built(self, line: Line, settings: TrainOptions) -> Network:
        assert line.weights is not None
        # The seed decides the head, and a body without weights of its own.
        key = (line.architecture, line.weights, settings.pooling, settings.seed)
        if self._network is None or self._key != key:
            classes = self._shared.classes
            self._network = networks.build(
                line.weights,
                classes=len(classes),
                seed=settings.seed,
                pooling=settings.pooling,
                class_names=classes,
            )
            self._key = key
        return self._network

    def _train_head(self, network: Network, settings: TrainOptions, progress: Progress | None) -> Record:
        features = self._shared.features(network, settings)
        waits = settings.patience is not None and features.val is not None
        head = network.head
        if settings.retrain_head or settings.lmr:
            head = fresh_head(network.feature_size, head.out_features, seed=settings.seed)
        done = fit_head(
            features.train.values,
            features.train.labels,
            settings,
            classes=head.out_features,
            shares=Shares.of(settings, features.train.classes, features.train.origins),
            val_features=features.val.values[0] if waits and features.val is not None else None,
            val_labels=features.val.labels if waits and features.val is not None else None,
            head=head,
            device=self._device,
            progress=progress,
        )
        val = None if features.val is None else predict_features(done.head, features.val)
        test = predict_features(done.head, features.test)
        return _record(settings.seed, done.history, done.best_epoch, val, test, self._shared.classes)

    def _train_network(self, line: Line, settings: TrainOptions, progress: Progress | None) -> Record:
        images = self._shared.images(settings.resize)
        done = fit(
            settings.but(architecture=line.architecture),
            images.train,
            images.val if settings.patience is not None else None,
            progress=progress,
        )
        size = max(settings.batch_size, 32)
        val = None if images.val is None else predict(done.network, images.val, self._device, batch_size=size)
        test = predict(done.network, images.test, self._device, batch_size=size)
        return _record(settings.seed, done.history, done.best_epoch, val, test, self._shared.classes)


def _record(
    seed: int, history: History, kept: int, val: Predictions | None, test: Predictions, classes: tuple[str, ...]
) -> Record:
    epoch = history[kept - 1]
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
        seconds=0.0,
        history=tuple(asdict(each) for each in history),
        predictions=tuple(test.rows(classes)),
    )


def _order(line: Line) -> tuple[str, ...]:
    """Network by network, so that each is loaded, and its features are held, once."""
    return (line.architecture, _weights(line), line.settings.pooling, f"{line.settings.resize:05d}")


def _weights(line: Line) -> str:
    return line.settings.weights if line.weights is None else line.weights.name


def _of_all(progress: Progress | None, before: int, total: int) -> Progress | None:
    whole = part_of(progress, before, total)
    return None if whole is None else lambda step: whole(step) if step.what == TRAINING else None


def _result(line: Line, records: Sequence[Record], missing: str) -> LineResult:
    return LineResult(
        name=line.name,
        settings=line.settings,
        architecture=line.architecture,
        weights=_weights(line),
        missing=missing,
        fallback=line.fallback,
        records=() if missing else tuple(records),
    )
