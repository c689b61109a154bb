"""The three sides of a split as tables of pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from carpet_data.core.progress import Progress, part_of
from carpet_data.dataset import GOOD, Dataset, Sample, Side
from carpet_data.training.options import TrainOptions

if TYPE_CHECKING:
    from carpet_data.training.tables import ImageTable

__all__ = ["Sides", "load_sides"]


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Images to train on, to choose the epoch by, and to score.

    Attributes:
        classes: Of all sides, good first, then sorted.
        train: To train on.
        val: To choose the epoch by; None without val images.
        test: To score.
        notes: What the user should know.
    """

    classes: tuple[str, ...]
    train: ImageTable
    val: ImageTable | None
    test: ImageTable
    notes: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """side -> images, without empty sides."""
        val = {} if self.val is None else {"val": len(self.val)}
        return {"train": len(self.train), **val, "test": len(self.test)}


def load_sides(
    dataset: Dataset,
    samples: Mapping[Side, Sequence[Sample]],
    settings: TrainOptions,
    *,
    skip_faulty: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Sides:
    """Decode and resize the images of all sides.

    Args:
        dataset: Says where the files are.
        samples: Of each side; val may be empty.
        settings: Their size, and whether masks are needed.
        skip_faulty: Leave out what cannot be read, with a note.
        workers: Processes; None for one a core.
        progress: Told (done, total) in images of all sides.

    Raises:
        DataError: An image cannot be read; or none of a side can.
    """
    from carpet_data.training import tables

    everything = [sample for side in ("train", "val", "test") for sample in samples[side]]
    names = {sample.class_name for sample in everything}
    classes = tuple(sorted(names, key=lambda name: (name != GOOD, name)))
    loaded: dict[Side, ImageTable] = {}
    before = 0
    for side in ("train", "val", "test"):
        if not samples[side]:
            continue
        loaded[side] = tables.load(
            dataset,
            samples[side],
            classes,
            size=settings.resize,
            masks=side == "train" and settings.mix == "mask-cutmix",
            workers=workers,
            on_problem="skip" if skip_faulty else "raise",
            progress=part_of(progress, before, len(everything)),
        )
        before += len(samples[side])
    val = loaded.get("val")
    notes = [note for table in loaded.values() for note in table.notes]
    if val is None:
        notes.append("the split has no val side, so the last epoch was taken")
    return Sides(classes, loaded["train"], val, loaded["test"], tuple(notes))
