"""What `predict` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from carpet_data.core.results import Result
from carpet_data.core.text import counted, printable
from carpet_data.errors import CarpetDataError

__all__ = ["PredictResult"]

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class PredictResult(Result):
    """Predictions of a model, and where they are.

    Attributes:
        out: The folder: predictions.jsonl, coco_instances.json, coco_results.json, and the pictures asked for.
        model: The model folder.
        task: What the model was trained for.
        classes: The model's.
        images: Number of images predicted.
        predicted: class -> number of images predicted as it.
        detections: Number of detections, whatever their score.
        errors: One for each file that could not be read; `where` is the file.
        notes: What the user should know.
    """

    out: Path
    model: Path
    task: str
    classes: tuple[str, ...]
    images: int
    predicted: Mapping[str, int]
    detections: int
    errors: tuple[CarpetDataError, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 where a file could not be read, else 0."""
        return 1 if self.errors else 0

    def text(self) -> str:
        """The result for people."""
        counts = ", ".join(f"{printable(name)} {count}" for name, count in self.predicted.items())
        found = f"; {counted(self.detections, 'detection')}" if self.detections else ""
        lines = [f"{counted(self.images, 'image')}" + (f": {counts}{found}" if counts else "")]
        lines += [f"note: {printable(note)}" for note in self.notes]
        if self.errors:
            lines.append(f"{counted(len(self.errors), 'file')} could not be read (errors.jsonl lists all):")
            lines += [f"  {printable(str(each.where))}: {printable(each.what)}" for each in self.errors[:_SHOWN]]
        return "\n".join([*lines, f"out {self.out}"])
