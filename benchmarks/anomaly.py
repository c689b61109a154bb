"""Anomaly models of good images: `python benchmarks/anomaly.py [SET ...] [--models M,…] [--size S] [--steps N]`.

For each set and model, all good training images: image AUROC, pixel AUROC, pixel AP, PRO (to 0.3), false alarms if no
defect is missed, recall at 1 % false alarms (where there are enough good test images), the shares of good and of defect
images beyond the threshold that was found on good images alone, seconds to fit, and milliseconds per image, read,
reduced and predicted: both of processor time, which a busy machine changes little. Test images are all of the
set. What was measured is kept in `benchmarks/evidence/anomaly-SET.json`, model by model, and
`benchmarks/evidence.py --render` writes the tables.

`--images N` takes the first N of each folder only, to try the script, and keeps nothing. `--good N` takes N of the good
images.

`--timing` fits PatchCore at 256 px on 200 good images of screw and scores 100, beside the bare forward pass of the
network on the same 300 images, in one process, by processor time.
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
SIZE = 256  # that of the published figures
STEPS = 300
EVIDENCE = Path(__file__).parent / "evidence"
# Image AUROC, pixel AUROC and pixel AP. PatchCore and PaDiM with ResNet-18 by anomalib's own table, DRAEM by its own.
PUBLISHED: dict[tuple[str, str], tuple[float | None, ...]] = {
    ("screw", "patchcore"): (0.943, 0.991, None),
    ("screw", "padim"): (0.759, 0.978, None),
    ("screw", "synthetic"): (None, 0.976, 0.582),
}
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
    started = time.process_time()
    fitted = fit_anomaly(network, good, options, device)
    fit_s, model = time.process_time() - started, fitted.model
    scores, flagged, predict_s = (
        TaskScores(model.classes, task="anomaly"),
        {True: list[bool](), False: list[bool]()},
        0.0,
    )
    for sample in test:
        started = time.process_time()
        (found,) = model.predict([sample.image()])
        predict_s += time.process_time() - started
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
        "steps": options.steps if options.model == "autoencoder" else None,
        "network": None if options.model == "autoencoder" else NETWORK,
        "chosen": dict(fitted.chosen),
        "image_auroc": result.anomaly.auroc.value,
        "published": PUBLISHED.get((name, options.model), (None, None, None)),
        "pixel_auroc": pixels.auroc,
        "pixel_ap": pixels.ap,
        "pro": pixels.pro,
        "false_alarms_at_full_recall": result.anomaly.false_alarms.value,
        "recall_at_1_percent": recall,
        "good_beyond_threshold": float(np.mean(flagged[True])),
        "defects_beyond_threshold": float(np.mean(flagged[False])),
        "fit_cpu_s": fit_s,
        "cpu_ms_per_image": 1000 * predict_s / len(test),
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
        started = time.process_time()
        for start in range(0, count, 8):
            stack = np.stack([np.repeat(image[..., None], 3, 2) for image in images[start : start + 8]])
            network.features(network.prepare(stack))
        seen["forward_s"] = time.process_time() - started
    options = AnomalyOptions(size=256)
    MapBank(network, device).maker(options.used_strides)
    started = time.process_time()
    model = fit_anomaly(network, train[:fitted], options, device).model
    seen["fit_s"] = time.process_time() - started
    started = time.process_time()
    for start in range(fitted, count, 8):
        model.predict(images[start : start + 8])
    seen["score_s"] = time.process_time() - started
    seen["times_forward"] = (seen["fit_s"] + seen["score_s"]) / seen["forward_s"]
    return seen


def shown(row: dict[str, Any]) -> str:
    def number(value: float | None) -> str:
        return "    –" if value is None else f"{value:5.3f}"

    names = ("image_auroc", "pixel_auroc", "pixel_ap", "pro", "false_alarms_at_full_recall", "recall_at_1_percent")
    values = " ".join(number(row[each]) for each in (*names, "good_beyond_threshold", "defects_beyond_threshold"))
    seconds = f"{row['fit_cpu_s']:7.1f} {row['cpu_ms_per_image']:6.0f}"
    return f"{row['set']:7} {row['model']:12} {row['good']:4} {values} {seconds}"


def keep(row: dict[str, Any]) -> None:
    """Put a model into the file of its set, in the place of what was measured of it before, at the same size."""
    path = EVIDENCE / f"anomaly-{row['set']}.json"
    kept = json.loads(path.read_text(encoding="utf-8"))["models"] if path.is_file() else []
    rows = {(MODELS.index(each["model"]), each["size"]): each for each in (*kept, row)}
    ordered = [rows[place] for place in sorted(rows)]
    values = {"title": title(row["set"]), "models": ordered}
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def title(name: str) -> str:
    """The heading of the table of a set."""
    return f"{name}: models of all good training images"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=[*SETS], help=f"out of {', '.join(SETS)}")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--good", type=int, help="number of good images, not kept as evidence")
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--steps", type=int, default=STEPS, help="of the autoencoder")
    parser.add_argument("--images", type=int)
    parser.add_argument("--timing", action="store_true")
    asked = parser.parse_args()
    if asked.timing:
        print(", ".join(f"{name} {value:.2f}" for name, value in timing(min(asked.images or 300, 300)).items()))
        return 0
    print("set     model        good image pxAUC pxAP  PRO   alarm rec1% good> def>    fit s     ms")
    for name in asked.sets:
        for model in asked.models.split(","):
            options = AnomalyOptions(model=model, good=asked.good, size=asked.size, steps=asked.steps)
            row = measure(name, options, asked.images)
            print(shown(row), flush=True)
            if asked.images is None and asked.good is None:
                keep(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
