"""Fit the learned recipes to the sample carpet and draw docs/pictures/learned.png, beside donor-paste; none chosen.

Run from the project's root: python docs/make_learned_pictures.py [--steps 500] [--work FOLDER]. With the recipes' own
steps it takes about 35 minutes on 2 cores; in a work folder that is kept, finished fits are used again.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import carpet_data
from carpet_data import store
from carpet_data.core.images import read, read_values
from carpet_data.dataset import Dataset, Sample

CLASSES = ("color", "cut", "hole", "metal_contamination", "thread")
PLAIN, LEARNED = "donor-paste", ("ddpm-inpaint", "gan")
REAL, MADE = 2, 2
TILE, TITLE, GAP, MOST = 128, 24, 6, 6
U8 = NDArray[np.uint8]


def window(dataset: Dataset, shown: Sample) -> U8:
    """The defect with as much ground around it again."""
    image, mask = read(dataset.path(shown.image_path)), read_values(dataset.path(str(shown.mask_path)))
    rows, columns = np.nonzero(mask)
    half = int(max(np.ptp(rows), np.ptp(columns)) * 0.8) + 12
    half = min(half, mask.shape[0] // 2, mask.shape[1] // 2)
    y, x = (int(np.clip(v.mean(), half, size - half)) for v, size in zip((rows, columns), mask.shape, strict=True))
    box = np.s_[y - half : y + half, x - half : x + half]
    return cv2.resize(image[box], (TILE, TILE), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def recipe_of(name: str, steps: int | None, work: Path) -> str:
    """The shipped recipe, or one that differs in its steps alone."""
    if name == PLAIN or steps is None:
        return name
    path = work / f"{name}.yaml"
    path.write_text(f"extends: {name}\nparameters:\n  fit:\n    steps: {steps}\n")
    return str(path)


def made_by(root: Path, name: str, class_name: str, recipe: str) -> list[Sample]:
    """The first images of a class by a recipe; none where it finds no draw that its gates let pass."""
    try:
        carpet_data.synthesize(root, (class_name,), MADE, recipe=recipe if recipe == name else Path(recipe))
    except carpet_data.DataError as error:
        logging.warning("%s by %s: %s", class_name, name, error)
        return []
    found = [
        sample
        for sample in store.read(root).of_class(class_name)
        if sample.provenance is not None and sample.provenance["method"] == name
    ]
    return sorted(found, key=lambda sample: sample.id)[:MADE]


def main(work: Path, steps: int | None) -> None:
    """Make the data set, fit, synthesize, and lay the tiles out."""
    root = work / "prepared"
    if not root.is_dir():
        carpet_data.sample(work / "carpet", counts={**dict.fromkeys(CLASSES, MOST), "good": 12, "test-good": 0})
        carpet_data.prepare(work / "carpet", root, carpet_data.SplitOptions(fractions=(0.5, 0.5)))
    columns: list[tuple[str, dict[str, list[Sample]]]] = []
    train = [sample for sample in store.read(root).on_side("train", "main") if sample.origin == "real"]
    columns.append(("real", {name: [s for s in train if s.class_name == name][:REAL] for name in CLASSES}))
    for name in (PLAIN, *LEARNED):
        recipe = recipe_of(name, steps, work)
        if name in LEARNED:
            fitted = carpet_data.fit(root, recipe=recipe if recipe == name else Path(recipe))
            logging.warning(fitted.text())
        columns.append((name, {each: made_by(root, name, each, recipe) for each in CLASSES}))
    draw(store.read(root), columns)


def draw(dataset: Dataset, columns: list[tuple[str, dict[str, list[Sample]]]]) -> None:
    """Rows of classes, columns of recipes."""
    across = (TILE + 2) * MADE + GAP
    sheet = Image.new("RGB", (len(columns) * across - GAP, TITLE + len(CLASSES) * (TILE + GAP)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for number, (title, of_class) in enumerate(columns):
        pen.text((number * across, 3), title, "black", font)
        for row, name in enumerate(CLASSES):
            for place, shown in enumerate(of_class[name]):
                corner = (number * across + place * (TILE + 2), TITLE + row * (TILE + GAP))
                sheet.paste(Image.fromarray(window(dataset, shown)), corner)
    out = Path(__file__).parent / "pictures" / "learned.png"
    sheet.quantize(256, dither=Image.Dither.NONE).save(out, optimize=True)


if __name__ == "__main__":  # workers import this module again
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, help="of each fit, instead of what its recipe says")
    parser.add_argument("--work", type=Path, help="kept; else a temporary folder")
    given = parser.parse_args()
    if given.work is None:
        with TemporaryDirectory() as scratch:
            main(Path(scratch), given.steps)
    else:
        given.work.mkdir(parents=True, exist_ok=True)
        main(given.work, given.steps)
