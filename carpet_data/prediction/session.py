"""A model and a folder of predictions, from the checks before anything is written to the files at the end."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carpet_data.core.progress import Progress, Step
from carpet_data.core.text import shortened
from carpet_data.errors import CarpetDataError, WeightsError
from carpet_data.prediction.inputs import ImageFile
from carpet_data.prediction.names import PREDICTIONS, RUN
from carpet_data.prediction.options import PredictOptions
from carpet_data.prediction.results import PredictResult
from carpet_data.store.files import sha256
from carpet_data.store.json_files import write_json
from carpet_data.version import __version__

if TYPE_CHECKING:
    from carpet_data.prediction.writing import Writer
    from carpet_data.training.contract import Predictor

__all__ = ["Session", "State"]

State = tuple[int, int]
"""Size in bytes and time of change in ns of a file."""
_MODEL_JSON = "model.json"
_PLACES = frozenset({"device", "batch_size"})
"""Options that do not change what is predicted."""


def _model_folder(path: Path) -> Path:
    """The model folder that a path means: itself, or `model` in a run folder.

    Raises:
        WeightsError: There is none.
    """
    for folder in (path, path / "model"):
        if (folder / _MODEL_JSON).is_file():
            return folder
    raise WeightsError("no model (model.json) found", where=path, hint="name a folder that `train` wrote")


@dataclass(eq=False)
class Session:
    """A loaded model with its options, and what came of it so far."""

    folder: Path
    model: Predictor
    options: PredictOptions
    on_cpu: bool
    notes: list[str]
    errors: list[CarpetDataError] = field(default_factory=list)
    images: int = 0
    detections: int = 0

    @classmethod
    def open(cls, path: Path, options: PredictOptions, notes: Iterable[str] = ()) -> Session:
        """Load a model.

        Raises:
            WeightsError: There is no model, or it is damaged.
            UsageError: The device is unknown.
            MissingExtraError: The model needs a package that is not installed.
        """
        folder = _model_folder(path)
        from carpet_data.networks import devices  # names the extra where torch is missing
        from carpet_data.training.classifier import Classifier
        from carpet_data.training.contract import load_predictor

        on_cpu = devices.resolve(options.device).type == "cpu"
        model = load_predictor(folder, device=options.device)
        told = list(notes)
        if isinstance(model, Classifier):
            model.grad_cam = options.heat_maps
            if options.heat_maps:
                told.append(
                    "heat maps of a whole-image classifier are Grad-CAM: where it looked, not where a defect is"
                )
            if options.masks:
                told.append("a whole-image classifier says nothing of pixels, so there are no masks")
        return cls(folder, model, options, on_cpu, told)

    def compare_classes(self, root: Path, classes: Sequence[str]) -> None:
        """Note the classes of a data set that the model cannot name."""
        unknown = [name for name in classes if name not in self.model.classes]
        if unknown and self.model.task != "anomaly":
            names = shortened(", ".join(unknown), 80)
            self.notes.append(f"{root}: the model was not trained on {names}, so it never predicts that")

    def run(
        self,
        files: Iterable[ImageFile],
        writer: Writer,
        *,
        total: int | None,
        states: Mapping[ImageFile, State] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Predict files and write each when it comes, with its state if it has one; errors of files are collected.

        Raises:
            DeviceMemoryError: An image does not fit into memory.
            WeightsError: The model gives no numbers.
        """
        from carpet_data.prediction.engine import predictions

        known = states or {}
        for each in predictions(self.model, files, self.options, on_cpu=self.on_cpu):
            if each.error is not None:
                self.errors.append(each.error)
                writer.add_error(each.file, each.error, known.get(each.file))
            else:
                assert each.prediction is not None
                writer.add(each, known.get(each.file))
                self.images += 1
                self.detections += len(each.prediction.detections)
            if progress is not None:
                progress(Step(self.images + len(self.errors), total, "predicting"))

    def described(self) -> dict[str, Any]:
        """What decides the predictions: the same wherever and however they are computed."""
        digest = hashlib.sha256()
        for path in sorted(self.folder.iterdir()):
            if path.is_file():
                digest.update(f"{path.name} {sha256(path)}\n".encode())
        return {
            "model": str(self.folder.resolve()),
            "model_digest": digest.hexdigest(),
            "task": self.model.task,
            "classes": list(self.model.classes),
            "options": {name: value for name, value in self.options.to_json().items() if name not in _PLACES},
        }

    def begin(self, out: Path) -> None:
        """Write predict.json, and a list of predictions that is still empty."""
        values = {"schema": 1, "version": __version__, "folder": os.fspath(Path.cwd()), **self.described()}
        write_json(out / RUN, values)
        (out / PREDICTIONS).touch()

    def result(self, out: Path, writer: Writer) -> PredictResult:
        """What came of it."""
        order = {name: number for number, name in enumerate(self.model.classes)}
        counts = sorted(writer.counts.items(), key=lambda each: (order.get(each[0], len(order)), each[0]))
        return PredictResult(
            out=out,
            model=self.folder,
            task=self.model.task,
            classes=self.model.classes,
            images=self.images,
            predicted=dict(counts),
            detections=self.detections,
            errors=tuple(self.errors),
            notes=tuple(self.notes),
        )
