"""Draw the pictures of the README and the docs: `python docs/gallery.py [NAME ...] [--out FOLDER]`.

Names: sample-carpet, donor-paste, recipes, resynthesis, procedural, data-path; without a name all of them. `learned` is
drawn only when it is named: it fits the learned recipes first, which takes about half an hour on two cores. Run it from
the root of the project.
"""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import carpet_data as cd
from carpet_data.synthesis.contract import Donor, Facts, Redraw, Scene
from carpet_data.synthesis.methods.procedural import Procedural, ProceduralParameters
from carpet_data.synthesis.methods.resynthesis import Resynthesis, ResynthesisParameters
from carpet_data.synthesis.plates.making import make_plate
from carpet_data.weave import DEFECTS
from carpet_data.weave.image import Rendered, generator, render
from carpet_data.weave.noise import smooth_field, streaks

U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Row = tuple[Sequence[str], Sequence[U8]]
"""Labels above the first tiles, and the tiles."""

PICTURES = Path(__file__).parent / "pictures"
GAP, LABEL = 8, 28
OUTLINE = (255, 64, 32)
CLASSES = ("color", "cut", "hole", "metal_contamination", "thread")

# Chosen by eye among eight images: three good ones, then the worst.
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
    "resynthesis": (1, 0, 7, 2),
}


# --- laying out


def sheet(rows: Sequence[Row], titles: Sequence[str] = ()) -> Image.Image:
    """Rows of equally large tiles, with their labels above them and titles above the columns."""
    size = rows[0][1][0].shape[0]
    width = max(len(tiles) for _, tiles in rows) * (size + GAP) + GAP
    top = LABEL if titles else GAP
    height = top + sum(size + GAP + (LABEL if labels else 0) for labels, _ in rows)
    page = Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(17)
    for column, title in enumerate(titles):
        pen.text((GAP + column * (size + GAP), 5), title, "black", font)
    y = top
    for labels, tiles in rows:
        for column, label in enumerate(labels):
            pen.text((GAP + column * (size + GAP), y + 4), label, "black", font)
        y += LABEL if labels else 0
        for column, tile in enumerate(tiles):
            page.paste(Image.fromarray(tile), (GAP + column * (size + GAP), y))
        y += size + GAP
    return page


