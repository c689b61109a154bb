"""Measure near-duplicate grouping: `python benchmarks/grouping.py [SET ...] [--copies] [--seeds N] [--links FILE.png]`.

For each set: images, pairs that truly show one thing, precision and recall of the pairs in a group, groups that join
different things, and the largest group. With --copies, changed copies of some images of each set are added, and the
recall is that of the copies; --links writes all links as pictures, the weakest first; --subsets N looks for false links
in N random subsets of a few images.

What is true: the magnetic tiles carry a running frame number, and one run of frames is one tile (now and then two)
under up to six exposures; runs that show one tile again were looked at. The bottles, grids, capsules and screws were
looked at where they agree most: one pair of screws and one of carpets is the same thing. Woven samples have none.
NEU-seg was cut, turned and pasted together by its authors; its links were looked at, so it shows precision only.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np

from carpet_data import sample
from carpet_data.grouping import duplicates, frame_runs, groups
from carpet_data.grouping.descriptors import describe

DATA = Path(os.environ.get("CARPET_DATA_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
SETS = {
    "tiles": "mtd",
    "screw": "mvtec/screw_512",
    "carpet": "mvtec/carpet",
    "grid": "mvtec/grid_half",
    "bottle": "mvtec/bottle_half",
    "capsule": "mvtec/capsule_fewshot",
    "NEU-seg": "neu_seg",
    "woven": "",
    "woven small": "",
}
SUBSETS = (4, 6, 8, 12, 16, 24, 40)
FRAME, GAP = r"num_(\d+)", 100
# First frames of the runs that show one tile; all were looked at.
SEEN_AGAIN = (
    (5874, 13526),
    (8676, 9196, 10181, 10642),
    (24793, 25007),
    (37056, 37243, 37556),
    (53011, 65001),
    (61310, 61501),
    (75090, 75343),
    (85602, 85781, 85998, 86828, 88149),
    (98080, 98305),
    (124236, 124592),
    (136254, 136676),
    (241889, 242089),
    (249594, 249762),
    (257630, 257938),
    (283203, 283465),
    (293709, 293876),
    (306425, 309352),
    (348629, 348888),
    (355636, 358102),
)
KNOWN = {
    "screw": [("train/good/053.png", "train/good/173.png")],
    "carpet": [("test/metal_contamination/006.png", "test/metal_contamination/011.png")],
}
Grey = np.ndarray
Pair = tuple[str, str]


def images_of(name: str, scratch: Path) -> dict[str, Path]:
    if name.startswith("woven"):
        root = scratch / name
        small = name.endswith("small")
        sample(root, size=256 if small else 512, counts={"good": 60, "test-good": 10} if small else None)
    else:
        root = DATA / SETS[name]
    files = [path for side in ("train", "test") for path in (root / side).glob("*/*") if path.is_file()]
    files += list((root / "images").glob("*/*"))
    return {path.relative_to(root).as_posix(): path for path in sorted(files)}


def truth_of(name: str, names: Iterable[str]) -> tuple[dict[str, str], set[Pair]]:
    """name -> what it shows, and the pairs that must be found."""
    names = list(names)
    if name != "tiles":
        of = groups.join(names, [groups.link(a, b, "given") for a, b in KNOWN.get(name, [])]).of
        return dict(of), pairs_in(of)
    run_of = frame_runs.by_runs(names, FRAME, GAP).of
    again = {str(run): str(runs[0]) for runs in SEEN_AGAIN for run in runs}
    tile_of = {name: again.get(run.split("-")[0], run.split("-")[0]) for name, run in run_of.items()}
    # A run that holds one exposure twice holds two tiles, so that only the others say what must be found.
    exposures: dict[str, list[str]] = defaultdict(list)
    for name, run in run_of.items():
        exposures[run].append(Path(name).name.split("_")[0])
    single = {run for run, seen in exposures.items() if max(Counter(seen).values()) == 1}
    return tile_of, {pair for pair in pairs_in(run_of) if run_of[pair[0]] in single}


def pairs_in(of: Mapping[str, str]) -> set[Pair]:
    members: dict[str, list[str]] = defaultdict(list)
    for name, group in of.items():
        members[group].append(name)
    return {pair for names in members.values() for pair in combinations(sorted(names), 2)}


def jpeg(pixels: Grey, quality: int) -> Grey:
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_UNCHANGED)


def moved(pixels: Grey, across: float, down: float, degrees: float = 0.0) -> Grey:
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    matrix[:, 2] += (across * width, down * height)
    return cv2.warpAffine(pixels, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)


def cropped(pixels: Grey, share: float) -> Grey:
    height, width = pixels.shape[:2]
    return pixels[int(height * share) :, int(width * share * 0.7) :]


def scaled(pixels: Grey, factor: float) -> Grey:
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=how)


def lit(pixels: Grey, factor: float, offset: float, slope: float = 0.0) -> Grey:
    ramp = 1 + slope * np.linspace(-1, 1, pixels.shape[1])
    ramp = ramp[None, :, None] if pixels.ndim == 3 else ramp[None, :]
    return np.clip(pixels * factor * ramp + offset, 0, 255).astype(np.uint8)


def noisy(pixels: Grey, sigma: float) -> Grey:
    noise = np.random.default_rng(1).normal(0, sigma, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[Grey], Grey]] = {
    "JPEG quality 40": lambda p: jpeg(p, 40),
    "half the size": lambda p: scaled(p, 0.5),
    "a third, JPEG 70": lambda p: jpeg(scaled(p, 1 / 3), 70),
    "darker": lambda p: lit(p, 0.55, 0),
    "brighter, some clipped": lambda p: lit(p, 1.3, 15),
    "cropped by 8 %": lambda p: cropped(p, 0.08),
    "shifted by 8 %, JPEG 70": lambda p: jpeg(moved(p, 0.06, -0.08), 70),
    "turned by 2°": lambda p: moved(p, 0, 0, 2.0),
    "noise of 5 levels": lambda p: noisy(p, 5),
    "turned by 90°, JPEG 80": lambda p: jpeg(np.rot90(p).copy(), 80),
    "turned by 180°": lambda p: p[::-1, ::-1].copy(),
    "mirrored": lambda p: p[:, ::-1].copy(),
    # As of a part that is put under the camera once more.
    "photographed again": lambda p: jpeg(noisy(lit(moved(p, 0.03, 0.04, 1.0), 0.85, 5, 0.2), 2), 90),
}


def with_copies(
    files: Mapping[str, Path], each: int, seed: int, scratch: Path
) -> tuple[dict[str, Path], dict[str, Pair]]:
    """The files with copies, and copy -> (original, change)."""
    random = np.random.default_rng(seed)
    count = max(1, min(each, len(files) // (2 * len(CHANGES))))
    chosen = iter(random.choice(sorted(files), min(len(files), count * len(CHANGES)), replace=False).tolist())
    out, made = dict(files), {}
    for change, apply in CHANGES.items():
        for original in [next(chosen, None) for _ in range(count)]:
            if original is None:
                continue
            name = f"copies/{len(made):04}.png"
            path = scratch / f"seed{seed}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), apply(cv2.imread(str(files[original]), cv2.IMREAD_UNCHANGED)))
            out[name], made[name] = path, (original, change)
    return out, made


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} % of {whole}" if whole else "–"


def row(name: str, of: Mapping[str, str], shown: Mapping[str, str], wanted: set[Pair], seconds: float) -> str:
    told = pairs_in(of)
    right = sum(shown[a] == shown[b] for a, b in told)
    members: dict[str, list[str]] = defaultdict(list)
    for image, group in of.items():
        members[group].append(image)
    false = sum(len({shown[image] for image in images}) > 1 for images in members.values())
    largest = max(len(images) for images in members.values())
    precision = "looked at" if name == "NEU-seg" else share(right, len(told))
    unsure = "–" if name == "NEU-seg" else false
    cells = [name, len(of), len(wanted), precision, share(len(told & wanted), len(wanted)), unsure, largest]
    return " | ".join(map(str, cells)) + f" | {1000 * seconds / len(of):.1f}"


def montage(files: Mapping[str, Path], links: Iterable[groups.Link], out: Path) -> None:
    cells = []
    for link in sorted(links, key=lambda link: link.score):
        sides = [
            cv2.resize(cv2.imread(str(files[name]), cv2.IMREAD_GRAYSCALE), (150, 150)) for name in (link.a, link.b)
        ]
        cell = np.pad(np.hstack(sides), 3)
        cv2.putText(cell, f"{link.score:.2f}", (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
        cells.append(cell)
    if not cells:
        return
    cells += [np.zeros_like(cells[0])] * (-len(cells) % 6)
    rows = [np.hstack(cells[start : start + 6]) for start in range(0, len(cells), 6)]
    cv2.imwrite(str(out), np.vstack(rows))


def measure(name: str, options: argparse.Namespace, scratch: Path, found: dict[str, list[bool]]) -> None:
    files = images_of(name, scratch)
    if not files:
        print(f"{name}: absent under {DATA}", file=sys.stderr)
        return
    for seed in range(options.seeds) if options.copies else [None]:
        images, copies = (files, {}) if seed is None else with_copies(files, options.each, seed, scratch / name)
        shown, wanted = truth_of(name, files)
        shown |= {copy: shown[original] for copy, (original, _) in copies.items()}
        if copies:
            wanted = {(min(copy, original), max(copy, original)) for copy, (original, _) in copies.items()}
        start = time.perf_counter()
        links = duplicates.find(images, workers=options.workers).links
        seconds = time.perf_counter() - start
        of = groups.join(images, links).of
        print(row(name, of, shown, wanted, seconds), flush=True)
        for copy, (original, change) in copies.items():
            found[change].append(of[copy] == of[original])
        if options.links is not None:
            montage(images, links, options.links.with_stem(f"{options.links.stem}-{name}"))


def subsets(name: str, options: argparse.Namespace, scratch: Path) -> None:
    """False links in random subsets as small as rare classes are: there, little shows what images share."""
    files = images_of(name, scratch)
    shown, _ = truth_of(name, files)
    described = {image: describe(path) for image, path in files.items()}
    random = np.random.default_rng(0)
    for size in SUBSETS:
        if size > len(files):
            continue
        false = 0
        for _ in range(options.subsets):
            search = duplicates.Search(size)
            for image in sorted(random.choice(sorted(files), size, replace=False).tolist()):
                search.add(image, described[image])
            false += any(shown[link.a] != shown[link.b] for link in search.links())
        print(f"{name} | subsets of {size} | {false} of {options.subsets} with a false link", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", choices=[[], *SETS], help="which sets; all by default")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--copies", action="store_true", help="add changed copies")
    parser.add_argument("--each", type=int, default=8, help="at most so many copies of each change in a set")
    parser.add_argument("--seeds", type=int, default=2, help="how often copies are drawn")
    parser.add_argument("--links", type=Path, default=None, help="write the links of each set as a picture")
    parser.add_argument(
        "--subsets", type=int, default=0, metavar="N", help="only: false links in N subsets of each size"
    )
    options = parser.parse_args()
    if options.subsets:
        with tempfile.TemporaryDirectory() as scratch:
            for name in options.sets or SETS:
                subsets(name, options, Path(scratch))
        return
    print("set | images | true pairs | precision | recall | false groups | largest group | ms an image")
    print("---|---|---|---|---|---|---|---")
    found: dict[str, list[bool]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.sets or SETS:
            measure(name, options, Path(scratch), found)
    for change, hits in found.items():
        print(f"{change} | {share(sum(hits), len(hits))}")


if __name__ == "__main__":
    main()
