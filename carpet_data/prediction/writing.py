"""What `predict` writes, image by image: a line, and the pictures that were asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from carpet_data.core.colors import of_classes
from carpet_data.core.images import encode_png
from carpet_data.dataset import GOOD
from carpet_data.errors import CarpetDataError
from carpet_data.prediction.engine import Predicted
from carpet_data.prediction.inputs import ImageFile
from carpet_data.prediction.names import ERRORS, HEAT_MAPS, IMAGES, MASKS, OVERLAYS, PREDICTIONS
from carpet_data.prediction.options import PredictOptions
from carpet_data.prediction.overlays import SURE, draw_overlay
from carpet_data.prediction.records import line_of
from carpet_data.store.files import place, write_bytes
from carpet_data.store.json_files import to_line
from carpet_data.store.names import component

__all__ = ["Writer"]

_LEVELS = {8: (np.uint8, 255), 16: (np.uint16, 65535)}


class Writer:
    """Appends predictions to a folder; a line is written once the pictures of its image are there.

    Args:
        folder: It must exist.
        classes: The model's.
        options: Which pictures to write.
        number: Id of the last image that is already there.
        taken: Names of images that are already there.

    Attributes:
        counts: class -> images written by this writer.
    """

    def __init__(
        self, folder: Path, classes: tuple[str, ...], options: PredictOptions, *, number: int = 0, taken: set[str]
    ) -> None:
        self._folder = folder
        self._options = options
        self._colors = of_classes(tuple(dict.fromkeys((GOOD, *classes))))
        self._number = number
        self._taken = taken
        self.counts: dict[str, int] = {}

    def add(self, each: Predicted, state: tuple[int, int] | None = None) -> None:
        """Write one predicted image; `state` is kept in its line."""
        prediction, image = each.prediction, each.image
        assert prediction is not None
        assert image is not None
        self._number += 1
        name = self._free_name(each.file)
        more: dict[str, Any] = {"files": self._pictures(each, component(name))}
        if each.file.sample_id is not None:
            more["sample"] = each.file.sample_id
        if state is not None:
            more["state"] = list(state)
        line = line_of(
            prediction,
            number=self._number,
            image=str(each.file.path),
            name=name,
            size=(image.shape[1], image.shape[0]),
            more=more,
        )
        self._append(PREDICTIONS, line)
        self.counts[prediction.class_name] = self.counts.get(prediction.class_name, 0) + 1

    def add_error(self, file: ImageFile, error: CarpetDataError, state: tuple[int, int] | None = None) -> None:
        """Write down that an image cannot be read."""
        kept = {} if state is None else {"state": list(state)}
        self._append(ERRORS, {"image": str(file.path), **error.to_json(), **kept})

    def _append(self, name: str, values: dict[str, Any]) -> None:
        with (self._folder / name).open("ab") as file:
            file.write(to_line(values))

    def _free_name(self, file: ImageFile) -> str:
        """The name of an image; folders that were named may hold images of the same name."""
        name, count = file.name, 1
        while name in self._taken:
            count += 1
            name = f"{file.name} ({count})"
        self._taken.add(name)
        return name

    def _pictures(self, each: Predicted, name: str) -> dict[str, str]:
        options, prediction, image = self._options, each.prediction, each.image
        assert prediction is not None
        assert image is not None
        found: dict[str, str] = {}
        if options.overlays:
            found["overlay"] = f"{OVERLAYS}/{name}.png"
            threshold = SURE if options.threshold is None else options.threshold
            drawn = draw_overlay(image, prediction, self._colors, threshold=threshold)
            write_bytes(self._folder / found["overlay"], encode_png(drawn))
        if options.heat_maps and prediction.heat is not None:
            found["heat_map"] = f"{HEAT_MAPS}/{name}.png"
            kind, most = _LEVELS[options.heat_bits]
            levels = np.rint(np.clip(prediction.heat, 0, 1).astype(np.float64) * most).astype(kind)
            write_bytes(self._folder / found["heat_map"], encode_png(levels))
        if options.masks and prediction.labels is not None:
            found["mask"] = f"{MASKS}/{name}.png"
            write_bytes(self._folder / found["mask"], encode_png(prediction.labels))
        if options.copy_images:
            found["copy"] = (
                f"{IMAGES}/{name}{each.file.path.suffix if not name.endswith(each.file.path.suffix) else ''}"
            )
            place(each.file.path, self._folder / found["copy"])
        return found
