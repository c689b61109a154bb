"""Pictures of where a network looked: gray heat maps for other programs, and the worst images beside their heat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.core import sheets
from carpet_data.core.images import encode_png
from carpet_data.core.progress import Progress, Step
from carpet_data.networks import Network
from carpet_data.store.files import write_bytes
from carpet_data.store.names import component
from carpet_data.training import gradcam
from carpet_data.training.evaluate import Predictions
from carpet_data.training.tables import ImageTable

__all__ = ["mistakes_first", "panel", "write_heatmaps", "write_worst"]

U8 = NDArray[np.uint8]

_BATCH = 16
_TILE, _ACROSS = 224, 3
_RIGHT, _WRONG = (130, 210, 130), (255, 140, 120)


def write_heatmaps(
    folder: Path,
    network: Network,
    table: ImageTable,
    predictions: Predictions,
    *,
    count: int = 200,
    device: torch.device | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write Grad-CAM (Selvaraju et al., ICCV 2017) of the class that was predicted, for mistakes first.

    The folder gets `{id}.png` of each: 8-bit gray, of the table's size, 0 where nothing speaks for the class, 255 at
    the image's strongest place. The table's images are row by row those of the predictions, which the network made.
    `count` is the maximum number of images, 0 for none; a device of None is where the network is.

    Returns:
        The files, in the order of `mistakes_first`.

    Raises:
        DeviceMemoryError: A batch does not fit into memory.
    """
    assert table.ids == predictions.ids, "the predictions are of these images"
    rows = mistakes_first(predictions)[:count]
    predicted = predictions.predicted
    files: list[Path] = []
    # A batch at a time, so that memory does not grow with the count.
    for start in range(0, len(rows), _BATCH):
        some = rows[start : start + _BATCH]
        pixels = np.ascontiguousarray(table.pixels[some])
        warmth = gradcam.heat(network, pixels, predicted[some], device=device, batch_size=_BATCH)
        for row, values in zip(some, warmth, strict=True):
            file = folder / f"{component(table.ids[row])}.png"
            write_bytes(file, encode_png(np.rint(values * 255).astype(np.uint8)))
            files.append(file)
        if progress is not None:
            progress(Step(len(files), len(rows), "drawing heat maps"))
    return files


def mistakes_first(predictions: Predictions) -> NDArray[np.int64]:
    """int64 (n,): the rows, those that are wrong before those that are right, each with the largest loss first."""
    wrong = predictions.predicted != predictions.truth
    return np.lexsort((-predictions.losses, ~wrong)).astype(np.int64)


def write_worst(
    folder: Path,
    network: Network,
    table: ImageTable,
    predictions: Predictions,
    *,
    count: int = 12,
    device: torch.device | None = None,
    sheet_path: Path | None = None,
) -> list[Path]:
    """Write the images of the largest losses, worst first: the image, and Grad-CAM of the class that was predicted.

    The table's images are row by row those of the predictions. The folder gets `{id}.png` of each, and `sheet_path` a
    PNG that shows them all. Returns the files of the images, worst first.
    """
    assert table.ids == predictions.ids, "the predictions are of these images"
    rows = predictions.worst(count)
    if not rows:
        return []
    predicted = predictions.predicted
    pixels = np.ascontiguousarray(table.pixels[rows])
    warmth = gradcam.heat(network, pixels, predicted[rows], device=device)
    panels, files = [], []
    for place, row in enumerate(rows):
        truth, named = table.classes[int(predictions.truth[row])], table.classes[int(predicted[row])]
        share = float(predictions.probabilities[row, predicted[row]])
        drawn = panel(pixels[place], warmth[place], table.ids[row], truth, named, share)
        file = folder / f"{component(table.ids[row])}.png"
        write_bytes(file, encode_png(drawn))
        panels.append(drawn)
        files.append(file)
    if sheet_path is not None:
        write_bytes(sheet_path, encode_png(sheets.sheet(panels, across=_ACROSS)))
    return files


def panel(pixels: U8, warmth: NDArray[np.float32], title: str, truth: str, predicted: str, probability: float) -> U8:
    """One image beside its heat, under its name and its prediction.

    `pixels` are uint8 (s, s, 3) RGB, `warmth` float32 (s, s) in [0, 1]. The prediction is green where it is right, else
    red. Returns uint8 HxWx3 RGB.
    """
    shown = cv2.resize(pixels, (_TILE, _TILE), interpolation=_how(pixels)).astype(np.uint8)
    warm = cv2.resize(warmth, (_TILE, _TILE), interpolation=_how(warmth)).astype(np.float32)
    verdict = f"is {truth}, predicted {predicted} ({probability:.0%})"
    lines = (title, (verdict, _RIGHT if truth == predicted else _WRONG))
    return sheets.panel(lines, [shown, gradcam.overlay(shown, warm)])


def _how(array: NDArray[Any]) -> int:
    return cv2.INTER_AREA if array.shape[0] > _TILE else cv2.INTER_LINEAR
