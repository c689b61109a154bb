"""Where a network looked, one grey picture an image, as other programs can lay it over the image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.core.images import encode_png
from carpet_data.core.progress import Progress, Step
from carpet_data.networks import Network
from carpet_data.store.files import write_bytes
from carpet_data.store.names import component
from carpet_data.training import gradcam
from carpet_data.training.evaluate import Predictions
from carpet_data.training.tables import ImageTable

__all__ = ["mistakes_first", "write_heatmaps"]

_BATCH = 16


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

    Args:
        folder: Gets `{id}.png` of each: 8-bit grey, of the table's size, 0 where nothing speaks for the class, 255 at
            the image's strongest place.
        network: That made the predictions.
        table: The images, row by row those of the predictions.
        predictions: Of the network.
        count: How many images at most; 0 for none.
        device: Where to compute; None for where the network is.
        progress: Told (done, total) in images.

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
