"""The dense head trained on good images with synthetic defects: DRAEM's idea on frozen features."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.core.images import encode_png
from carpet_data.core.progress import Progress, Step
from carpet_data.core.text import reason
from carpet_data.dataset import GOOD, Sample
from carpet_data.errors import WeightsError
from carpet_data.networks import Network, model_folder
from carpet_data.samples import MaskFile
from carpet_data.store.files import write_bytes
from carpet_data.training.anomaly.defects import SyntheticDefects
from carpet_data.training.anomaly.model import CLASSES, reduced
from carpet_data.training.anomaly.options import AnomalyOptions
from carpet_data.training.contract import ImagePrediction, Task
from carpet_data.training.dense.bank import MapBank
from carpet_data.training.dense.fit import fit_dense
from carpet_data.training.dense.instances import detections
from carpet_data.training.dense.model import DenseModel, load_dense, save_dense
from carpet_data.training.dense.options import DenseOptions
from carpet_data.training.truth import ANY_DEFECT

__all__ = ["KIND", "SyntheticModel", "fit_synthetic", "load_synthetic", "save_synthetic"]

U8 = NDArray[np.uint8]
KIND = "synthetic"
_FEWEST_DEFECTS, _MOST_DEFECTS = 60, 200
_LARGEST_RECALL = 0.9999


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticModel:
    """A dense model that has seen synthetic defects only, on images reduced to `size`."""

    dense: DenseModel
    size: int
    notes: tuple[str, ...] = ()
    task: Task = "anomaly"
    classes: tuple[str, ...] = CLASSES

    def predict(self, images: Sequence[U8]) -> list[ImagePrediction]:
        """See `Predictor.predict`.

        Raises:
            DataError: An image is empty, or of another shape or type.
            DeviceMemoryError: They do not fit into memory.
        """
        found = self.dense.predict([reduced(image, self.size) for image in images])
        return [_enlarged(each, image.shape[0], image.shape[1]) for each, image in zip(found, images, strict=True)]


def fit_synthetic(
    network: Network,
    samples: Sequence[Sample],
    options: AnomalyOptions,
    device: torch.device,
    progress: Progress | None = None,
) -> SyntheticModel:
    """Make synthetic defects on good images and train the dense head on both.

    Its calibration and its threshold are cross-fitted: each image is judged by a head that saw neither its group nor
    defects on it.

    Raises:
        ImageError: An image is missing or damaged.
        DataError: No synthetic defect can be made on an image.
        UsageError: The network has no such strides.
        DeviceMemoryError: An image does not fit into memory.
    """
    images = [reduced(sample.image(), options.size) for sample in samples]
    chosen = DenseOptions(
        scale=1.0,
        strides=options.used_strides,
        views=options.views_of(len(samples)),
        folds=options.folds,
        good_recall=min(1 - options.false_alarms, _LARGEST_RECALL),
        seed=options.seed,
        device=options.device,
    ).settled()
    with _written(images, samples, options, progress) as made:
        bank = MapBank(network, device, workers=1, progress=progress)
        head = fit_dense(bank, made, CLASSES, chosen, progress=progress)
    count = len(made) - len(samples)
    note = f"trained on {count} synthetic defects ({options.defects}), which look like no real one"
    return SyntheticModel(DenseModel(network, head, device=device), options.size, (note, *head.notes))


def save_synthetic(model: SyntheticModel, folder: Path, *, extra: Mapping[str, Any] | None = None) -> None:
    """Write a model; each file appears whole, a model in the folder is replaced."""
    about = {"size": model.size, "notes": list(model.notes)}
    save_dense(model.dense.network, model.dense.head, folder, extra={**(extra or {}), "anomaly": about})
    path = folder / model_folder.MODEL_JSON
    known = {**json.loads(path.read_text(encoding="utf-8")), "kind": KIND}
    write_bytes(path, (json.dumps(known, ensure_ascii=False, indent=2) + "\n").encode())


def load_synthetic(folder: Path, device: str) -> SyntheticModel:
    """The model in a model folder: what `MODELS` calls.

    Raises:
        WeightsError: The model is damaged.
        UsageError: The device is unknown.
    """
    dense = load_dense(folder, device)
    try:
        about = model_folder.describe(folder)["anomaly"]
        return SyntheticModel(dense, int(about["size"]), tuple(str(note) for note in about["notes"]))
    except (KeyError, TypeError, ValueError) as error:
        where = folder / model_folder.MODEL_JSON
        raise WeightsError(
            f"invalid anomaly model ({reason(error)})", where=where, hint="train the model again"
        ) from error


def _enlarged(found: ImagePrediction, height: int, width: int) -> ImagePrediction:
    """A prediction of a reduced image as one of the whole."""
    if found.heat is None or found.heat.shape == (height, width):
        return found
    heat = np.asarray(cv2.resize(found.heat, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    instances, labels = detections(heat, np.ones((1, height, width), np.float32), CLASSES)
    return replace(found, heat=heat, labels=labels, detections=instances)


@contextmanager
def _written(
    images: Sequence[U8], samples: Sequence[Sample], options: AnomalyOptions, progress: Progress | None
) -> Iterator[list[Sample]]:
    """Good images and those with synthetic defects as samples in a temporary folder.

    A defect belongs to the group of the image that it is on.
    """
    drawn = SyntheticDefects(images, options.defects, options.seed)
    total = min(max(_FEWEST_DEFECTS, len(images)), _MOST_DEFECTS)
    with tempfile.TemporaryDirectory(prefix="carpet-data-") as name:
        root = Path(name)
        made = []
        for row, (image, sample) in enumerate(zip(images, samples, strict=True)):
            group = sample.group or sample.id
            made.append(_sample(root, f"good_{row}", GOOD, image, None, group))
            # As evenly as can be: n images get k or k + 1 defects each.
            for number in range(row * total // len(images), (row + 1) * total // len(images)):
                changed, mask = drawn.draw(row, number)
                made.append(_sample(root, f"defect_{number}", ANY_DEFECT, changed, mask, group))
            if progress is not None:
                progress(Step(row + 1, len(images), "making synthetic defects"))
        yield made


def _sample(root: Path, name: str, class_name: str, image: U8, mask: NDArray[np.bool_] | None, group: str) -> Sample:
    write_bytes(root / f"{name}.png", encode_png(image, level=1))
    if mask is not None:
        write_bytes(root / f"{name}_mask.png", encode_png(mask.astype(np.uint8) * 255, level=1))
    return Sample(
        id=name,
        image_path=f"{name}.png",
        class_name=class_name,
        width=image.shape[1],
        height=image.shape[0],
        annotation=None if mask is None else MaskFile(f"{name}_mask.png"),
        group=group,
        root=root,
    )
