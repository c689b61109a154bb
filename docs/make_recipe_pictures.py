"""Draw docs/pictures/donor-paste.png and recipes.png: three good images of eight on the sample carpet, then the worst.

Run from the project's root: python docs/make_recipe_pictures.py [FOLDER]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from carpet_data import store
from carpet_data.core.images import read, read_values
from carpet_data.dataset import Dataset, Sample
from carpet_data.preparation.prepare import prepare
from carpet_data.synthesis.engine.synthesize import synthesize
from carpet_data.weave.sample import sample

# Chosen by eye among the eight made: three good ones, then the worst.
PASTES = {
    "color": (0, 4, 7, 5),
    "cut": (0, 2, 5, 3),
    "hole": (3, 1, 7, 4),
    "metal_contamination": (0, 5, 7, 3),
    "thread": (1, 3, 6, 5),
}
HOLES = {
    "augment": (0, 3, 5, 6),
    "donor-paste": (3, 1, 7, 4),
    "procedural": (1, 3, 5, 2),
    "perlin": (4, 7, 3, 6),
    "nsa": (0, 4, 6, 3),
    "resynthesis": (0, 3, 7, 4),
}
TILE, TITLE, GAP, LABEL = 190, 26, 6, 22
U8 = NDArray[np.uint8]


def window(dataset: Dataset, made: Sample) -> U8:
    """The defect with as much ground around it again."""
    image, mask = read(dataset.path(made.image_path)), read_values(dataset.path(str(made.mask_path)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats((mask > 0).astype(np.uint8))
    rows, columns = np.nonzero(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()) if count > 1 else mask)
    half = int(max(np.ptp(rows), np.ptp(columns)) * 0.8) + 12
    y, x = (int(np.clip(v.mean(), half, size - half)) for v, size in zip((rows, columns), mask.shape, strict=True))
    box = np.s_[y - half : y + half, x - half : x + half]
    return cv2.resize(image[box], (TILE, TILE), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def draw(out: Path, dataset: Dataset, rows: Mapping[str, tuple[list[Sample], tuple[int, ...]]]) -> None:
    """One row of four tiles for each name."""
    sheet = Image.new("RGB", (4 * (TILE + GAP) - GAP, TITLE + len(rows) * (LABEL + TILE + GAP)), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(15)
    pen.text((0, 4), "three good ones", "black", font)
    pen.text((3 * (TILE + GAP), 4), "the worst of eight", "black", font)
    for row, (name, (made, chosen)) in enumerate(rows.items()):
        top = TITLE + row * (LABEL + TILE + GAP)
        pen.text((0, top + 2), name, "black", font)
        for column, number in enumerate(chosen):
            sheet.paste(Image.fromarray(window(dataset, made[number])), (column * (TILE + GAP), top + LABEL))
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(256, dither=Image.Dither.NONE).save(out, optimize=True)


def main(folder: Path) -> None:
    """Make the data set, synthesize, and lay the tiles out."""
    with TemporaryDirectory() as scratch:
        place = Path(scratch)
        sample(place / "carpet", counts={"good": 8, "test-good": 0})
        prepare(place / "carpet", place / "prepared")
        synthesize(place / "prepared", tuple(PASTES), 8)
        for recipe in HOLES:
            synthesize(place / "prepared", ("hole",), 8, recipe=recipe)
        dataset = store.read(place / "prepared")

        def made(class_name: str, recipe: str) -> list[Sample]:
            return [s for s in dataset.of_class(class_name) if s.id.startswith(f"{class_name}_{recipe}_")]

        pastes = {name: (made(name, "donor-paste"), chosen) for name, chosen in PASTES.items()}
        draw(folder / "donor-paste.png", dataset, pastes)
        draw(folder / "recipes.png", dataset, {name: (made("hole", name), chosen) for name, chosen in HOLES.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures")
