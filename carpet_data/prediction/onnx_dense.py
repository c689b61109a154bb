"""The dense model as a graph for images of one size: heat map, class probabilities and anomaly score."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from carpet_data.networks.map_graph import MapGraph
from carpet_data.prediction.onnx_resize import Enlarge, Normalize, Resize
from carpet_data.training.dense.calibration import _LEAST
from carpet_data.training.dense.cells import moved, scaled_size
from carpet_data.training.dense.image_term import _FLOOR, _TOP_CELLS, _TOP_SHARE
from carpet_data.training.dense.model import DenseModel

__all__ = ["DenseGraph"]


class DenseGraph(nn.Module):
    """uint8 (n, height, width, 3) -> probabilities (n, k), anomaly (n,), heat (n, height, width).

    It follows `DenseModel.predict` step by step. Which instances there are is left to the reader of the heat map.
    """

    def __init__(self, model: DenseModel, height: int, width: int) -> None:
        super().__init__()
        head = model.head
        assert head.cells is not None, "checked before"
        self.size = (height, width)
        self.head, self.cells = head, head.cells
        self.scaled = scaled_size(height, width, head.resolution.scale)
        larger = self.scaled[0] * self.scaled[1] >= height * width
        self.resize = nn.Identity() if self.scaled == self.size else (Enlarge if larger else Resize)(*self.scaled)
        self.normalize = Normalize(model.network.mean, model.network.std)
        sizes = [self.scaled if view % 2 == 0 else self.scaled[::-1] for view in range(head.views)]
        self.maps = nn.ModuleList(MapGraph(model.maps, *size) for size in sizes)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Predict images."""
        plain = isinstance(self.resize, nn.Identity)
        planes = self.normalize(images.permute(0, 3, 1, 2).float() if plain else self.resize(images))
        logits, features = [], []
        for view, graph in enumerate(self.maps):
            maps = graph(_moved(planes, view))
            flat = maps.flatten(2)
            features.append(torch.cat((flat.mean(2), flat.std(2, correction=0)), dim=1).double())
            logits.append(self._aligned(self._cells(maps), view))
        found = self._calibrated(torch.stack(logits).mean(0))
        whole = self._image(found.double().flatten(2), torch.stack(features).mean(0))
        anomaly = torch.sigmoid(whole[:, 1:].amax(1) - whole[:, 0])
        return torch.softmax(whole, dim=1).float(), anomaly.float(), self._heat(found)

    def _cells(self, maps: torch.Tensor) -> torch.Tensor:
        return self.cells.of(maps.flatten(2)).reshape(maps.shape[0], self.cells.classes, *maps.shape[2:])

    def _aligned(self, values: torch.Tensor, view: int) -> torch.Tensor:
        """As `grids.aligned`."""
        if view == 0:
            return values
        if view >= 4:
            values = values.flip(3)
        values = torch.rot90(values, -(view % 4), (2, 3))
        stride = self.head.resolution.stride
        for axis, side in enumerate(self.scaled):
            count = values.shape[2 + axis]
            reverse = bool(moved(np.indices((2, 2))[axis], view)[0, 0])
            places = np.arange(count, dtype=np.float64) + (count - side / stride if reverse else 0.0)
            values = _sampled(values, places, 2 + axis)
        return values

    def _calibrated(self, values: torch.Tensor) -> torch.Tensor:
        """As `Calibration.logits`."""
        calibration = self.head.calibration
        if calibration.smoothing > 0:
            chances = _blurred(torch.softmax(values, dim=1), calibration.smoothing)
            values = torch.log(chances.clamp_min(_LEAST))
        return values / calibration.temperature + torch.from_numpy(calibration.bias)[:, None, None]

    def _image(self, flat: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """As `evidence_of` and `ImageTerm.logits`: float64 (n, k)."""
        term = self.head.image
        against = flat[:, 1:] - flat[:, :1]
        odds = torch.logsumexp(against, dim=1)
        cells = odds.shape[1]
        count = min(cells, max(_TOP_CELLS, round(_TOP_SHARE * cells)))
        level = torch.topk(odds, count, dim=1).values.mean(1, keepdim=True)
        called = odds > self.head.calibration.threshold
        called = called | ~called.any(1, keepdim=True)
        chance = torch.exp(against - functional.softplus(odds)[:, None]) * called[:, None]
        share = chance.sum(2) / chance.sum((1, 2))[:, None]
        sums = torch.logsumexp(against, dim=2) - float(np.log(cells))
        bias = torch.from_numpy(np.asarray(term.bias, np.float64))
        defect = term.level * level + term.types * torch.log(share.clamp_min(_FLOOR)) + term.sums * sums + bias
        logits = torch.cat((torch.full_like(level, term.shift), defect), dim=1)
        if term.weights is not None and term.mean is not None and term.deviation is not None:
            mean, deviation = _double(term.mean), _double(term.deviation)
            logits = logits + ((features - mean) / deviation) @ _double(term.weights).T
        return logits

    def _heat(self, logits: torch.Tensor) -> torch.Tensor:
        """As `DenseHead._fields`: float32 (n, height, width)."""
        resolution = self.head.resolution
        for axis in (0, 1):
            places = (np.arange(self.size[axis]) + 0.5) * resolution.scale / resolution.stride - 0.5
            logits = _sampled(logits, places, 2 + axis)
        odds = torch.logsumexp(logits[:, 1:], dim=1) - logits[:, 0]
        return torch.sigmoid(odds - self.head.calibration.threshold)


def _blurred(values: torch.Tensor, sigma: float) -> torch.Tensor:
    """As `grids.smoothed`, of maps (n, c, h, w)."""
    # The size of OpenCV's kernel for floating-point images.
    size = round(sigma * 8 + 1) | 1
    kernel = torch.from_numpy(cv2.getGaussianKernel(size, sigma, cv2.CV_32F).ravel())
    channels, side = values.shape[1], size // 2
    for shape, pad in (((1, size), (side, side, 0, 0)), ((size, 1), (0, 0, side, side))):
        weights = kernel.view(1, 1, *shape).expand(channels, 1, *shape)
        values = functional.conv2d(functional.pad(values, pad, mode="replicate"), weights, groups=channels)
    return values


def _double(values: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float64))


def _moved(planes: torch.Tensor, view: int) -> torch.Tensor:
    """As `cells.moved`, of images (n, c, h, w)."""
    turned = torch.rot90(planes, view % 4, (2, 3))
    return turned.flip(3) if view >= 4 else turned


def _sampled(values: torch.Tensor, places: NDArray[np.float64], axis: int) -> torch.Tensor:
    """As `grids.sampled` along one axis: bilinear between cells, the same beyond the outermost centers."""
    count = values.shape[axis]
    places = np.clip(places, 0, count - 1)
    first = np.minimum(places.astype(np.int64), max(count - 2, 0))
    second = np.minimum(first + 1, count - 1)
    share = torch.from_numpy((places - first).astype(np.float32))
    share = share.view([-1 if each == axis else 1 for each in range(values.ndim)])
    low = values.index_select(axis, torch.from_numpy(first))
    return low + (values.index_select(axis, torch.from_numpy(second)) - low) * share
