"""Train the autoencoder on good images, and set its thresholds by those that were held out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from carpet_data.core.progress import Progress
from carpet_data.dataset import Sample
from carpet_data.training.anomaly.autoencoder import Autoencoder
from carpet_data.training.anomaly.defects import SyntheticDefects
from carpet_data.training.anomaly.held_out import collected, scales_of
from carpet_data.training.anomaly.model import AnomalyModel, reduced
from carpet_data.training.anomaly.options import AnomalyOptions
from carpet_data.training.dense.crossfit import folds_of

__all__ = ["fit_autoencoder"]

U8 = NDArray[np.uint8]


def fit_autoencoder(
    samples: Sequence[Sample], options: AnomalyOptions, device: torch.device, progress: Progress | None = None
) -> AnomalyModel:
    """Train on the good images of all folds but one, whose scores set the thresholds.

    Training once more for each fold would take as often as long. With images of one group, each is cut in two, and
    the right half is held out.

    Raises:
        ImageError: An image is missing or damaged.
        DataError: The training diverged.
        DeviceMemoryError: A batch does not fit into memory.
    """
    images = [reduced(sample.image(), options.size) for sample in samples]
    folds = folds_of(samples, options.folds, seed=options.seed)
    notes: list[str] = []
    if folds:
        held = list(folds[0].held_out)
        learned = [images[row] for row in np.flatnonzero(folds[0].train).tolist()]
        kept = [images[row] for row in held]
        notes.append(f"{len(held)} of {len(images)} good images were held out for the threshold and not trained on")
    else:
        middles = [max(image.shape[1] // 2, 1) for image in images]
        learned = [image[:, :middle] for image, middle in zip(images, middles, strict=True)]
        kept = [
            image[:, middle:] if image.shape[1] > 1 else image for image, middle in zip(images, middles, strict=True)
        ]
        notes.append(
            "the good images are of one group: the threshold was found on their right halves, which were not trained"
            " on, and may be too low for another image"
        )
    turned = options.views_of(len(samples)) > 1
    model = Autoencoder.fit(
        learned, steps=options.steps, seed=options.seed, device=device, turned=turned, progress=progress
    )
    good = model.score(kept)
    bad = model.score(_with_defects(kept, options)) if options.threshold == "synthetic" else []
    scores = collected(good, bad, tuple(notes))
    image, pixel, said = scales_of(scores, options)
    return AnomalyModel(Autoencoder.name, model, options.size, image, pixel, said)


def _with_defects(images: Sequence[U8], options: AnomalyOptions) -> list[U8]:
    drawn = SyntheticDefects(images, options.defects, options.seed)
    return [drawn.draw(row, row)[0] for row in range(len(images))]
