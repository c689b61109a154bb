"""Train a network on images, all of it or from a stage on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.core.progress import Progress, Step
from carpet_data.core.seeds import generator
from carpet_data.dataset import GOOD
from carpet_data.networks import Network, devices
from carpet_data.networks.checkpoints import Keeper
from carpet_data.training import losses, mixing, optimizers
from carpet_data.training.evaluate import predict
from carpet_data.training.history import TRAINING, History
from carpet_data.training.options import TrainOptions
from carpet_data.training.progressing import State, Tally, ValFigures, val_figures
from carpet_data.training.sampling import Shares, batches, order, total_steps
from carpet_data.training.tables import ImageTable
from carpet_data.training.views import augment

__all__ = ["NetworkFit", "fit_network"]

_AHEAD = 2
"""Batches that are made while the network works on another."""


@dataclass(frozen=True, eq=False)
class NetworkFit:
    """What a training of a network went through; the network itself holds the best epoch's weights.

    Attributes:
        history: Every epoch.
        best_epoch: From 1; the last one without val images.
        steps: Optimiser steps taken.
    """

    history: History
    best_epoch: int
    steps: int


@dataclass(frozen=True, eq=False)
class _Batch:
    """Images of one step: uint8 (n, s, s, 3), labels int64 (n,), masks uint8 (n, s, s) where mixing asks for them."""

    pixels: torch.Tensor
    labels: NDArray[np.int64]
    masks: NDArray[np.uint8] | None


def fit_network(
    network: Network,
    train: ImageTable,
    val: ImageTable | None,
    settings: TrainOptions,
    *,
    device: torch.device,
    keeper: Keeper | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> NetworkFit:
    """Train a network on images.

    Args:
        network: Changed in place; afterwards on the device, in eval mode, with the best epoch's weights.
        train: The images; with masks for mask-cutmix.
        val: Images that choose the best epoch; None to take the last.
        settings: Of the training.
        device: Where to compute.
        keeper: Of the checkpoint, written after each epoch; None for none.
        resume: Go on from the keeper's checkpoint, if there is one.
        progress: Called after each epoch.

    Raises:
        UsageError: The network has no such stage to freeze, or the images are too small for it.
        DataError: The training diverges, or the checkpoint is of another one.
        DeviceMemoryError: A batch does not fit into memory.
    """
    network.check_size(train.size, train.size)
    network.to(device).freeze(settings.freeze)
    classes, truth = len(train.classes), train.labels
    good = train.classes.index(GOOD) if GOOD in train.classes else None
    shares = Shares.of(settings, train.classes, train.origins)
    loss_of = losses.make(settings.loss, torch.from_numpy(train.counts()), device)
    optimizer = optimizers.make(settings, (each for each in network.parameters() if each.requires_grad))
    scaler = devices.scaler(device, settings.amp)
    weights = dict(network.state_dict())
    steps, epochs = total_steps(len(train), settings)
    state, keeper = State.of(settings), keeper or Keeper(None, {})
    found = keeper.found(resume)
    if found is not None:
        state.restore(found, weights, optimizer)
    of_epoch = len(batches(np.arange(len(train)), settings.batch_size))
    step = min(len(state.history) * of_epoch, steps)
    with devices.deterministic(device), devices.memory_guard(settings.batch_size, device, size=train.size):
        for epoch in range(len(state.history), epochs):
            if state.watch.stops:
                break
            network.train()
            chosen = order(truth, settings.sampling, seed=settings.seed, epoch=epoch, shares=shares)
            cut = batches(chosen, settings.batch_size)[: steps - step]
            rng = generator(settings.seed, "mix", 0, epoch)
            tally, rate = Tally(), settings.learning_rate
            # Dropout draws from torch's own generator: lent for the epoch, so that it can be done again.
            with devices.seeded(settings.seed, epoch, device=device):
                for batch in _prepared(train, cut, settings, epoch=epoch, pinned=device.type == "cuda"):
                    labels = torch.from_numpy(batch.labels).to(device)
                    soft = losses.soft_labels(labels, classes, settings.label_smoothing)
                    x = network.prepare(batch.pixels)
                    x, soft = _mixed(x, soft, batch, settings, rng, good)
                    rate = optimizers.set_rate(optimizer, settings, step, steps)
                    optimizer.zero_grad(set_to_none=True)
                    with devices.amp(device, settings.amp):
                        logits = network(x)
                    loss = loss_of(logits, soft)
                    torch.autograd.backward(scaler.scale(loss))
                    scaler.step(optimizer)
                    scaler.update()
                    tally.add(loss, logits, labels)
                    step += 1
            done = tally.epoch(epoch + 1, rate, _val(network, val, settings, device))
            state.see(done, weights)
            keeper.keep(lambda: state.checkpoint(weights, optimizer))
            if progress is not None:
                progress(Step(epoch + 1, epochs, TRAINING, done.metrics()))
    keeper.flush()
    state.take_best(weights)
    network.eval()
    return NetworkFit(tuple(state.history), state.watch.best_epoch, step)


def _val(network: Network, val: ImageTable | None, settings: TrainOptions, device: torch.device) -> ValFigures:
    if val is None:
        return ValFigures()
    found = predict(network, val, device, batch_size=settings.batch_size, amp=settings.amp)
    return val_figures(found, len(val.classes))


def _mixed(
    x: torch.Tensor,
    soft: torch.Tensor,
    batch: _Batch,
    settings: TrainOptions,
    rng: np.random.Generator,
    good: int | None,
) -> mixing.Mixed:
    if settings.mix == "mixup":
        return mixing.mixup(x, soft, rng, settings.mix_alpha)
    if settings.mix == "cutmix":
        return mixing.cutmix(x, soft, rng, settings.mix_alpha)
    if settings.mix == "mask-cutmix":
        assert batch.masks is not None, "made with masks"
        return mixing.mask_cutmix(x, batch.masks, soft, batch.labels, rng, settings.mix_alpha, good=good)
    return x, soft


def _prepared(
    table: ImageTable, cut: Sequence[NDArray[np.int64]], settings: TrainOptions, *, epoch: int, pinned: bool
) -> Iterator[_Batch]:
    """The batches of an epoch in order, the next ones made in a thread while the caller trains on one.

    OpenCV and numpy let go of the interpreter while they work, so one thread is enough to stay ahead.
    """
    with_masks = settings.mix == "mask-cutmix"
    if with_masks:
        assert table.masks is not None, "the table was loaded with masks"

    def make(rows: NDArray[np.int64]) -> _Batch:
        pixels, masks = augment(
            table.pixels[rows],
            table.masks[rows] if with_masks and table.masks is not None else None,
            strength=settings.augment,
            seed=settings.seed,
            ids=[table.ids[row] for row in rows.tolist()],
            view=epoch + 1,
        )
        tensor = torch.from_numpy(pixels)
        return _Batch(tensor.pin_memory() if pinned else tensor, table.labels[rows], masks)

    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        left = iter(cut)
        waiting: list[Future[_Batch]] = [thread.submit(make, rows) for rows in islice(left, _AHEAD)]
        try:
            while waiting:
                batch = waiting.pop(0).result()
                waiting += [thread.submit(make, rows) for rows in islice(left, 1)]
                yield batch
        finally:
            for each in waiting:
                each.cancel()
