"""Draw docs/pictures/donor-paste.png: pastes on the sample carpet, per class three good ones and the worst of eight.

Run from the project's root: python docs/make_paste_picture.py [OUT.png]
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from carpet_data import layout
from carpet_data.images import read, read_values
from carpet_data.verbs.prepare import prepare
from carpet_data.verbs.sample import sample
from carpet_data.verbs.synthesize import synthesize

# Chosen by eye among the eight made: three good ones, then the worst.
CHOSEN = {
    "color": (0, 4, 7, 5),
    "cut": (0, 2, 5, 3),
    "hole": (3, 1, 7, 4),
    "metal_contamination": (0, 5, 7, 3),
    "thread": (1, 3, 6, 5),
}
TILE, TITLE, GAP, LABEL = 190, 26, 6, 22
U8 = NDArray[np.uint8]


def window(image: U8, mask: U8) -> U8:
    """The defect with as much ground around it again."""
    rows, columns = np.nonzero(mask)
    half = int(max(np.ptp(rows), np.ptp(columns)) * 0.8) + 12
    y, x = int(rows.mean()), int(columns.mean())
    y, x = (int(np.clip(v, half, size - half)) for v, size in zip((y, x), mask.shape, strict=True))
    box = np.s_[y - half : y + half, x - half : x + half]
    return cv2.resize(image[box], (TILE, TILE), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def main(out: Path) -> None:
    """Make the data set, paste, and lay the tiles out."""
    with TemporaryDirectory() as folder:
        place = Path(folder)
        sample(place / "carpet", counts={"good": 8, "test-good": 0})
        prepare(place / "carpet", place / "prepared")
        synthesize(place / "prepared", tuple(CHOSEN), 8)
        dataset = layout.read(place / "prepared")
        height = TITLE + len(CHOSEN) * (LABEL + TILE + GAP)
        sheet = Image.new("RGB", (4 * (TILE + GAP) - GAP, height), "white")
        draw = ImageDraw.Draw(sheet)
        font = ImageFont.load_default(15)
        draw.text((0, 4), "three good ones", "black", font)
        draw.text((3 * (TILE + GAP), 4), "the worst of eight", "black", font)
        for row, (class_name, chosen) in enumerate(CHOSEN.items()):
            made = [s for s in dataset.of_class(class_name) if s.origin == "synthetic"]
            top = TITLE + row * (LABEL + TILE + GAP)
            draw.text((0, top + 2), class_name, "black", font)
            for column, number in enumerate(chosen):
                shown = made[number]
                tile = window(read(dataset.path(shown.image)), read_values(dataset.path(str(shown.mask))))
                sheet.paste(Image.fromarray(tile), (column * (TILE + GAP), top + LABEL))
        out.parent.mkdir(parents=True, exist_ok=True)
        sheet.quantize(256, dither=Image.Dither.NONE).save(out, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures" / "donor-paste.png")
