"""The anomaly model: a scorer and its thresholds as a `Predictor`, and its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.core.text import reason
from carpet_data.dataset import GOOD
from carpet_data.errors import CarpetDataError, WeightsError
from carpet_data.networks import Network, devices, load_model, model_folder, state_dicts
from carpet_data.networks.feature_maps import FeatureMaps
from carpet_data.training.anomaly.autoencoder import Autoencoder
from carpet_data.training.anomaly.cells import F32
from carpet_data.training.anomaly.scorers import CELL_MODELS, MapScorer, Scorer
from carpet_data.training.anomaly.threshold import Scale
from carpet_data.training.contract import ImagePrediction, Task
from carpet_data.training.dense.bank import resized
from carpet_data.training.dense.instances import detections
from carpet_data.training.truth import ANY_DEFECT
from carpet_data.version import __version__

__all__ = ["CLASSES", "AnomalyModel", "load_anomaly", "reduced", "save_anomaly"]

U8 = NDArray[np.uint8]
CLASSES = (GOOD, ANY_DEFECT)
_PREFIX = "anomaly."
_AGAIN = "train the model again"


@dataclass(frozen=True, slots=True, eq=False)
class AnomalyModel:
    """What knows good images only.

    Attributes:
        name: Of the model, such as "patchcore".
        scorer: Gives scores in units of its own.
        size: Longest side to which larger images are reduced.
        image: Scale of the scores of images.
        pixel: Scale of the scores of cells: 0.5 is where the largest of a good image seldom lies.
        notes: What was said of the thresholds.
    """

    name: str
    scorer: Scorer
    size: int
    image: Scale
    pixel: Scale
    notes: tuple[str, ...] = ()
    task: Task = "anomaly"
    classes: tuple[str, ...] = CLASSES

    def predict(self, images: Sequence[U8]) -> list[ImagePrediction]:
        """See `Predictor.predict`.

        Raises:
            DataError: An image is empty, or of another shape or type.
            DeviceMemoryError: They do not fit into memory.
        """
        scored = self.scorer.score([reduced(image, self.size) for image in images])
        return [
            self._prediction(cells, score, image.shape[0], image.shape[1])
            for (cells, score), image in zip(scored, images, strict=True)
        ]

    def _prediction(self, cells: F32, score: float, height: int, width: int) -> ImagePrediction:
        anomaly = float(self.image(score))
        raw = cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR)
        heat = self.pixel(raw).astype(np.float32)
        found, labels = detections(heat, np.ones((1, height, width), np.float32), CLASSES)
        return ImagePrediction(
            class_name=CLASSES[int(anomaly >= 0.5)],
            probabilities={GOOD: 1 - anomaly, ANY_DEFECT: anomaly},
            anomaly=anomaly,
            heat=heat,
            labels=labels,
            detections=found,
        )


def reduced(image: U8, size: int) -> U8:
    """An image whose longest side is at most `size` pixels; smaller ones stay as they are."""
    return resized(image, min(1.0, size / max(image.shape[:2])))


def save_anomaly(
    model: AnomalyModel,
    network: Network | None,
    folder: Path,
    *,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a model; each file appears whole, a model in the folder is replaced.

    The network is the one whose maps it takes, None for the autoencoder; `extra` is more for model.json.
    """
    state = {f"{_PREFIX}{name}": value for name, value in model.scorer.state().items()}
    described = {
        **(extra or {}),
        "kind": model.name,
        "anomaly": {
            "size": model.size,
            "layers": list(model.scorer.maps.layers) if isinstance(model.scorer, MapScorer) else [],
            "image": asdict(model.image),
            "pixel": asdict(model.pixel),
            "notes": list(model.notes),
        },
    }
    if network is not None:
        state |= {f"body.{name}": value for name, value in network.body.state_dict().items()}
        model_folder.write_model(network, state, folder, CLASSES, extra=described)
        return
    about = {**described, "schema": 1, "version": __version__, "classes": list(CLASSES)}
    model_folder.write_files(state, about, folder)


def load_anomaly(folder: Path, device: str) -> AnomalyModel:
    """The model in a model folder: what `MODELS` calls.

    Raises:
        WeightsError: The model is damaged.
        UsageError: The device is unknown.
    """
    weights, place = folder / model_folder.MODEL_WEIGHTS, folder / model_folder.MODEL_JSON
    where = devices.resolve(device)
    if not weights.is_file():
        raise WeightsError("the weights of the model are missing", where=weights, hint=_AGAIN)
    try:
        known = json.loads(place.read_bytes())
        network = None if known["kind"] == Autoencoder.name else load_model(folder)[0]
        return _restored(network, known, state_dicts.read(weights), where)
    except CarpetDataError:
        raise
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"the anomaly model cannot be read ({reason(error)})", where=place, hint=_AGAIN) from error


def _restored(
    network: Network | None, known: Mapping[str, Any], state: Mapping[str, torch.Tensor], device: torch.device
) -> AnomalyModel:
    said, name = known["anomaly"], str(known["kind"])
    arrays = {key.removeprefix(_PREFIX): value for key, value in state.items() if key.startswith(_PREFIX)}
    if not all(bool(torch.isfinite(value).all()) for value in arrays.values()):
        raise ValueError("a number of the model is not finite")
    size = int(said["size"])
    scorer: Scorer
    if network is None:
        scorer = Autoencoder.restore(arrays, device)
    else:
        maps = FeatureMaps(network, layers=[str(name) for name in said["layers"]], device=device)
        scorer = MapScorer(maps, CELL_MODELS[name](arrays))
    image, pixel = (Scale(float(said[each]["threshold"]), float(said[each]["power"])) for each in ("image", "pixel"))
    model = AnomalyModel(name, scorer, size, image, pixel, tuple(str(note) for note in said["notes"]))
    # Features of another network would not fit: found out here, not by the first image.
    model.predict([np.zeros((32, 32, 3), np.uint8)])
    return model
