"""A map of the data set: features of a network, each image's nearest real one, and how unusual it is."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import Sample
from carpet_data.errors import CarpetDataError
from carpet_data.fiftyone.content import MaskJob
from carpet_data.fiftyone.fields import ID

__all__ = ["add", "nearest_real"]

F32 = NDArray[np.float32]

_BRAIN_KEY = "map"
_SIDE_PX = 224
_BATCH = 32
_ROWS = 512
_MAP_IMAGES = 3
"""Minimum number of images to draw a map of."""


def add(
    dataset: Any, jobs: Sequence[MaskJob], progress: Progress | None = None
) -> tuple[str, tuple[CarpetDataError, ...]]:
    """Compute the features of all images and write the map, uniqueness and nearest real images.

    The map is UMAP where the package umap-learn is installed, else the two principal components. Nothing is downloaded.

    Returns:
        The network's name, and the problems of images that could not be read.

    Raises:
        MissingExtraError: torch is not installed.
    """
    network, values, read, problems = _features(jobs, progress)
    if len(read) < _MAP_IMAGES:
        return network, problems
    brain: Any = importlib.import_module("fiftyone.brain")
    ours: dict[str, str] = dict(zip(*dataset.values([ID, "id"]), strict=True))
    by_sample = {ours[sample.id]: values[number] for number, sample in enumerate(read)}
    view = dataset.select(list(by_sample))
    matrix = np.stack([by_sample[one] for one in view.values("id")])
    if _BRAIN_KEY in dataset.list_brain_runs():
        dataset.delete_brain_run(_BRAIN_KEY)
    method = "umap" if importlib.util.find_spec("umap") is not None else "pca"
    brain.compute_visualization(view, embeddings=matrix, method=method, brain_key=_BRAIN_KEY, seed=51, progress=False)
    brain.compute_uniqueness(view, uniqueness_field="uniqueness", embeddings=matrix, progress=False)
    near, distance = nearest_real(values, read)
    found = [(read[number].id, other, number) for number, other in enumerate(near.tolist()) if other >= 0]
    nearest = {sample_id: read[other].id for sample_id, other, _ in found}
    distances = {sample_id: float(distance[number]) for sample_id, _, number in found}
    dataset.set_values("nearest_real", nearest, key_field=ID, progress=False)
    dataset.set_values("nearest_distance", distances, key_field=ID, progress=False)
    return network, problems


def _features(
    jobs: Sequence[MaskJob], progress: Progress | None
) -> tuple[str, F32, list[Sample], tuple[CarpetDataError, ...]]:
    """By the best network that is available locally: its name, features, samples, and problems.

    The features are float32 (n, d) of length 1 each, of the n samples that could be read.
    """
    networks: Any = importlib.import_module("carpet_data.networks")
    torch: Any = importlib.import_module("torch")
    weights = networks.choose(download=False)
    # Means and maxima: in means alone a small defect vanishes in a large cloth.
    network = networks.build(weights, classes=1, seed=0, pooling="mean+max").eval()
    problems: list[CarpetDataError] = []
    read: list[Sample] = []
    rows: list[F32] = []
    with torch.inference_mode():
        for start in range(0, len(jobs), _BATCH):
            batch = [(job.sample, _pixels(job.image)) for job in jobs[start : start + _BATCH]]
            good = [(sample, found) for sample, found in batch if isinstance(found, np.ndarray)]
            problems += [found for _, found in batch if isinstance(found, CarpetDataError)]
            if good:
                made = network.features(network.prepare(np.stack([found for _, found in good])))
                rows.append(torch.nn.functional.normalize(made, dim=1).numpy().astype(np.float32))
                read += [sample for sample, _ in good]
            if progress is not None:
                progress(Step(min(start + _BATCH, len(jobs)), len(jobs), "computing features"))
    values = np.concatenate(rows) if rows else np.zeros((0, network.feature_size), np.float32)
    return f"{weights.architecture} ({weights.name})", values, read, tuple(problems)


def _pixels(path: Path) -> NDArray[np.uint8] | CarpetDataError:
    """The image as uint8 (224, 224, 3), or why it cannot be read."""
    import cv2

    from carpet_data.core.images import read

    try:
        pixels = read(path)
    except CarpetDataError as error:
        return error
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    return np.asarray(cv2.resize(pixels, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA), np.uint8)


def nearest_real(values: F32, samples: Sequence[Sample]) -> tuple[NDArray[np.int64], F32]:
    """The nearest real image of each image, by cosine distance.

    An image is not its own neighbor, nor is the host of a synthetic image, which it resembles anyway.

    Args:
        values: float32 (n, d), each of length 1.
        samples: The n samples.

    Returns:
        int64 (n,), the index of the nearest real image, -1 where there is none; float32 (n,), the distance, 0 … 2.
    """
    real = np.array([number for number, sample in enumerate(samples) if sample.origin == "real"], np.int64)
    near = np.full(len(samples), -1, np.int64)
    distance = np.full(len(samples), np.nan, np.float32)
    if not len(real):
        return near, distance
    column = {samples[number].id: place for place, number in enumerate(real.tolist())}
    for start in range(0, len(samples), _ROWS):
        block = values[start : start + _ROWS] @ values[real].T
        for row, sample in enumerate(samples[start : start + _ROWS]):
            for other in (sample.id, (sample.provenance or {}).get("host")):
                if other in column:
                    block[row, column[other]] = -np.inf
        best = block.argmax(axis=1)
        top = block[np.arange(len(block)), best]
        found = np.isfinite(top)
        piece = slice(start, start + len(block))
        near[piece] = np.where(found, real[best], -1)
        distance[piece] = np.where(found, np.clip(1 - top, 0, 2), np.nan)
    return near, distance
