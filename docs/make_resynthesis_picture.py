"""Draw docs/pictures/resynthesis.png: donors of the sample carpet, instances made from them, and a clean plate.

Run from the project's root: python docs/make_resynthesis_picture.py [OUT.png]
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from carpet_data.synthesis.contract import Donor, Facts, Redraw, Scene
from carpet_data.synthesis.engine.train_images import clean_plate
from carpet_data.synthesis.methods.resynthesis import Resynthesis, ResynthesisParameters
from carpet_data.synthesis.ops.masks import mask_box, window_of
from carpet_data.weave.image import Rendered, generator, render

SIZE, CROP = 640, 168
CLASSES = ("hole", "cut", "color", "thread", "metal_contamination")
TITLE, GAP = 24, 6
U8 = NDArray[np.uint8]


def carpet(class_name: str, k: int) -> Rendered:
    """One image of the sample carpet."""
    return render(class_name, generator(0, "train", class_name, k, SIZE), SIZE)


def donor(shown: Rendered, k: int) -> Donor:
    """The defect and its collar."""
    _, _, width, height = mask_box(shown.mask)
    cut = rows, columns = window_of(shown.mask, max(24, max(width, height) // 4))
    box = (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
    return Donor(str(k), shown.image[cut], shown.mask[cut], box, (SIZE, SIZE))


def window(image: U8, mask: NDArray[np.bool_]) -> U8:
    """The part of the image around the defect, at 100 %."""
    rows, columns = np.nonzero(mask)
    top, left = (int(np.clip((v.min() + v.max()) // 2 - CROP // 2, 0, SIZE - CROP)) for v in (rows, columns))
    return image[top : top + CROP, left : left + CROP]


def row(class_name: str) -> list[U8]:
    """Two donors, a plate of the second, three instances."""
    shown = [carpet(class_name, k) for k in range(3)]
    donors = tuple(donor(one, k) for k, one in enumerate(shown))
    facts = Facts(class_name, tuple(float(one.mask.mean()) for one in shown), (1,) * 3, ((0.5, 0.5),) * 3, 0.0, False)
    plate = clean_plate(shown[1].image, shown[1].mask, np.random.default_rng(0))
    tiles = [window(one.image, one.mask) for one in shown[:2]] + [window(plate, shown[1].mask)]
    seed = 0
    while len(tiles) < 6:
        lead = len(tiles) % 3
        scene = Scene(carpet("good", lead).image, None, donors[lead:] + donors[:lead], (), facts)
        seed += 1
        try:
            made = Resynthesis().render(scene, ResynthesisParameters(), np.random.default_rng(seed))
        except Redraw:
            continue
        tiles.append(window(made.image, made.mask))
    return tiles


def main(out: Path) -> None:
    """Draw the picture."""
    titles = ("donor", "donor", "its clean plate", "new", "new", "new")
    sheet = Image.new("RGB", (6 * CROP + 7 * GAP, TITLE + len(CLASSES) * (CROP + GAP)), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(16)
    for column, title in enumerate(titles):
        pen.text((GAP + column * (CROP + GAP), 3), title, fill="black", font=font)
    for line, class_name in enumerate(CLASSES):
        for column, tile in enumerate(row(class_name)):
            sheet.paste(Image.fromarray(tile), (GAP + column * (CROP + GAP), TITLE + line * (CROP + GAP)))
    # A palette of 256 colours is all that this carpet needs, and a third of the bytes.
    sheet.quantize(256, dither=Image.Dither.NONE).save(out, optimize=True)


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures/resynthesis.png"))
