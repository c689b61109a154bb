"""How fast does browse bring a prepared data set into FiftyOne, and in how much memory?

    python benchmarks/browse.py [--count 10000] [--size 64] [--workers 2]

Makes a prepared data set of small images (half good, half with a mask of two blobs), and runs
`carpet-data browse --no-launch` on it four times, each in a process of its own, on a fresh MongoDB of FiftyOne's: on a
tenth of the samples, on all, again with nothing changed, and again after every prediction changed. The rate after
start-up is the slope between the first two. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from carpet_data import read
from carpet_data.preparation.options import GroupOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.store import runs


def make(folder: Path, count: int, size: int) -> Path:
    """A prepared data set with `count` samples."""
    rng = np.random.default_rng(3)
    source = folder / "source"
    for part in ("train/good", "test/hole", "ground_truth/hole"):
        (source / part).mkdir(parents=True)
    for number in range(count):
        coarse = rng.integers(60, 190, (size // 8, size // 8, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
        if number % 2:
            cv2.imwrite(str(source / "train" / "good" / f"{number:06}.png"), image)
            continue
        mask = np.zeros((size, size), np.uint8)
        for low, high in ((0, size // 2), (size // 2, size)):
            x, y = (int(value) for value in rng.integers(low + size // 8, high - size // 8, 2))
            cv2.circle(mask, (x, y), size // 10, 255, -1)
        cv2.imwrite(str(source / "test" / "hole" / f"{number:06}.png"), image)
        cv2.imwrite(str(source / "ground_truth" / "hole" / f"{number:06}_mask.png"), mask)
    prepare(source, folder / "prepared", group_options=GroupOptions(near_duplicates=False))
    return folder / "prepared"


def predict(root: Path) -> None:
    """A validate run that says something of every sample."""
    dataset = read(root)
    run, _ = runs.create(root, "validate", dataset={}, settings={}, facts={"classes": list(dataset.classes)})
    share = 1 / len(dataset.classes)
    lines = [
        runs.Prediction(
            id=sample.id,
            condition="real+synthetic",
            partition="main",
            seed=0,
            side="test",
            truth=sample.class_name,
            predicted="good",
            probabilities=(share,) * len(dataset.classes),
            loss=0.5,
        )
        for sample in dataset
    ]
    runs.write_predictions(run.folder, lines)
    runs.finish(run, 0.0)


def browse(root: Path, workers: int) -> tuple[float, float, dict[str, Any]]:
    """Seconds, peak memory of the largest process so far in MiB, and what the command says."""
    command = [sys.executable, "-m", "carpet_data", "browse", str(root), "--no-launch", "--json"]
    start = time.perf_counter()
    done = subprocess.run([*command, "--workers", str(workers)], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return seconds, peak, json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ |= {
            "FIFTYONE_DATABASE_DIR": str(folder / "mongo"),
            "FIFTYONE_DATABASE_NAME": "carpet-data-benchmark",
        }
        few = options.count // 10
        small = make(folder / "small", few, options.size)
        large = make(folder / "large", options.count, options.size)
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        print(f"{options.count} images of {options.size}x{options.size}, {options.workers} workers\n")
        print("| what | seconds | samples/s | peak of the largest process, MiB |")
        print("|---|---|---|---|")
        first, peak, _ = browse(small, options.workers)
        print(f"| {few} new samples, start included | {first:.1f} | {few / first:.0f} | {peak:.0f} |")
        seconds, peak, said = browse(large, options.workers)
        assert said["added"] == options.count, said
        rate = (options.count - few) / (seconds - first)
        whole = options.count / seconds
        print(f"| {options.count} new samples, start included | {seconds:.1f} | {whole:.0f} | {peak:.0f} |")
        print(f"| the same after start-up | | **{rate:.0f}** | |")
        again, peak, said = browse(large, options.workers)
        assert said["unchanged"] == options.count, said
        print(f"| opened again, nothing changed | {again:.1f} | {options.count / again:.0f} | {peak:.0f} |")
        predict(large)
        changed, peak, said = browse(large, options.workers)
        assert said["updated"] == options.count, said
        print(f"| opened again, every prediction new | {changed:.1f} | {options.count / changed:.0f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
