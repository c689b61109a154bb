"""Train a network on images, all of it or from a stage on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.core.progress import Progress
from carpet_data.core.seeds import generator
from carpet_data.dataset import GOOD
from carpet_data.networks import Network, devices
from carpet_data.networks.checkpoints import Keeper
from carpet_data.training import losses, mixing
from carpet_data.training.course import Course
from carpet_data.training.evaluate import predict
from carpet_data.training.options import TrainOptions
from carpet_data.training.sampling import Shares, order
from carpet_data.training.tables import ImageTable
from carpet_data.training.views import augment

__all__ = ["fit_network"]

_AHEAD = 2
"""Batches that are made while the network works on another."""


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
    options: TrainOptions,
    *,
    device: torch.device,
    keeper: Keeper | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Course:
    """Train a network on images.

    The network is changed in place; afterwards it is on the device, in eval mode, with the best epoch's weights.
    Validation images choose the best epoch; None takes the last. The keeper writes a checkpoint after each epoch, None
    none; with `resume` the training resumes from it, if there is one.

    Raises:
        UsageError: The network has no such stage to freeze, or the images are too small for it.
        DataError: The training diverges, or the checkpoint belongs to another one.
        DeviceMemoryError: A batch does not fit into memory.
    """
    network.check_size(train.size, train.size)
    network.to(device).freeze(options.freeze)
    shares = Shares.of(options, train.classes, train.origins)
    loss_of = losses.make(options.loss, torch.from_numpy(train.counts()), device)
    course = Course(
        dict(network.state_dict()),
        (each for each in network.parameters() if each.requires_grad),
        options,
        len(train),
        keeper=keeper,
        resume=resume,
        progress=progress,
        scaler=devices.scaler(device, options.amp),
    )
    with devices.deterministic(device), devices.memory_guard(options.batch_size, device, size=train.size), course:
        for epoch in course.epochs():
            chosen = order(train.labels, options.sampling, seed=options.seed, epoch=epoch, shares=shares)
            _train_epoch(network, train, chosen, course, loss_of, options, epoch, device)
            found = None
            if val is not None:
                found = predict(network, val, device, batch_size=options.batch_size, amp=options.amp)
            course.end_epoch(found, len(train.classes))
    course.take_best()
    network.eval()
    return course


def _train_epoch(
    network: Network,
    train: ImageTable,
    chosen: NDArray[np.int64],
    course: Course,
    loss_of: losses.Loss,
    options: TrainOptions,
    epoch: int,
    device: torch.device,
) -> None:
    network.train()
    rng = generator(options.seed, "mix", 0, epoch)
    # Dropout draws from torch's own generator: lent for the epoch, so that it can be done again.
    with devices.seeded(options.seed, epoch, device=device):
        for batch in _prepared(train, course.batches(chosen), options, epoch, pinned=device.type == "cuda"):
            labels = torch.from_numpy(batch.labels).to(device)
            soft = losses.soft_labels(labels, len(train.classes), options.label_smoothing)
            x, soft = _mixed(network.prepare(batch.pixels), soft, batch, options, rng, train.classes)
            with devices.amp(device, options.amp):
                logits = network(x)
            course.step(loss_of(logits, soft), logits, labels)


def _mixed(
    x: torch.Tensor,
    soft: torch.Tensor,
    batch: _Batch,
    options: TrainOptions,
    rng: np.random.Generator,
    classes: Sequence[str],
) -> mixing.Mixed:
    if options.mix == "mixup":
        return mixing.mixup(x, soft, rng, options.mix_alpha)
    if options.mix == "cutmix":
        return mixing.cutmix(x, soft, rng, options.mix_alpha)
    if options.mix == "mask-cutmix":
        assert batch.masks is not None, "made with masks"
        good = classes.index(GOOD) if GOOD in classes else None
        return mixing.mask_cutmix(x, batch.masks, soft, batch.labels, rng, options.mix_alpha, good=good)
    return x, soft


def _prepared(
    table: ImageTable, cut: Sequence[NDArray[np.int64]], options: TrainOptions, epoch: int, *, pinned: bool
) -> Iterator[_Batch]:
    """The batches of an epoch in order, the next ones made in a thread while the caller trains on one.

    OpenCV and numpy let go of the interpreter while they work, so one thread is enough to stay ahead.
    """
    masks_of = table.masks if options.mix == "mask-cutmix" else None

    def make(rows: NDArray[np.int64]) -> _Batch:
        pixels, masks = augment(
            table.pixels[rows],
            None if masks_of is None else masks_of[rows],
            strength=options.augment,
            seed=options.seed,
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
