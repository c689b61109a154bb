"""Draw docs/pictures/procedural.png: the procedural kinds on images of the sample carpet and on a plain surface.

Run from the project's root: python docs/make_procedural_picture.py [OUT.png]
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from carpet_data.synthesis.contract import Facts, Scene
from carpet_data.synthesis.methods.procedural import Procedural, ProceduralParameters
from carpet_data.weave.image import generator, render
from carpet_data.weave.noise import smooth_field, streaks

SIZE, CROP = 1024, 300
WOVEN = {"color": 1, "cut": 3, "hole": 2, "metal_contamination": 1, "thread": 2}
PLAIN = {"scratch": 2, "abrasion": 2, "crack": 1, "spot": 3, "stain": 5}
TITLE, GAP = 30, 8
U8 = NDArray[np.uint8]


def brushed() -> U8:
    """A grey brushed surface."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    lines = 5 * streaks(rng, y, x, 160, 1.6) + 6 * smooth_field(rng, (SIZE, SIZE), 240)
    grain = rng.normal(0, 2, (SIZE, SIZE))
    return np.clip(cv2.GaussianBlur(128 + lines + grain, (0, 0), 0.6), 0, 255).astype(np.uint8)


def drawn(kind: str, host: U8, seed: int) -> U8:
    """One defect at 100 %, its mask as an outline below."""
    scene = Scene(host, None, (), (), Facts(kind, (), (), (), 0.0, is_object=False))
    extent = None if kind in WOVEN else ((0.05, 0.06) if kind == "spot" else (0.15, 0.2))
    rng = np.random.default_rng(seed)
    made = Procedural().render(scene, ProceduralParameters(kind=kind, extent_frac_range=extent), rng)
    rows, columns = np.nonzero(made.mask)
    top, left = (int(np.clip((v.min() + v.max()) // 2 - CROP // 2, 0, SIZE - CROP)) for v in (rows, columns))
    window = slice(top, top + CROP), slice(left, left + CROP)
    image = made.image[window]
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    outlined = image.copy()
    lines, _ = cv2.findContours(made.mask[window].astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(outlined, lines, -1, (255, 64, 32), 1)
    return np.concatenate([image, np.full((4, CROP, 3), 255, np.uint8), outlined])


def main(out: Path) -> None:
    """Draw the picture."""
    cloth = render("good", generator(0, "train", "good", 3, SIZE), SIZE).clean
    plain = brushed()
    rows = [[(kind, drawn(kind, host, seed)) for kind, seed in kinds.items()]
            for kinds, host in ((WOVEN, cloth), (PLAIN, plain))]  # fmt: skip
    height = rows[0][0][1].shape[0] + TITLE
    sheet = Image.new("RGB", (5 * CROP + 6 * GAP, 2 * height + 3 * GAP), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(18)
    for line, row in enumerate(rows):
        for column, (kind, tile) in enumerate(row):
            x, y = GAP + column * (CROP + GAP), GAP + line * (height + GAP)
            pen.text((x, y + 4), kind, fill="black", font=font)
            sheet.paste(Image.fromarray(tile), (x, y + TITLE))
    # A palette of 256 colours is all that this carpet needs, and a third of the bytes.
    sheet.quantize(256, dither=Image.Dither.NONE).save(out, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures" / "procedural.png")
