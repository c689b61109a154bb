"""Is this checkout as fast as another one? The same commands on both, in turns, so that the machine's drift hits both.

    python benchmarks/compare.py OTHER_CHECKOUT [--rounds 5] [--only to-coco synthesize train fine-tune browse]

Each command runs as a process of its own with PYTHONPATH set to the checkout. Prints Markdown: the median wall time of
both, and the median, over the rounds, of other / this (above 1: this checkout is faster). `synthesize` needs the real
carpet (CARPET_DATA_TEST_DATA); `browse` needs the extra `browse` and starts a MongoDB of its own for each checkout.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

PROJECT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("CARPET_DATA_TEST_DATA", PROJECT.parent / "shared" / "data"))


def carpet_data(checkout: Path, *arguments: object, work: Path) -> float:
    """Run a command of one checkout; returns its wall time in seconds."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "FIFTYONE_DATABASE_DIR": str(work / "mongo")}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "carpet_data", *map(str, arguments)],
        env=environment,
        cwd=work,
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - start


def masks(root: Path, count: int, size: int) -> Path:
    """An MVTec folder with `count` defect images of a few blobs each, some with holes."""
    rng = np.random.default_rng(7)
    for folder in ("train/good", "test/hole", "ground_truth/hole"):
        (root / folder).mkdir(parents=True)
    plain = cv2.imencode(".png", np.full((size, size, 3), 90, np.uint8))[1].tobytes()
    (root / "train" / "good" / "000.png").write_bytes(plain)
    for number in range(count):
        mask = np.zeros((size, size), np.uint8)
        for _ in range(rng.integers(1, 7)):
            center = tuple(int(v) for v in rng.integers(size // 10, size - size // 10, 2))
            axes = tuple(int(v) for v in rng.integers(size // 100 + 1, size // 11, 2))
            cv2.ellipse(mask, center, axes, int(rng.integers(0, 180)), 0, 360, 255, -1)
            if rng.random() < 0.3:
                cv2.ellipse(mask, center, tuple(max(a // 3, 1) for a in axes), 0, 0, 360, 0, -1)
        cv2.imwrite(str(root / "ground_truth" / "hole" / f"{number:05}_mask.png"), mask)
        (root / "test" / "hole" / f"{number:05}.png").write_bytes(plain)
    return root


def to_coco(checkout: Path, work: Path) -> Callable[[], float]:
    """1,200 masks of 1024x1024 to COCO polygons."""
    data = masks(work / "masks", 1200, 1024)
    return lambda: carpet_data(checkout, "to-coco", data, "-o", work / "coco", "--overwrite", work=work)


def synthesize(checkout: Path, work: Path) -> Callable[[], float]:
    """60 holes on real carpet."""
    carpet_data(checkout, "prepare", DATA / "mvtec" / "carpet", "-o", work / "ready", work=work)

    def once() -> float:
        copy = Path(tempfile.mkdtemp(dir=work)) / "ready"
        shutil.copytree(work / "ready", copy)
        seconds = carpet_data(checkout, "synthesize", copy, "--class", "hole", "--n", 60, work=work)
        shutil.rmtree(copy.parent)
        return seconds

    return once


def train(checkout: Path, work: Path, *options: object) -> Callable[[], float]:
    """A frozen ResNet-18 on the sample carpet: features of 41 images and 300 epochs of the head."""
    carpet_data(checkout, "sample", work / "carpet", "--size", 512, work=work)
    carpet_data(checkout, "prepare", work / "carpet", "-o", work / "ready", work=work)
    options = options or ("--resize", 256, "--epochs", 300)

    def once() -> float:
        copy = Path(tempfile.mkdtemp(dir=work)) / "ready"
        shutil.copytree(work / "ready", copy)
        network = ("--arch", "resnet18", "--weights", "none")
        seconds = carpet_data(checkout, "train", copy, *network, *options, "--heatmaps", 0, "--worst", 0, work=work)
        shutil.rmtree(copy.parent)
        return seconds

    return once


def fine_tune(checkout: Path, work: Path) -> Callable[[], float]:
    """A whole ResNet-18 at 128 pixels, 8 epochs."""
    return train(checkout, work, "--resize", 128, "--freeze", "none", "--epochs", 8)


def browse(checkout: Path, work: Path) -> Callable[[], float]:
    """1,500 images into FiftyOne, then opened again unchanged."""
    data = masks(work / "masks", 1500, 64)

    def once() -> float:
        moved = Path(tempfile.mkdtemp(dir=work)) / "masks"
        shutil.copytree(data, moved)  # a folder that FiftyOne has not seen
        return sum(carpet_data(checkout, "browse", moved, "--no-launch", work=work) for _ in range(2))

    return once


TASKS: dict[str, Callable[[Path, Path], Callable[[], float]]] = {
    "to-coco": to_coco,
    "synthesize": synthesize,
    "train": train,
    "fine-tune": fine_tune,
    "browse": browse,
}


def main() -> None:
    """Run the tasks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="the other checkout, such as a git worktree of an earlier commit")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(TASKS), default=list(TASKS))
    given = parser.parse_args()
    print("| task | other, s | this, s | other / this | range |")
    print("|---|---|---|---|---|")
    for name in given.only:
        with tempfile.TemporaryDirectory() as scratch:
            sides = {}
            for side, checkout in (("other", given.other.resolve()), ("this", PROJECT)):
                work = Path(scratch) / side
                work.mkdir()
                sides[side] = TASKS[name](checkout, work)
            for once in sides.values():
                once()  # caches of the disk and of Python are warm from here on
            rounds = [{side: once() for side, once in sides.items()} for _ in range(given.rounds)]
        ratios = [each["other"] / each["this"] for each in rounds]
        medians = {side: statistics.median(each[side] for each in rounds) for side in sides}
        print(
            f"| {name} | {medians['other']:.2f} | {medians['this']:.2f} | {statistics.median(ratios):.2f} "
            f"| {min(ratios):.2f} to {max(ratios):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
