"""What a network predicts of images: probabilities, how wrong they are, and the scores of a side of a split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from carpet_data.core.progress import Progress, Step
from carpet_data.metrics import Outcome
from carpet_data.networks import Network
from carpet_data.networks.devices import amp as mixed_precision
from carpet_data.networks.devices import memory_guard
from carpet_data.store.runs import Prediction
from carpet_data.training.features import FeatureTable
from carpet_data.training.tables import ImageTable
from carpet_data.training.task_result import ClassifyScores

__all__ = ["Predictions", "of_logits", "predict", "predict_features", "score"]

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Predictions of samples, row by row.

    Attributes:
        truth: int64 (n,), indices of classes.
        probabilities: float64 (n, k); each row sums to 1.
        losses: float64 (n,), cross-entropy of each.
    """

    ids: tuple[str, ...]
    truth: NDArray[np.int64]
    probabilities: F64
    losses: F64

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """int64 (n,): the class of the largest probability, the first of equals."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)

    @property
    def accuracy(self) -> float:
        """The share that is right."""
        return float((self.predicted == self.truth).mean())

    @property
    def loss(self) -> float:
        """Mean cross-entropy."""
        return float(self.losses.mean())

    def worst(self, count: int) -> list[int]:
        """The rows of the largest losses, worst first."""
        order: list[int] = np.argsort(-self.losses, kind="stable")[:count].tolist()
        return order

    def rows(
        self, classes: tuple[str, ...], *, condition: str, partition: str, seed: int, side: str = "test"
    ) -> list[Prediction]:
        """The predictions as run folders keep them."""
        predicted = self.predicted
        return [
            Prediction(
                id=sample_id,
                condition=condition,
                partition=partition,
                seed=seed,
                side=side,
                truth=classes[int(self.truth[i])],
                predicted=classes[int(predicted[i])],
                probabilities=tuple(round(float(p), 6) for p in self.probabilities[i]),
                loss=round(float(self.losses[i]), 6),
            )
            for i, sample_id in enumerate(self.ids)
        ]


def predict(
    network: Network,
    table: ImageTable,
    device: torch.device | None = None,
    *,
    batch_size: int = 64,
    amp: bool = False,
    progress: Progress | None = None,
) -> Predictions:
    """Predict the class of each image.

    The network is moved to the device (None for where it is), and keeps its mode; `amp` is mixed precision on a GPU.

    Raises:
        UsageError: The images are too small for the network.
        DeviceMemoryError: A batch does not fit into memory.
    """
    device = network.head.weight.device if device is None else device
    training = network.training
    network.to(device).eval()
    pieces: list[F64] = []
    try:
        with torch.inference_mode(), memory_guard(batch_size, device, size=table.size), mixed_precision(device, amp):
            for start in range(0, len(table), batch_size):
                logits = network(network.prepare(table.pixels[start : start + batch_size]))
                pieces.append(logits.double().cpu().numpy())
                if progress is not None:
                    progress(Step(min(start + batch_size, len(table)), len(table), "predicting"))
    finally:
        network.train(training)
    logits_all = np.concatenate(pieces) if pieces else np.zeros((0, network.head.out_features))
    return of_logits(logits_all, table.labels, table.ids)


def predict_features(head: nn.Linear, table: FeatureTable) -> Predictions:
    """Predict the class of each image from the features of its plain view."""
    with torch.inference_mode():
        logits = head(torch.from_numpy(np.array(table.values[0])).to(head.weight.device))
    return of_logits(logits.double().cpu().numpy(), table.labels, table.ids)


def of_logits(logits: F64, truth: NDArray[np.int64], ids: tuple[str, ...]) -> Predictions:
    """Predictions from logits, float64 (n, k), and classes, int64 (n,)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    losses = -logs[np.arange(len(truth)), truth]
    return Predictions(tuple(ids), np.asarray(truth, np.int64), np.exp(logs), losses)


def score(table: ImageTable, found: Predictions, *, seed: int) -> ClassifyScores:
    """Score the predictions of a table's images, row by row; the seed is that of the bootstrap.

    Raises:
        DataError: There are no images.
    """
    count = len(table)
    outcome = Outcome.of(
        "train",
        table.classes,
        partitions=["main"] * count,
        seeds=[0] * count,
        samples=table.ids,
        units=table.groups,
        truth=found.truth,
        predicted=found.predicted,
    )
    return ClassifyScores.of(outcome, loss=found.loss, seed=seed)
