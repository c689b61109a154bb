"""Images through a model, one after the other: decoded ahead, predicted, never more than a few in memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from carpet_data.core import images
from carpet_data.dataset import GOOD
from carpet_data.errors import CarpetDataError, DeviceMemoryError, ImageError, WeightsError
from carpet_data.prediction.inputs import ImageFile, not_regular
from carpet_data.prediction.options import PredictOptions
from carpet_data.tiling.grid import windows
from carpet_data.tiling.stitch import Stitcher
from carpet_data.training.contract import Detection, ImagePrediction, Predictor

__all__ = ["Predicted", "decided", "predictions", "read_image"]

U8 = NDArray[np.uint8]
_AHEAD = 2
"""Images that are decoded while one is predicted."""
_DEFECT = "defect"


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """One image and what the model says of it, or why it could not be read."""

    file: ImageFile
    image: U8 | None = None
    prediction: ImagePrediction | None = None
    error: CarpetDataError | None = None


def predictions(
    model: Predictor, files: Iterable[ImageFile], options: PredictOptions, *, on_cpu: bool
) -> Iterator[Predicted]:
    """What a model says of each image, in the order of the files.

    On a CPU every image passes the model by itself, so that its numbers do not depend on its neighbors: grouping would
    gain little there and change last bits. A GPU takes `batch_size` images at a time.

    Raises:
        DeviceMemoryError: The images do not fit into memory.
        WeightsError: The model gives no numbers.
    """
    together = 1 if on_cpu else options.batch_size
    batch: list[Predicted] = []
    for read in _decoded(files, max(together, _AHEAD)):
        batch.append(read)
        if len(batch) == together:
            yield from _predicted(model, batch, options, together)
            batch = []
    yield from _predicted(model, batch, options, together)


def read_image(path: Path) -> U8:
    """The pixels of an image file; a FIFO or a device is refused rather than waited for.

    Raises:
        ImageError: It cannot be read.
    """
    why = not_regular(path)
    if why is not None:
        raise ImageError(why, where=path, hint="name an image file")
    return images.read(path)


def _decoded(files: Iterable[ImageFile], ahead: int) -> Iterator[Predicted]:
    with ThreadPoolExecutor(max_workers=min(ahead, 4)) as pool:
        waiting: deque[Future[Predicted]] = deque()
        try:
            for file in files:
                waiting.append(pool.submit(_read, file))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _read(file: ImageFile) -> Predicted:
    try:
        return Predicted(file, image=read_image(file.path))
    except CarpetDataError as error:
        return Predicted(file, error=error)


def _predicted(
    model: Predictor, batch: Sequence[Predicted], options: PredictOptions, together: int
) -> Iterator[Predicted]:
    shown = [each.image for each in batch if each.image is not None]
    try:
        if options.tile is None:
            found = iter(model.predict(shown) if shown else [])
        else:
            found = iter([_tiled(model, image, options.tile, options.overlap, together) for image in shown])
    except DeviceMemoryError as error:
        raise _full(error, options, together) from error
    for each in batch:
        if each.image is None:
            yield each
            continue
        prediction = next(found)
        _check(prediction, model.classes)
        yield replace(each, prediction=decided(prediction, options.threshold))


def _full(error: DeviceMemoryError, options: PredictOptions, together: int) -> DeviceMemoryError:
    if together > 1:
        hint = f"use --batch-size {together // 2}"
    elif options.tile is None:
        hint = "cut the images into tiles (--tile 512 --overlap 64)"
    else:
        hint = f"use smaller tiles (--tile {max(options.tile // 2, 32)}), or --device cpu"
    return DeviceMemoryError(error.what, where=error.where, hint=hint)


def _check(prediction: ImagePrediction, classes: Sequence[str]) -> None:
    """Refuse what no file could hold: NaN, and detections of classes that the model does not list."""
    numbers = [prediction.anomaly, *(prediction.probabilities or {}).values()]
    numbers += [detection.score for detection in prediction.detections]
    heat = prediction.heat
    if not all(map(math.isfinite, numbers)) or (heat is not None and not np.isfinite(heat).all()):
        raise WeightsError("the model gives values that are not numbers (NaN)", hint="train the model again")
    unknown = next((each.class_name for each in prediction.detections if each.class_name not in classes), None)
    if unknown is not None:
        raise WeightsError(f"the model detects {unknown!r}, which is none of its classes", hint="train the model again")


def _tiled(model: Predictor, image: U8, size: int, overlap: int, together: int) -> ImagePrediction:
    """The prediction of an image from those of its tiles: class and score are those of the most anomalous tile."""
    height, width = image.shape[:2]
    stitcher: Stitcher[Detection] = Stitcher(height, width)
    worst: ImagePrediction | None = None
    places = list(windows(height, width, size=size, overlap=overlap))
    for first in range(0, len(places), together):
        group = places[first : first + together]
        found = model.predict([np.ascontiguousarray(image[place.slices]) for place in group])
        for place, each in zip(group, found, strict=True):
            stitcher.add(place, heat=each.heat, labels=each.labels, detections=each.detections)
            if worst is None or each.anomaly > worst.anomaly:
                worst = each
    assert worst is not None, "an image has at least one tile"
    whole = stitcher.result()
    return replace(worst, heat=whole.heat, labels=whole.labels, detections=whole.detections)


def decided(prediction: ImagePrediction, threshold: float | None) -> ImagePrediction:
    """A prediction under another threshold: which class the image has, and which detections count.

    An image is good where its anomaly score is below the threshold, else it has the most probable defect class.

    Examples:
        >>> found = ImagePrediction("good", {"good": 0.7, "hole": 0.3}, anomaly=0.3)
        >>> decided(found, 0.25).class_name
        'hole'
    """
    if threshold is None:
        return prediction
    kept = tuple(each for each in prediction.detections if each.score >= threshold)
    if prediction.anomaly < threshold:
        return replace(prediction, class_name=GOOD, detections=kept)
    name = prediction.class_name
    if name == GOOD:
        defects = {each: p for each, p in (prediction.probabilities or {}).items() if each != GOOD}
        name = max(defects, key=lambda each: defects[each]) if defects else kept[0].class_name if kept else _DEFECT
    return replace(prediction, class_name=name, detections=kept)
