"""Does the mask say what changed? Overlap of synthetic masks with |image − host|, per class, on real data.

    python benchmarks/mask_truth.py [--recipe donor-paste] [--n 12]

A pixel changed where a channel differs from the host by more than 8 levels. Raw, and after gaps are closed (3 px on
carpet, 7 px on screws and tiles), because a piece of texture replaced by another agrees with it here and there. Medians
over the accepted images of each class. CARPET_DATA_TEST_DATA says where the data are. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from carpet_data.dataset import GOOD
from carpet_data.errors import CarpetDataError
from carpet_data.preparation.options import GroupOptions, SplitOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.synthesis.contract import Candidate, Scene
from carpet_data.synthesis.engine import gates, render
from carpet_data.synthesis.engine.synthesize import synthesize

DATA = Path(os.environ.get("CARPET_DATA_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
LEVELS = 8
SETS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "carpet": ("mvtec/carpet", 3, {"split_options": SplitOptions(fractions=(0.7, 0.3))}),
    "screw": ("mvtec/screw_512", 7, {"split_options": SplitOptions(protocol="first-third")}),
    "magnetic tiles": (
        "mtd",
        7,
        {
            "split_options": SplitOptions(fractions=(0.34, 0.66)),
            "group_options": GroupOptions(group_runs=r"num_(\d+)", gap=100),
        },
    ),
}


def overlap(changed: np.ndarray, mask: np.ndarray) -> float:
    return float((changed & mask).sum() / max((changed | mask).sum(), 1))


def watch(close_px: int) -> list[tuple[float, float]]:
    """Have every accepted candidate measured; the list fills as images are made in this process."""
    seen: list[tuple[float, float]] = []
    judge = gates.judge
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (close_px, close_px))

    def judged(candidate: Candidate, scene: Scene, rules: Any) -> Any:
        verdict = judge(candidate, scene, rules)
        if verdict.refused_by is None and candidate.mask.any():
            before = scene.host if scene.whole is None else scene.whole[0]
            difference = np.abs(candidate.image.astype(int) - before)
            changed = (difference if difference.ndim == 2 else difference.max(axis=2)) > LEVELS
            closed = cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_CLOSE, disc) > 0
            seen.append((overlap(changed, candidate.mask), overlap(closed, candidate.mask)))
        return verdict

    render.gates.judge = judged  # type: ignore[attr-defined]
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="donor-paste")
    parser.add_argument("--n", type=int, default=12)
    arguments = parser.parse_args()
    print(f"| {arguments.recipe}: data | class | images | raw IoU | closed IoU |\n|---|---|---|---|---|")
    judge = gates.judge
    for name, (folder, close_px, how) in SETS.items():
        with tempfile.TemporaryDirectory() as scratch:
            place = Path(scratch) / "prepared"
            classes = prepare(DATA / folder, place, **how).to_json()["classes"]
            for class_name in sorted(set(classes) - {GOOD}):
                gates.judge = judge
                seen = watch(close_px)
                try:
                    synthesize(place, (class_name,), arguments.n, recipe=arguments.recipe, workers=1)
                except CarpetDataError as error:
                    print(f"| {name} | {class_name} | {error.what} | | |")
                    continue
                raw, closed = np.median(np.array(seen), axis=0)
                print(f"| {name} | {class_name} | {len(seen)} | {raw:.2f} | {closed:.2f} |")


if __name__ == "__main__":
    main()
