"""What an experiment needs of a kind of model. No torch here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from carpet_data.experiments.conditions import Condition
from carpet_data.experiments.partitions import Partition
from carpet_data.metrics.image_evidence import ImageEvidence
from carpet_data.store.runs import Prediction

__all__ = ["Learner", "Trained"]


@dataclass(frozen=True, slots=True)
class Trained:
    """What one training run showed on the test images.

    Attributes:
        predictions: One per test image.
        evidence: Of the same images; None where the model says nothing of pixels.
        steps: Optimizer steps.
        notes: What the user should know of the run.
        chosen: Settings that were chosen on the training images.
    """

    predictions: tuple[Prediction, ...]
    evidence: tuple[ImageEvidence, ...] | None
    steps: int
    notes: tuple[str, ...] = ()
    chosen: Mapping[str, Any] = field(default_factory=dict)


class Learner(Protocol):
    """A kind of model that is trained under every condition, from the same images."""

    @property
    def name(self) -> str:
        """Such as "classifier"."""
        ...

    @property
    def conditions(self) -> Sequence[Condition]:
        """Those that it takes part in."""
        ...

    def ready(self, partition: Partition) -> None:
        """Compute once what all conditions of a partition share."""
        ...

    def train(self, partition: Partition, condition: Condition, seeds: Sequence[int]) -> Iterator[Trained]:
        """Train once per seed, and test on the images of `partition.held_out("test")`, in their order."""
        ...

    def forget(self, partition: Partition) -> None:
        """Free what no other partition needs."""
        ...
