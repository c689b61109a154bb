"""How fast is synthesize, against reading a host and writing an image alone? One run, the same hosts for both.

    python benchmarks/synthesize.py [--data ../shared/data/mvtec/carpet] [--class hole] [--n 200]

- The floor: on two processes, decode one host of the training side and encode one PNG of it per image, nothing else.
- `carpet-data synthesize --class C --n N`, the whole command as a user calls it, start and contact sheet included; its
  rate after start-up is the slope between N / 4 and N.
- One image of each recipe on one core.
Without the real carpet, the sample data set is woven. Prints Markdown.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2

from carpet_data import store
from carpet_data.core.images import encode_png, read

PROJECT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("CARPET_DATA_TEST_DATA", PROJECT.parent / "shared" / "data")) / "mvtec" / "carpet"
WORKERS = 2
RECIPES = ("augment", "donor-paste", "procedural", "perlin", "nsa", "resynthesis")


def command(*arguments: object) -> float:
    """Seconds of one call of carpet-data, start included."""
    program = [sys.executable, "-m", "carpet_data", *map(str, arguments), "-q"]
    begun = time.perf_counter()
    subprocess.run(program, check=True)
    return time.perf_counter() - begun


def one_thread() -> None:
    cv2.setNumThreads(1)


def touch(path: str) -> int:
    return len(encode_png(read(path)))


def floor_rate(hosts: list[Path], count: int) -> float:
    """Images a second, start-up not counted."""
    paths = [str(hosts[number % len(hosts)]) for number in range(count)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=context, initializer=one_thread) as pool:
        list(pool.map(touch, paths[: 4 * WORKERS]))
        begun = time.perf_counter()
        list(pool.map(touch, paths, chunksize=4))
        return count / (time.perf_counter() - begun)


def fresh(prepared: Path, place: Path) -> Path:
    """A copy of the prepared data set without synthetic images."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(prepared, place)
    return place


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--class", dest="class_name", default="hole")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--each", type=int, default=24, help="Images of each recipe on one core.")
    arguments = parser.parse_args()
    print(f"Machine: {platform.machine()}, {multiprocessing.cpu_count()} cores, Python {platform.python_version()}, ")
    print(f"OpenCV {cv2.__version__}. Class {arguments.class_name}.\n")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        data = arguments.data
        if not data.is_dir():
            data = scratch / "carpet"
            command("sample", data)
        prepared = scratch / "prepared"
        command("prepare", data, "-o", prepared)
        dataset = store.read(prepared)
        hosts = [dataset.path(sample.image_path) for sample in dataset.on_side("train", "main")]
        floor = floor_rate(hosts, arguments.n)

        def seconds(n: int, recipe: str = "donor-paste", workers: int = WORKERS) -> float:
            place = fresh(prepared, scratch / "copy")
            asked = ("--class", arguments.class_name, "--n", n, "--recipe", recipe, "--workers", workers)
            return command("synthesize", place, *asked)

        quarter = arguments.n // 4
        few, many = seconds(quarter), seconds(arguments.n)
        rate = (arguments.n - quarter) / (many - few)
        print("| what | images/s | of the floor |\n|---|---|---|")
        print(f"| floor: decode a host, encode a PNG, {WORKERS} processes | {floor:.1f} | 1 |")
        print(f"| **donor-paste after start-up**, {WORKERS} workers | **{rate:.1f}** | **{rate / floor:.2f}** |")
        print(f"\nThe whole command, {arguments.n} images: {many:.1f} s.\n")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"Peak memory of the largest process: {peak:.0f} MiB.\n")
        print("| recipe | s an image, one core, after start-up |\n|---|---|")
        for recipe in RECIPES:
            one, more = seconds(1, recipe, 1), seconds(1 + arguments.each, recipe, 1)
            print(f"| {recipe} | {(more - one) / arguments.each:.2f} |")


if __name__ == "__main__":
    main()