def around(image: U8, mask: Mask, size: int, *, zoom: bool = True) -> U8:
    """The defect with as much background around it again, as a tile; at 100 % without `zoom`."""
    ys, xs = np.nonzero(mask)
    half = int(max(np.ptp(ys), np.ptp(xs)) * 0.8) + 12 if zoom else size // 2
    half = min(half, *(side // 2 for side in mask.shape))
    y, x = (
        int(np.clip((v.min() + v.max()) // 2, half, side - half)) for v, side in zip((ys, xs), mask.shape, strict=True)
    )
    return cv2.resize(
        in_color(image[y - half : y + half, x - half : x + half]), (size, size), interpolation=cv2.INTER_AREA
    )  # type: ignore[return-value]


def in_color(image: U8) -> U8:
    """An image of three channels."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def outlined(image: U8, mask: Mask) -> U8:
    """The mask drawn over the image: a translucent tint with its outline."""
    shown = in_color(image).astype(np.float32)
    shown[mask] += 0.28 * (np.array(OUTLINE, np.float32) - shown[mask])
    shown = np.rint(shown).astype(np.uint8)
    lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(shown, lines, -1, OUTLINE, 2)
    return shown


def largest(mask: Mask) -> Mask:
    """The largest part of a mask."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    return labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()) if count > 1 else mask


def of_recipe(dataset: cd.Dataset, class_name: str, recipe: str) -> list[U8]:
    """Tiles of the images of a class that a recipe made, in the order of their numbers."""
    made = [s for s in dataset.of_class(class_name) if (s.provenance or {}).get("method") == recipe]
    return [around(s.image(), largest(s.mask()), 190) for s in sorted(made, key=lambda s: s.id)]


# --- the pictures


def sample_carpet() -> Image.Image:
    """Each class of the sample carpet, above its mask."""
    shown = {"color": 0, "cut": 2, "hole": 5, "metal_contamination": 3, "thread": 1}
    images = [woven("test", name, shown[name], 1024) for name in DEFECTS]
    plain = [around(each.image, each.mask, 304, zoom=False) for each in images]
    marked = [around(outlined(each.image, each.mask), each.mask, 304, zoom=False) for each in images]
    return sheet([((), plain), ((), marked)], tuple(DEFECTS))


def woven(side: str, class_name: str, k: int, size: int) -> Rendered:
    """One image of the sample carpet."""
    return render(class_name, generator(0, side, class_name, k, size), size)


def made_by_recipes(work: Path) -> cd.Dataset:
    """The sample carpet with eight images of each class by donor-paste, and eight holes by each other recipe."""
    ready = work / "ready"
    if not ready.is_dir():
        cd.sample(work / "carpet", counts={"good": 8, "test-good": 0})
        cd.prepare(work / "carpet", ready)
        cd.synthesize(ready, CLASSES, n=8)
        for recipe in HOLES:
            cd.synthesize(ready, ["hole"], n=8, recipe=recipe)
    return cd.read(ready)


def donor_paste(work: Path) -> Image.Image:
    """Every class by donor-paste."""
    dataset = made_by_recipes(work)
    rows = [((name,), [of_recipe(dataset, name, "donor-paste")[k] for k in chosen]) for name, chosen in PASTES.items()]
    return sheet(rows, ("three good ones", "", "", "the worst of eight"))


def recipes(work: Path) -> Image.Image:
    """Holes by every recipe that needs no fit."""
    dataset = made_by_recipes(work)
    rows = [((name,), [of_recipe(dataset, "hole", name)[k] for k in chosen]) for name, chosen in HOLES.items()]
    return sheet(rows, ("three good ones", "", "", "the worst of eight"))


def resynthesis() -> Image.Image:
    """Two donors, the background of the second without its defect, and three new defects of each class."""
    rows: list[Row] = []
    for name in CLASSES:
        shown = [woven("train", name, k, 640) for k in range(3)]
        donors = tuple(cut_out(each, str(k)) for k, each in enumerate(shown))
        facts = Facts(name, tuple(float(s.mask.mean()) for s in shown), (1,) * 3, ((0.5, 0.5),) * 3, 0.0, False)
        background = make_plate(shown[1].image, shown[1].mask, (), np.random.default_rng(0), is_object=False).image
        tiles = [around(s.image, s.mask, 168, zoom=False) for s in shown[:2]]
        tiles.append(around(background, shown[1].mask, 168, zoom=False))
        seed = 0
        while len(tiles) < 6:
            lead = len(tiles) % 3
            host = woven("train", "good", lead, 640).image
            scene = Scene(host, None, donors[lead:] + donors[:lead], (), facts)
            seed += 1
            try:
                made = Resynthesis().render(scene, ResynthesisParameters(), np.random.default_rng(seed))
            except Redraw:
                continue
            tiles.append(around(made.image, made.mask, 168, zoom=False))
        rows.append(((name,), tiles))
    return sheet(rows, ("donor", "donor", "background", "new", "new", "new"))


def cut_out(shown: Rendered, name: str) -> Donor:
    """A defect with some of its surroundings."""
    ys, xs = np.nonzero(shown.mask)
    border = max(24, max(np.ptp(ys), np.ptp(xs)) // 4)
    y0, x0 = max(0, ys.min() - border), max(0, xs.min() - border)
    y1, x1 = min(640, ys.max() + 1 + border), min(640, xs.max() + 1 + border)
    cut = np.s_[y0:y1, x0:x1]
    return Donor(name, shown.image[cut], shown.mask[cut], (x0, y0, x1 - x0, y1 - y0), (640, 640))


def procedural() -> Image.Image:
    """The kinds that need no donor, on cloth and on brushed metal, each above its mask."""
    cloth = render("good", generator(0, "train", "good", 3, 1024), 1024).clean
    rows: list[Row] = []
    for kinds, host in (
        ({"color": 1, "cut": 3, "hole": 2, "metal_contamination": 1, "thread": 2}, cloth),
        ({"scratch": 2, "abrasion": 2, "crack": 1, "spot": 3, "stain": 5}, brushed_metal(1024)),
    ):
        made = {kind: drawn(kind, host, seed, on_cloth=host is cloth) for kind, seed in kinds.items()}
        rows.append((tuple(kinds), [around(image, mask, 300, zoom=False) for image, mask in made.values()]))
        rows.append(((), [around(outlined(image, mask), mask, 300, zoom=False) for image, mask in made.values()]))
    return sheet(rows)


def brushed_metal(size: int) -> U8:
    """A gray brushed surface."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    lines = 5 * streaks(rng, y, x, 160, 1.6) + 6 * smooth_field(rng, (size, size), 240)
    return np.clip(cv2.GaussianBlur(128 + lines + rng.normal(0, 2, (size, size)), (0, 0), 0.6), 0, 255).astype(np.uint8)


def drawn(kind: str, host: U8, seed: int, *, on_cloth: bool) -> tuple[U8, Mask]:
    """One procedural defect and its mask."""
    extent = None if on_cloth else ((0.05, 0.06) if kind == "spot" else (0.15, 0.2))
    scene = Scene(host, None, (), (), Facts(kind, (), (), (), 0.0, is_object=False))
    parameters = ProceduralParameters(kind=kind, extent_frac_range=extent)
    made = Procedural().render(scene, parameters, np.random.default_rng(seed))
    return made.image, made.mask


def learned(work: Path, steps: int | None) -> Image.Image:
    """Real crops beside images by donor-paste and by the learned recipes after their fits; none chosen."""
    ready = work / "learned"
    cd.sample(work / "fit-carpet", counts={**dict.fromkeys(CLASSES, 6), "good": 12, "test-good": 0})
    cd.prepare(work / "fit-carpet", ready, fractions=(0.5, 0.5))
    names = ("donor-paste", "ddpm-inpaint", "gan")
    for name in names:
        recipe = name
        if name != "donor-paste":
            if steps is not None:
                recipe = str(work / f"{name}.yaml")
                Path(recipe).write_text(f"extends: {name}\nparameters:\n  fit:\n    steps: {steps}\n")
            cd.fit(ready, recipe=recipe)
        for each in CLASSES:
            with contextlib.suppress(cd.DataError):  # a short fit may not learn a class: its place stays empty
                cd.synthesize(ready, [each], n=2, recipe=recipe)
    dataset = cd.read(ready)
    empty = np.full((190, 190, 3), 255, np.uint8)
    rows: list[Row] = []
    for each in CLASSES:
        real = [around(s.image(), largest(s.mask()), 190) for s in dataset.of_class(each).of_origin("real")[:2]]
        made = [([*of_recipe(dataset, each, name), empty, empty])[:2] for name in names]
        rows.append(((each,), [*real, *(tile for tiles in made for tile in tiles)]))
    return sheet(rows, ("real", "", *(title for name in names for title in (name, ""))))


def data_path() -> Image.Image:
    """The way that the data take: one direction, and FiftyOne beside it."""
    boxes = {
        "any format": (0, 0, "folder, COCO, YOLO …"),
        "Dataset": (1, 0, "images, masks, instances"),
        "prepared folder": (2, 0, "split, hashed, manifest"),
        "FiftyOne": (2, 1, "browse, tag, curate"),
        "synthetic images": (3, -1, "exact masks, origin"),
        "exports": (3, 0, "COCO, YOLO, VOC …"),
        "run folder": (3, 1, "train, validate, report"),
    }
    arrows = [
        ("any format", "Dataset", "read"),
        ("Dataset", "prepared folder", "prepare"),
        ("prepared folder", "synthetic images", "synthesize"),
        ("prepared folder", "exports", "to-coco …"),
        ("prepared folder", "run folder", "validate"),
        ("prepared folder", "FiftyOne", "browse"),
    ]
    width, height, across, down = 230, 78, 340, 150
    page = Image.new("RGB", (3 * across + width + 40, 2 * down + height + 40), "white")
    pen, font, small = ImageDraw.Draw(page), ImageFont.load_default(20), ImageFont.load_default(15)

    def corner(name: str) -> tuple[float, float]:
        column, row, _ = boxes[name]
        return 20 + column * across, 20 + (row + 1) * down

    for start, end, word in arrows:
        (x0, y0), (x1, y1) = corner(start), corner(end)
        below = x0 == x1
        first = (x0 + width / 2, y0 + height) if below else (x0 + width, y0 + height / 2)
        last = (x1 + width / 2, y1) if below else (x1, y1 + height / 2)
        _arrow(pen, first, last)
        middle = ((first[0] + last[0]) / 2, (first[1] + last[1]) / 2)
        place = (middle[0] + 40, middle[1]) if below else middle
        pen.rectangle(pen.textbbox(place, f" {word} ", small, "mm"), "white")
        pen.text(place, word, (160, 60, 20), small, "mm")
    for name, (_, _, below_text) in boxes.items():
        x, y = corner(name)
        pen.rounded_rectangle((x, y, x + width, y + height), 10, (243, 246, 250), (60, 80, 110), 2)
        pen.text((x + width / 2, y + 27), name, (20, 30, 50), font, "mm")
        pen.text((x + width / 2, y + 54), below_text, (80, 90, 110), small, "mm")
    return page


def _arrow(pen: ImageDraw.ImageDraw, first: tuple[float, float], last: tuple[float, float]) -> None:
    angle = math.atan2(last[1] - first[1], last[0] - first[0])
    pen.line((*first, *last), (60, 80, 110), 2)
    wings = [(last[0] - 12 * math.cos(angle + turn), last[1] - 12 * math.sin(angle + turn)) for turn in (-0.4, 0.4)]
    pen.polygon([last, *wings], (60, 80, 110))


# --- the command


def main() -> None:
    """Draw what is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="pictures; without any, all but learned")
    parser.add_argument("--out", type=Path, default=PICTURES, help="folder")
    parser.add_argument("--steps", type=int, help="steps of each fit, instead of what its recipe says")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    with TemporaryDirectory() as scratch:
        work = Path(scratch)
        pictures: dict[str, Callable[[], Image.Image]] = {
            "sample-carpet": sample_carpet,
            "donor-paste": partial(donor_paste, work),
            "recipes": partial(recipes, work),
            "resynthesis": resynthesis,
            "procedural": procedural,
            "data-path": data_path,
            "learned": partial(learned, work, given.steps),
        }
        unknown = set(given.names) - set(pictures)
        if unknown:
            parser.error(f"unknown picture {sorted(unknown)[0]!r}; use: {', '.join(pictures)}")
        given.out.mkdir(parents=True, exist_ok=True)
        for name in given.names or [each for each in pictures if each != "learned"]:
            # A palette of 256 colors is all that this carpet needs, and a third of the bytes.
            page = pictures[name]().quantize(256, kmeans=2, dither=Image.Dither.NONE)
            page.save(given.out / f"{name}.png", optimize=True)


if __name__ == "__main__":  # workers import this module again
    main()
