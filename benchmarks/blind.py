"""Can an eye tell synthetic defects from real ones? Shuffled sheets of crops to guess from, the key in its own file.

    python benchmarks/blind.py FOLDER -o OUT [--n 20] [--side 240] [--recipe donor-paste] [--seed 0]

FOLDER is a raw data set, such as mvtec/carpet below CARPET_DATA_TEST_DATA. It is prepared and synthesized from in a
temporary folder. Writes OUT/NAME-1.png … (ten numbered crops a sheet, 100 %, without outlines), as many real as
synthetic ones and as many of each class of either, and OUT/NAME-key.json: number -> "real" or "synthetic", with the
image. Guess first: `--score GUESSES.json --key KEY.json` then counts the hits, the guesses written in the same form.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

import carpet_data as cd
from carpet_data.core import masks
from carpet_data.core.images import read, write_png
from carpet_data.core.masks.runs import to_binary
from carpet_data.core.sheets import panel, rgb, sheet
from carpet_data.dataset import GOOD, Dataset, Sample

_A_SHEET = 10


def crop(dataset: Dataset, sample: Sample, side: int, rng: np.random.Generator) -> np.ndarray:
    """A square around one component of the defect, which lies anywhere in it: its place says nothing."""
    image = rgb(read(dataset.root / sample.image_path))
    found = to_binary(masks.load(dataset.root, sample).runs)
    _, _, stats, centers = cv2.connectedComponentsWithStats(found.astype(np.uint8), connectivity=8)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    height, width = image.shape[:2]
    side = min(side, height, width)
    reach = 0.15 * side
    x, y = (
        int(np.clip(round(center - side / 2 + rng.uniform(-reach, reach)), 0, whole - side))
        for center, whole in zip(centers[largest], (width, height), strict=True)
    )
    return np.ascontiguousarray(image[y : y + side, x : x + side])


def chosen(dataset: Dataset, n: int, rng: np.random.Generator) -> list[tuple[str, Sample]]:
    """n real and n synthetic images, class by class in turn, shuffled."""
    names = [name for name in dataset.classes if name != GOOD]
    found: list[tuple[str, Sample]] = []
    for origin in ("real", "synthetic"):
        of_class = {
            name: [s for s in dataset.of_class(name).of_origin(origin) if s.annotation is not None] for name in names
        }
        queues = [[samples[i] for i in rng.permutation(len(samples))] for samples in of_class.values()]
        turns = [queue[turn] for turn in range(n) for queue in queues if turn < len(queue)]
        # A class of few real images shows them again, cut elsewhere.
        found += [(origin, sample) for sample in (turns * (1 + n // max(1, len(turns))))[:n]]
    return [found[i] for i in rng.permutation(len(found))]


def main(arguments: argparse.Namespace) -> None:
    rng = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "prepared"
        cd.prepare(arguments.folder, root)
        names = [name for name in cd.read(root).classes if name != GOOD]
        options = cd.SynthesisOptions(recipe=arguments.recipe, seed=arguments.seed)
        cd.synthesize(root, names, n=-(-arguments.n // len(names)), options=options)
        dataset = cd.read(root)
        picked = chosen(dataset, arguments.n, rng)
        crops = [crop(dataset, sample, arguments.side, rng) for _, sample in picked]
    arguments.out.mkdir(parents=True, exist_ok=True)
    name = arguments.folder.name
    for start in range(0, len(crops), _A_SHEET):
        panels = [panel([str(start + i + 1)], [one]) for i, one in enumerate(crops[start : start + _A_SHEET])]
        write_png(arguments.out / f"{name}-{start // _A_SHEET + 1}.png", sheet(panels, across=5, title=name))
    key = {str(i + 1): {"is": origin, "image": sample.id} for i, (origin, sample) in enumerate(picked)}
    (arguments.out / f"{name}-key.json").write_text(json.dumps(key, indent=1) + "\n", encoding="utf-8")
    print(f"{len(crops)} crops in {arguments.out}/{name}-*.png; the key is beside them")


def score(guesses: Path, key: Path) -> None:
    truth = {number: entry["is"] for number, entry in json.loads(key.read_text(encoding="utf-8")).items()}
    guessed = json.loads(guesses.read_text(encoding="utf-8"))
    hits = sum(guessed.get(number) == origin for number, origin in truth.items())
    print(f"{hits} of {len(truth)} right; {len(truth) / 2:.0f} would be chance")


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("-o", "--out", type=Path, default=Path("blind"))
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--side", type=int, default=240)
    parser.add_argument("--recipe", default="donor-paste")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--score", type=Path, metavar="GUESSES")
    parser.add_argument("--key", type=Path)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    given = parsed(sys.argv[1:])
    if given.score is not None:
        score(given.score, given.key)
    else:
        main(given)
