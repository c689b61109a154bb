"""Draw docs/pictures/sample-carpet.png: for each defect class a sample image beside its mask.

Run from the project's root: python docs/make_sample_picture.py [OUT.png]
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from carpet_data.weave import DEFECTS, render
from carpet_data.weave.image import Rendered, generator

SIZE = 1024
SEED = 0
# The image of each class (its number) that shows the class best, and whose defect fits the crop.
SHOWN = {"color": 0, "cut": 2, "hole": 5, "metal_contamination": 3, "thread": 1}
CROP = 304
TITLE, GAP = 34, 10
TINT = np.array([255.0, 64.0, 32.0])
U8 = NDArray[np.uint8]


def cropped(rendered: Rendered) -> tuple[U8, NDArray[np.bool_]]:
    """The image and mask around the defect, at 100 %."""
    rows, columns = np.nonzero(rendered.mask)
    top, left = (
        int(np.clip((places.min() + places.max()) // 2 - CROP // 2, 0, SIZE - CROP)) for places in (rows, columns)
    )
    window = slice(top, top + CROP), slice(left, left + CROP)
    return rendered.image[window], rendered.mask[window]


def overlaid(image: U8, mask: NDArray[np.bool_]) -> U8:
    """The mask as a translucent tint with its outline."""
    shown = image.astype(np.float64)
    shown[mask] += 0.28 * (TINT - shown[mask])
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1).astype(bool)
    rim = mask & ~cv2.erode(inner.astype(np.uint8), np.ones((2, 2), np.uint8), borderValue=1).astype(bool)
    shown[rim] = TINT
    return np.asarray(np.rint(shown), dtype=np.uint8)


def main() -> None:
    """Draw and write the sheet."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures" / "sample-carpet.png"
    count = len(DEFECTS)
    sheet = np.full((TITLE + 2 * CROP + 3 * GAP, count * CROP + (count + 1) * GAP, 3), 255, dtype=np.uint8)
    for column, class_name in enumerate(DEFECTS):
        rendered = render(class_name, generator(SEED, "test", class_name, SHOWN[class_name], SIZE), SIZE)
        image, mask = cropped(rendered)
        left = GAP + column * (CROP + GAP)
        for row, picture in enumerate((image, overlaid(image, mask))):
            top = TITLE + GAP + row * (CROP + GAP)
            sheet[top : top + CROP, left : left + CROP] = picture
    out.parent.mkdir(parents=True, exist_ok=True)
    page = Image.fromarray(sheet)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=22)
    for column, class_name in enumerate(DEFECTS):
        pen.text((GAP + column * (CROP + GAP), 8), class_name, fill=(30, 30, 30), font=font)
    # A palette is a third of the size of true colour, and on this cloth nobody sees the difference.
    page.quantize(256, kmeans=2, dither=Image.Dither.NONE).save(out, optimize=True)


if __name__ == "__main__":
    main()
