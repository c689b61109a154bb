"""Clean plates: how many pass their gate, how far a fill is from the truth, and how often the gate refuses the truth.

    python benchmarks/plates.py [--data ../shared/data] [--sets carpet,neu_seg] [--count 16] [--sheets FOLDER]

Three numbers a set. `plates`: of the defect images, how many give a plate that passes, and why the others do not.
`fill`: masks of real defects are moved to where nothing is wrong, that place is filled, and compared with what was
there: how many pass, and the mean absolute error in gray levels. `truth`: the place is judged as if it had been filled,
with its own pixels in it: whatever the gate refuses there, it refuses falsely. Before the gate, every image whose
defects cover less than a quarter was quilted and used; the last column gives the error of that.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from carpet_data.core import masks, seeds, sheets
from carpet_data.core.images import encode_png, read
from carpet_data.core.masks.runs import to_binary
from carpet_data.formats import read as read_dataset
from carpet_data.synthesis.contract import Image, Mask, Redraw
from carpet_data.synthesis.ops import foreground
from carpet_data.synthesis.ops.quilting import fill
from carpet_data.synthesis.plates import gate
from carpet_data.synthesis.plates.filling import hole_of, laid_references, parts_of, window_around
from carpet_data.synthesis.plates.gate import View
from carpet_data.synthesis.plates.making import COMPARED, Other, Plate, make_plate, references_of

SETS = {
    "capsule_fewshot": ("mvtec/capsule_fewshot", True),
    "bottle_half": ("mvtec/bottle_half", True),
    "screw_512": ("mvtec/screw_512", True),
    "grid_half": ("mvtec/grid_half", False),
    "carpet": ("mvtec/carpet", False),
    "neu_seg": ("neu_seg", False),
    "mtd": ("mtd", False),
}
"""name -> folder, and whether its images show objects."""
_OTHERS = 24
_GOOD, _DEFECTS = 40, 64
_MAX_FRAC = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """An image with its mask."""

    id: str
    image: Image
    mask: Mask


def load(root: Path, name: str) -> tuple[list[Shown], list[Shown]]:
    """Defect images with masks, and good ones, of a set; evenly spaced ones."""
    folder = root / SETS[name][0]
    if name == "neu_seg":
        found = [
            Shown(path.stem, read(path), read(folder / "annotations/training" / f"{path.stem}.png") > 0)
            for path in sorted((folder / "images/training").glob("*.jpg"))
        ]
        return [one for one in found if one.mask.any()], []
    dataset = read_dataset(folder)
    defects = [sample for sample in dataset.samples if sample.mask_path is not None]
    good = [sample for sample in dataset.samples if sample.class_name == "good"]

    def shown(sample_list: Sequence) -> list[Shown]:  # type: ignore[type-arg]
        return [
            Shown(s.id, read(dataset.root / s.image_path), to_binary(masks.load(dataset.root, s).runs))
            for s in sample_list
        ]

    return [one for one in shown(sheets.evenly(defects, _DEFECTS)) if one.mask.any()], shown(sheets.evenly(good, _GOOD))


def moved_mask(mask: Mask, onto: Shown, rng: np.random.Generator, *, anywhere: bool) -> Mask | None:
    """A mask where an image shows no defect, at about its own place or anywhere; None if there is no room."""
    if mask.shape != onto.mask.shape:
        return None
    hole = hole_of(onto.mask)
    for _ in range(30):
        shift = rng.integers(-mask.shape[1] // 2, mask.shape[1] // 2, 2) if anywhere else rng.integers(-8, 9, 2)
        matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64)
        moved = np.asarray(cv2.warpAffine(mask.view(np.uint8), matrix, mask.shape[::-1])) > 0
        if moved.sum() > 0.9 * mask.sum() and not (hole_of(moved) & hole).any():
            return moved
    return None


def truth_passes(
    image: Image, plate: Plate, here: Mask, others: Sequence[Other], shape: Mask | None, *, is_object: bool
) -> bool:
    """Whether the gate passes an image that was not touched, judged at a place (`here`) where a plate was filled."""
    if not is_object:
        views = [View(other.image, ~hole_of(other.mask)) for other in others if other.image.shape == image.shape]
        rim = plate.rim * cv2.dilate(here.view(np.uint8), np.ones((5, 5), np.uint8))[..., None]
        verdict = gate.judged_by_places(View(image, ~plate.area), here, rim, views, seeds.generator(0, "truth"))
        return verdict.passed
    for part in parts_of(plate.area):
        window = window_around(part)
        found = references_of(image, plate.area, shape, others)
        laid = laid_references(image, plate.area, part, window, found)[1 : COMPARED + 1]
        rim = plate.rim[window] * cv2.dilate(part[window].view(np.uint8), np.ones((5, 5), np.uint8))[..., None]
        if not gate.judged_by_references(
            np.ascontiguousarray(image[window]), part[window], rim, ~plate.area[window], [one.image for one in laid]
        ).passed:
            return False
    return True


def error(plate: Image, image: Image, area: Mask) -> float:
    """Mean absolute error of a fill, in levels."""
    return float(np.abs(plate.astype(np.float32) - image)[area].mean())


def as_before(image: Image, mask: Mask) -> Image | None:
    """The plate that was made before there was a gate; None where no patch fits."""
    hole = hole_of(mask)
    try:
        return fill(image, hole, ~hole, seeds.generator(0, "before"))
    except Redraw:
        return None


def trials(name: str, defects: Sequence[Shown], good: Sequence[Shown]) -> Iterator[tuple[Shown, Mask]]:
    """Untouched places: images, each with a mask of a real defect where it shows none."""
    rng = seeds.generator(0, "trials", name)
    hosts = sheets.evenly(good, len(defects)) if len(good) > 3 else list(defects)
    for number, one in enumerate(defects):
        onto = hosts[(number * 7 + 3) % len(hosts)]
        if one.mask.mean() > _MAX_FRAC or onto.id == one.id:
            continue
        moved = moved_mask(one.mask, onto, rng, anywhere=not SETS[name][1])
        if moved is not None:
            yield onto, moved


def measure(name: str, root: Path, count: int, folder: Path | None) -> str:
    """The rows of one set; its contact sheet is written too."""
    defects, good = load(root, name)
    chosen = sheets.evenly(defects, count)
    is_object = SETS[name][1]
    outlines = {one.id: foreground.find(one.image) if is_object else None for one in (*defects, *good)}

    def others(without: str) -> list[Other]:
        # As if there were no good image, except for the sets that have a single one.
        pool = [*(good if len(good) < 2 else ()), *defects]
        rest = [Other(o.id, o.image, o.mask, outlines[o.id]) for o in pool if o.id != without]
        return sheets.evenly(rest, _OTHERS if is_object else 4)

    panels, reasons, passed, tried = [], Counter[str](), 0, 0
    for one in chosen:
        tried += 1
        if one.mask.mean() > _MAX_FRAC:
            reasons["too-large"] += 1
            continue
        plate = make_plate(
            one.image,
            one.mask,
            others(one.id),
            seeds.generator(0, "plate", one.id),
            is_object=is_object,
            foreground=outlines[one.id],
        )
        passed += plate.verdict.passed
        reasons.update(plate.verdict.reasons)
        panels.append(panel(one, plate))
    rows = [f"{name}: plates {passed} of {tried} ({', '.join(f'{k} {n}' for k, n in reasons.most_common()) or '-'})"]
    fills, truths, errors, refused, before = 0, 0, [], [], []
    tests = list(trials(name, chosen, good))
    for onto, moved in tests:
        pool = others(onto.id)
        plate = make_plate(
            onto.image,
            moved | onto.mask if not is_object else moved,
            pool,
            seeds.generator(0, "fill", onto.id),
            is_object=is_object,
            foreground=outlines[onto.id],
        )
        where = plate.area & ~hole_of(onto.mask)
        old = as_before(onto.image, moved)
        if old is not None:
            before.append(error(old, onto.image, hole_of(moved)))
        if not plate.rim.any():
            continue
        (errors if plate.verdict.passed else refused).append(error(plate.image, onto.image, where))
        fills += plate.verdict.passed
        truths += truth_passes(onto.image, plate, where, pool, outlines[onto.id], is_object=is_object)
    filled = len(errors) + len(refused)
    rows.append(
        f"  fill {fills} of {filled} pass, error {_mean(errors)} (refused ones {_mean(refused)});"
        f" truth {truths} of {filled} pass; before: all of {len(before)} used, error {_mean(before)}"
    )
    if folder is not None and panels:
        folder.mkdir(parents=True, exist_ok=True)
        picture = sheets.sheet(panels, across=2, title=rows[0])
        (folder / f"after_{name}.png").write_bytes(encode_png(picture))
    return "\n".join(rows)


def panel(one: Shown, plate: Plate) -> Image:
    """Before, the filled area, and after; the last also enlarged, beside what the version before made of it."""
    side = 420 if max(one.mask.shape) > 300 else 300
    whole = sheets.fitted(one.image, side)
    small = cv2.resize(plate.area.view(np.uint8), whole.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    x, y, width, height = sheets.around(one.mask)
    crop = np.s_[y : y + height, x : x + width]
    old = as_before(one.image, one.mask)
    tiles = [sheets.outlined(whole, small), sheets.fitted(plate.image, side), sheets.fitted(plate.image[crop], side)]
    if old is not None:
        tiles.append(sheets.fitted(old[crop], side))
    score = "" if not plate.verdict.scores else f" {max(plate.verdict.scores.values()):.2f}"
    color = (120, 230, 120) if plate.verdict.passed else (255, 120, 100)
    return sheets.panel([(f"{one.id}: {', '.join(plate.verdict.reasons) or 'passed'}{score}", color)], tiles)


def _mean(values: Sequence[float]) -> str:
    return f"{np.mean(values):.1f}" if values else "-"


def main() -> None:
    """Measure the sets and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared/data")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--count", type=int, default=16, help="Defect images a set.")
    parser.add_argument("--sheets", type=Path, default=None, help="Folder for contact sheets.")
    chosen = parser.parse_args()
    for name in chosen.sets.split(","):
        print(measure(name, chosen.data, chosen.count, chosen.sheets), flush=True)


if __name__ == "__main__":
    main()
