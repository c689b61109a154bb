"""Measure near-duplicate grouping on real data: `python benchmarks/grouping.py [--workers N] [--crossing FILE.png]`.

The truth for the magnetic tiles (mtd): file names carry a running frame number, and one run of frames is one tile
(now and then two) under up to six exposures. For screws and carpet no duplicates are documented.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path

from carpet_data.grouping import duplicates, frame_runs, groups

DATA = Path(os.environ.get("CARPET_DATA_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
FRAME, GAP = r"num_(\d+)", 100


def images_of(root: Path) -> dict[str, Path]:
    files = sorted(path for side in ("train", "test") for path in (root / side).glob("*/*") if path.is_file())
    return {path.relative_to(root).as_posix(): path for path in files}


def pairs_in(of: Mapping[str, str]) -> set[tuple[str, str]]:
    members: dict[str, list[str]] = {}
    for name, group in of.items():
        members.setdefault(group, []).append(name)
    return {pair for names in members.values() for pair in combinations(sorted(names), 2)}


def share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / whole:.2%})" if whole else "none"


def tiles(root: Path, links: Iterable[groups.Link], crossing: Path | None) -> None:
    names = images_of(root)
    run_of = frame_runs.by_runs(names, FRAME, GAP).of
    found = groups.join(names, links).of
    truth, told = pairs_in(run_of), pairs_in(found)
    # A run that holds one exposure twice holds two tiles: only the others have a sure truth.
    exposures: dict[str, list[str]] = {}
    for name, run in run_of.items():
        exposures.setdefault(run, []).append(Path(name).name.split("_")[0])
    single = {run for run, seen in exposures.items() if max(Counter(seen).values()) == 1}
    sure = {pair for pair in truth if run_of[pair[0]] in single}
    print(f"  runs                          {len(exposures)}, of these with one tile: {len(single)}")
    print(f"  pairs found, all runs         {share(len(told & truth), len(truth))}")
    print(f"  pairs found, one-tile runs    {share(len(told & sure), len(sure))}")
    whole = {run for run in exposures if len({found[name] for name in names if run_of[name] == run}) == 1}
    print(f"  runs found whole, all         {share(len(whole), len(exposures))}")
    print(f"  runs found whole, one-tile    {share(len(whole & single), len(single))}")
    across = [link for link in links if run_of[link.a] != run_of[link.b]]
    print(f"  links within a run            {share(len(list(links)) - len(across), len(list(links)))}")
    print(f"  links between runs            {len(across)} (look at them: --crossing FILE.png)")
    print(f"  pairs told, within a run      {share(len(told & truth), len(told))}")
    if crossing is not None:
        montage(root, across, crossing)


def montage(root: Path, links: list[groups.Link], out: Path) -> None:
    import cv2
    import numpy as np

    cells = []
    for link in sorted(links, key=lambda link: link.score):
        sides = [
            cv2.resize(cv2.imread(str(root / name), cv2.IMREAD_GRAYSCALE), (150, 150)) for name in (link.a, link.b)
        ]
        cell = np.pad(np.hstack(sides), 3)
        cv2.putText(cell, f"{link.score:.2f}", (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
        cells.append(cell)
    columns = 6
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    rows = [np.hstack(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    cv2.imwrite(str(out), np.vstack(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--crossing", type=Path, default=None, help="write the links between runs as a picture")
    arguments = parser.parse_args()
    for name in ("mtd", "mvtec/screw_512", "mvtec/carpet"):
        root = DATA / name
        if not root.is_dir():
            print(f"{name}: absent under {DATA}")
            continue
        files = images_of(root)
        start = time.perf_counter()
        found = duplicates.find(files, workers=arguments.workers)
        seconds = time.perf_counter() - start
        print(f"{name}: {len(files)} images, {len(found.links)} links, {seconds:.1f} s")
        if name == "mtd":
            tiles(root, found.links, arguments.crossing)
        else:
            for link in found.links:
                print(f"  {link.score:.3f}  {link.a}  {link.b}  {link.detail}")


if __name__ == "__main__":
    main()
