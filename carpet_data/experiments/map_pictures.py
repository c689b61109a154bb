"""Pictures of test images that gained and lost most: image, true mask, and the heat of two conditions, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core.images import read
from carpet_data.dataset import Dataset, Sample
from carpet_data.experiments.comparison import Comparison
from carpet_data.experiments.journal import DENSE
from carpet_data.metrics import weighted
from carpet_data.metrics.pixel_counts import PixelCounts
from carpet_data.reporting.pages import MapPicture
from carpet_data.store import runs
from carpet_data.store.files import write_bytes
from carpet_data.store.names import component

__all__ = ["BASELINE_HEAT", "FOLDER", "write"]

U8 = NDArray[np.uint8]
Box = tuple[int, int, int, int]

FOLDER = "maps"
BASELINE_HEAT = "heatmaps-baseline"
"""Folder of a run: heat maps of the baseline; those of real + synthetic are in `heatmaps`, where browse finds them."""
_SIDE, _GAP = 224, 6
_EACH = 3
"""Pictures of each end."""
_ROOM = 3.0
"""A picture shows this many times the box of the defects, so that one sees where it lies."""


def write(folder: Path, dataset: Dataset, views: Sequence[Comparison], condition: str) -> tuple[MapPicture, ...]:
    """Write the pictures of a condition against the baseline into a run folder; none without a dense head.

    The images are those whose own pixel AP, averaged over seeds and partitions, rose and fell most.
    """
    view = next((each for each in views if (each.learner, each.task) == (DENSE, "segment")), None)
    if view is None:
        return ()
    before, after = _by_image(view, view.baseline), _by_image(view, condition)
    samples = {sample.id: sample for sample in dataset}
    gains = sorted(((after[key] - before[key], key) for key in before if key in after), reverse=True)
    chosen = gains[:_EACH] + gains[max(_EACH, len(gains) - _EACH) :]
    found = []
    for number, (_, key) in enumerate(chosen):
        heats = [_heat(folder / place, key) for place in (BASELINE_HEAT, runs.HEATMAPS)]
        if heats[0] is None or heats[1] is None:
            continue
        file = f"{FOLDER}/{number:02d}.jpg"
        strip = _strip(samples[key], heats[0], heats[1])
        (folder / FOLDER).mkdir(exist_ok=True)
        write_bytes(folder / file, cv2.imencode(".jpg", strip[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes())
        caption = f"{key} ({samples[key].class_name}): pixel AP of the image {before[key]:.2f} → {after[key]:.2f}"
        found.append(MapPicture(file, caption))
    return tuple(found)


def _by_image(view: Comparison, condition: str) -> dict[str, float]:
    """Sample id -> pixel AP of its own pixels, averaged over the training runs; defects with a mask only."""
    found: dict[str, list[float]] = {}
    for training in view.trainings:
        if training.learner == DENSE and training.condition == condition and training.evidence is not None:
            for row, image in zip(training.predictions, training.evidence, strict=True):
                if image.components and image.pixels is not None:
                    found.setdefault(row.id, []).append(_own_ap(image.counts()))
    return {key: sum(values) / len(values) for key, values in found.items()}


def _own_ap(counts: PixelCounts) -> float:
    """Pixel AP of one image."""
    single = np.nextafter(counts.low, np.float32(np.inf)) == counts.top
    return float(weighted.average_precision(counts.table[:1], counts.table[1:2], single)[0])


def _heat(folder: Path, sample_id: str) -> U8 | None:
    path = folder / f"{component(sample_id)}.png"
    return read(path) if path.is_file() else None


def _strip(sample: Sample, before: U8, after: U8) -> U8:
    """uint8 RGB: the four panels around the defects."""
    assert sample.root is not None, "a data set sets it"
    image, mask = read(sample.root / sample.image_path), sample.mask()
    image = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
    box = _around(mask)
    truth = _outlined(_cut(image, box), _cut(mask.astype(np.uint8) * 255, box))
    panels = [_cut(image, box), truth]
    for heat in (before, after):
        whole = np.asarray(cv2.resize(heat, (sample.width, sample.height), interpolation=cv2.INTER_LINEAR), np.uint8)
        panels.append(np.asarray(cv2.applyColorMap(_cut(whole, box), cv2.COLORMAP_INFERNO)[..., ::-1], np.uint8))
    gap = np.full((_SIDE, _GAP, 3), 255, np.uint8)
    row = [part for panel in panels for part in (gap, panel)][1:]
    strip: U8 = np.concatenate(row, axis=1)
    return strip


def _around(mask: NDArray[np.bool_]) -> Box:
    """x, y, width and height of a square around the defects with room on all sides; at most the whole image."""
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = int(min(max(_ROOM * extent, 64, max(height, width) / 6), max(height, width)))
    across, down = min(side, width), min(side, height)
    x = int(np.clip((columns[0] + columns[-1]) / 2 - across / 2, 0, width - across))
    y = int(np.clip((rows[0] + rows[-1]) / 2 - down / 2, 0, height - down))
    return x, y, across, down


def _cut(picture: U8, box: Box) -> U8:
    """A part of a picture as a square panel, gray around it where it is no square."""
    x, y, width, height = box
    part = picture[y : y + height, x : x + width]
    share = _SIDE / max(width, height)
    size = max(1, round(width * share)), max(1, round(height * share))
    resized = cv2.resize(part, size, interpolation=cv2.INTER_AREA if share < 1 else cv2.INTER_NEAREST)
    panel = np.full((_SIDE, _SIDE, *picture.shape[2:]), 0 if picture.ndim == 2 else 235, np.uint8)
    top, left = (_SIDE - size[1]) // 2, (_SIDE - size[0]) // 2
    panel[top : top + size[1], left : left + size[0]] = resized
    return panel


def _outlined(panel: U8, mask: U8) -> U8:
    """The panel with the true defects tinted and outlined, legible on light and dark."""
    shown: U8 = np.ascontiguousarray(panel).copy()
    edges, _ = cv2.findContours((mask > 127).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(shown, edges, -1, (255, 255, 255), 3)
    cv2.drawContours(shown, edges, -1, (220, 40, 60), 1)
    return shown
