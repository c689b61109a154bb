"""Anomaly models of good images: `python benchmarks/anomaly.py [SET ...] [--models M,…] [--good N,…] [--size S]`.

For each set, model and number of good training images: image AUROC, pixel AUROC, pixel AP, PRO (to 0.3), false alarms
if no defect is missed, recall at 1 % false alarms (where there are enough good test images), the shares of good and of
defect images beyond the threshold that was found on good images alone, seconds to fit, and milliseconds per image,
read, reduced and predicted. Test images are those of the set, all of them; no setting is chosen by them. `--json FILE`
keeps all numbers; `--images N` takes the first N of each folder only, to try the script.

`--timing` fits PatchCore at 256 px on 200 good images of screw and scores 100, beside the bare forward pass of the
network on the same 300 images, in one process.

Beside the measured figures stand published ones for a backbone of about this size (ResNet-18): PatchCore and PaDiM by
anomalib's own table, at 256 px with all good images of the original sets; ours are reduced, and grid and bottle hold 60
and 50 good images.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import carpet_data
from carpet_data.dataset import GOOD, Sample
from carpet_data.networks import build, devices, find_weights
from carpet_data.training.anomaly.fit import fit_anomaly
from carpet_data.training.anomaly.good_images import chosen_good
from carpet_data.training.anomaly.model import reduced
from carpet_data.training.anomaly.options import AnomalyOptions
from carpet_data.training.dense.bank import MapBank
from carpet_data.training.scoring import TaskScores

DATA = Path(os.environ.get("CARPET_DATA_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
SETS = {"screw": "mvtec/screw_512", "grid": "mvtec/grid_half", "bottle": "mvtec/bottle_half"}
MODELS = ("patchcore", "subspace", "padim", "autoencoder", "synthetic")
# Image AUROC of ResNet-18, anomalib's README; only what was looked up is here.
PUBLISHED = {("screw", "patchcore"): 0.943, ("screw", "padim"): 0.759}
NETWORK = "efficientnet_lite0"


def sides(name: str, images: int | None) -> tuple[list[Sample], list[Sample]]:
    """Training and test samples of a set, each folder cut to its first `images`."""
    dataset = carpet_data.read(DATA / SETS[name])
    taken: dict[tuple[str | None, str], int] = {}
    train, test = [], []
    for sample in sorted(dataset, key=lambda each: each.image_path):
        place = sample.side, sample.class_name
        taken[place] = taken.get(place, 0) + 1
        if images is None or taken[place] <= images:
            (train if sample.side == "train" else test).append(sample)
    return train, test


def measure(name: str, options: AnomalyOptions, images: int | None) -> dict[str, Any]:
    train, test = sides(name, images)
    good = chosen_good(train, options.good, seed=options.seed)
    device = devices.resolve("auto")
    network = None
    if options.model != "autoencoder":
        network = build(find_weights(NETWORK), classes=2, seed=0).to(device).eval()
        MapBank(network, device).maker(options.used_strides)  # looks at the network once, before the clock
    started = time.perf_counter()
    model = fit_anomaly(network, good, options, device).model
    fit_s = time.perf_counter() - started
    scores, flagged, predict_s = (
        TaskScores(model.classes, task="anomaly"),
        {True: list[bool](), False: list[bool]()},
        0.0,
    )
    for sample in test:
        started = time.perf_counter()
        (found,) = model.predict([sample.image()])
        predict_s += time.perf_counter() - started
        scores.add(sample, found)
        flagged[sample.class_name == GOOD].append(found.anomaly >= 0.5)
    result = scores.result()
    assert result.anomaly is not None, "there are good and defect images"
    assert result.segment is not None, "there are masks"
    pixels, recall = result.segment.pixels, result.anomaly.recalls[-1].recall.value
    return {
        "set": name,
        "model": options.model,
        "good": len(good),
        "size": options.size,
        "seed": options.seed,
        "image_auroc": result.anomaly.auroc.value,
        "published_image_auroc": PUBLISHED.get((name, options.model)),
        "pixel_auroc": pixels.auroc,
        "pixel_ap": pixels.ap,
        "pro": pixels.pro,
        "false_alarms_at_full_recall": result.anomaly.false_alarms.value,
        "recall_at_1_percent": recall,
        "good_beyond_threshold": float(np.mean(flagged[True])),
        "defects_beyond_threshold": float(np.mean(flagged[False])),
        "fit_s": fit_s,
        "ms_per_image": 1000 * predict_s / len(test),
        "notes": list(model.notes),
    }


def timing(count: int) -> dict[str, float]:
    """PatchCore at 256 px beside the bare forward pass: two thirds of the images to fit, one third to score."""
    train, _ = sides("screw", None)
    images = [reduced(sample.image(), 256) for sample in train[:count]]
    network = build(find_weights(NETWORK), classes=2, seed=0).eval()
    device = torch.device("cpu")
    network.to(device)
    seen, fitted = {}, 2 * count // 3
    with torch.inference_mode():
        network.features(network.prepare(np.stack([np.repeat(image[..., None], 3, 2) for image in images[:8]])))
        started = time.perf_counter()
        for start in range(0, count, 8):
            stack = np.stack([np.repeat(image[..., None], 3, 2) for image in images[start : start + 8]])
            network.features(network.prepare(stack))
        seen["forward_s"] = time.perf_counter() - started
    options = AnomalyOptions(size=256)
    MapBank(network, device).maker(options.used_strides)
    started = time.perf_counter()
    model = fit_anomaly(network, train[:fitted], options, device).model
    seen["fit_s"] = time.perf_counter() - started
    started = time.perf_counter()
    for start in range(fitted, count, 8):
        model.predict(images[start : start + 8])
    seen["score_s"] = time.perf_counter() - started
    seen["times_forward"] = (seen["fit_s"] + seen["score_s"]) / seen["forward_s"]
    return seen


def shown(row: dict[str, Any]) -> str:
    def number(value: float | None) -> str:
        return "    –" if value is None else f"{value:5.3f}"

    names = ("image_auroc", "published_image_auroc", "pixel_auroc", "pixel_ap", "pro", "false_alarms_at_full_recall")
    more = ("recall_at_1_percent", "good_beyond_threshold", "defects_beyond_threshold")
    values = " ".join(number(row[each]) for each in (*names, *more))
    return f"{row['set']:7} {row['model']:12} {row['good']:4} {values} {row['fit_s']:7.1f} {row['ms_per_image']:6.0f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=[*SETS], help=f"out of {', '.join(SETS)}")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--good", default="1,4,all", help="numbers of good images, such as 1,4,all")
    parser.add_argument("--size", type=int, default=AnomalyOptions().size)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--images", type=int, default=None)
    parser.add_argument("--timing", action="store_true")
    parser.add_argument("--json", type=Path, default=None)
    asked = parser.parse_args()
    if asked.timing:
        print(", ".join(f"{name} {value:.2f}" for name, value in timing(min(asked.images or 300, 300)).items()))
        return 0
    rows = []
    print("set     model        good image  publ  pxAUC  pxAP   PRO  alarms rec1% good>t def>t   fit s  ms")
    for name in asked.sets:
        for model in asked.models.split(","):
            for good in asked.good.split(","):
                for seed in range(asked.seeds if good != "all" else 1):
                    count = None if good == "all" else int(good)
                    options = AnomalyOptions(model=model, good=count, size=asked.size, seed=seed)
                    rows.append(measure(name, options, asked.images))
                    print(shown(rows[-1]), flush=True)
    if asked.json is not None:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
