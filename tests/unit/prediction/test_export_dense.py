"""The dense model as a graph and in an ONNX file: the numbers of the model."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from helpers import networks
from numpy.typing import NDArray

from carpet_data.errors import UsageError
from carpet_data.prediction.export_model import export_model
from carpet_data.prediction.onnx_dense import DenseGraph
from carpet_data.training.contract import load_predictor
from carpet_data.training.dense.bank import Resolution
from carpet_data.training.dense.calibration import Calibration
from carpet_data.training.dense.dense_head import DenseHead
from carpet_data.training.dense.head import CellHead, CellHeads
from carpet_data.training.dense.image_term import ImageTerm
from carpet_data.training.dense.model import DenseModel, save_dense

CLASSES = ("good", "hole", "thread")


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float64)
    return np.clip(smooth + random.normal(0, 5, smooth.shape), 0, 255).astype(np.uint8)


def model(
    *,
    scale: float,
    views: int,
    hidden: int = 0,
    smoothing: float = 0.7,
    strides: tuple[int, ...] = (8, 16),
    architecture: str,
) -> DenseModel:
    """A dense model of random numbers, whose values are of the size of a trained one's."""
    network = networks.network(architecture, classes=3, seed=2).eval()
    random = np.random.default_rng(1)
    plain = DenseHead(
        CLASSES, Resolution(scale, strides), views, None, Calibration.plain(3, 0.0), ImageTerm(1, 1, 0, np.zeros(2))
    )
    channels = DenseModel(network, plain, device="cpu").maps.channels
    heads = []
    for width in (channels - 192, channels) if 32 in strides else (channels,):
        sizes = (width, hidden, 3) if hidden else (width, 3)
        layers = tuple(
            (
                torch.from_numpy(random.normal(0, 30 * inner**-0.5, (outer, inner)).astype(np.float32)),
                torch.zeros(outer),
            )
            for inner, outer in pairwise(sizes)
        )
        heads.append(CellHead(layers))
    features = 2 * channels
    term = ImageTerm(
        0.9, 0.8, 0.1, random.normal(0, 0.3, 2), 0.2,
        random.normal(0, 0.01, (3, features)), random.normal(0, 1, features), np.ones(features),
    )  # fmt: skip
    calibration = Calibration(smoothing, 0.8, np.array([0.5, -0.2, 0.1], np.float32), 0.05)
    head = DenseHead(CLASSES, Resolution(scale, strides), views, CellHeads(tuple(heads)), calibration, term)
    found = DenseModel(network, head, device="cpu")
    found.maps.precision = "float32"
    return found


@pytest.mark.parametrize(
    ("scale", "views", "hidden", "size", "tile", "strides"),
    [
        (1.0, 1, 0, (64, 96), None, (8, 16)),
        (1.0, 8, 0, (50, 75), None, (8, 16)),
        (0.5, 2, 6, (131, 90), None, (8, 16)),
        (1.0, 2, 6, (96, 64), None, (8, 16, 32)),
        (1.5, 1, 0, (40, 61), None, (8, 16, 32)),
        (1.0, 2, 0, (300, 600), 256, (8, 16)),
    ],
)
def test_the_graph_follows_the_model(
    scale: float, views: int, hidden: int, size: tuple[int, int], tile: int | None, strides: tuple[int, ...]
) -> None:
    made = model(scale=scale, views=views, hidden=hidden, strides=strides, architecture="shufflenet_v2_x0_5")
    if tile is not None:
        made.maps.tile = tile
        made.maps._margin = 48
    shown = [picture(*size, seed=seed) for seed in (1, 2)]
    with torch.no_grad():
        probabilities, anomaly, heat = DenseGraph(made, *size).eval()(torch.from_numpy(np.stack(shown)))
    for number, found in enumerate(made.predict(shown)):
        assert found.probabilities is not None
        assert found.heat is not None
        assert np.abs(probabilities[number].numpy() - list(found.probabilities.values())).max() < 1e-4
        assert abs(float(anomaly[number]) - found.anomaly) < 1e-4
        assert np.abs(heat[number].numpy() - found.heat).max() < 1e-4
        assert found.heat.std() > 0.01, "the heat map says something"


def test_the_file_says_what_the_model_says(tmp_path: Path) -> None:
    made = model(scale=1.0, views=1, architecture="squeezenet1_1")
    save_dense(made.network, made.head, tmp_path / "model")
    with pytest.raises(UsageError, match="one size"):
        export_model(tmp_path, tmp_path / "x.onnx")
    with pytest.raises(UsageError, match="invalid size"):
        export_model(tmp_path, tmp_path / "x.onnx", height=64)
    done = export_model(tmp_path, tmp_path / "x.onnx", height=64, width=80)
    assert done.inputs == {"images": ("batch", 64, 80, 3)}
    assert done.outputs["heat"] == ("batch", 64, 80)
    assert done.difference < 1e-4
    session = onnxruntime.InferenceSession(str(done.out))
    image = picture(64, 80, seed=9)
    loaded = load_predictor(tmp_path, device="cpu")
    assert isinstance(loaded, DenseModel)
    loaded.maps.precision = "float32"
    (found,) = loaded.predict([image])
    probabilities, anomaly, heat = session.run(None, {"images": image[None]})
    assert np.abs(heat[0] - found.heat).max() < 1e-4
    assert abs(float(anomaly[0]) - found.anomaly) < 1e-4
    assert np.abs(probabilities[0] - list((found.probabilities or {}).values())).max() < 1e-4
