"""How fast do the learned recipes fit and draw, against what the device can multiply?

    python benchmarks/generators.py [--recipes ddpm-inpaint gan] [--device cpu] [--json]

- A training step as `carpet-data fit` makes it: mean over steps spread over the whole fit, so that every stage counts.
- An image as `carpet-data synthesize` makes it: one draw of the method on a host of 1024x1024, on a CPU in one thread.
  The networks are as they begin; what a draw costs does not depend on what they have learned.
- The floor of each: its floating point operations (multiply and add counted apart, by torch) over the rate of one large
  matrix product in the same precision and with as many threads, measured just before.
Without the real carpet, the sample data set is woven. Each recipe has a process of its own. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

PROJECT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("CARPET_DATA_TEST_DATA", PROJECT.parent / "shared" / "data")) / "mvtec" / "carpet"
RECIPES = ("ddpm-inpaint", "gan")
LIMITS = {"cpu": (30 * 60, 2.0), "cuda": (20 * 60, 0.1)}
"""Device -> most seconds of a fit and of an image."""


def matrix_rate(device: Any, dtype: Any, *, seconds: float = 1.0) -> float:
    """Operations a second of a large matrix product, the best of many."""
    import torch

    from carpet_data.networks import devices

    side = 2048 if device.type == "cpu" else 8192
    a, b = (torch.ones(side, side, device=device, dtype=dtype) for _ in range(2))
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or best == float("inf"):
        devices.synchronize(device)
        begun = time.perf_counter()
        a @ b
        devices.synchronize(device)
        best = min(best, time.perf_counter() - begun)
    return 2 * side**3 / best


def operations(function: Any) -> float:
    """Floating point operations of all matrix products and convolutions in a call, those of gradients too."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        function()
    return float(counter.get_total_flops())


def parameters_in(folder: Path) -> int:
    """Numbers in the weights that a fit keeps for sampling."""
    from safetensors import safe_open

    total = 0
    for path in sorted(folder.rglob("*.safetensors")):
        with safe_open(path, framework="numpy") as file:
            total += sum(int(np.prod(file.get_slice(key).get_shape())) for key in file.keys())  # noqa: SIM118
    return total


def spread(steps: int, count: int) -> list[int]:
    """Numbers of steps over a whole fit, in order."""
    return np.linspace(0, steps - 1, min(count, steps)).round().astype(int).tolist()


def measure(name: str, root: Path, split: str, device_name: str, steps: int, images: int) -> dict[str, Any]:
    """The figures of one recipe."""
    import torch

    from carpet_data import store as layout
    from carpet_data.core.text import counted
    from carpet_data.learned.crops import CropDataset
    from carpet_data.learned.fit_runtime import Runtime
    from carpet_data.networks import devices
    from carpet_data.synthesis.recipe import files, registry

    dataset, recipe = layout.read(root), files.load(name)
    fit = recipe.parameters.fit
    runtime = Runtime.at(device_name, precision=fit.precision)
    data = CropDataset.of(dataset, split, recipe, crop_px=fit.crop_px, context=fit.context)
    method: Any = registry.load(recipe.target)

    def trained(numbers: Sequence[int]) -> tuple[Any, list[float]]:
        learner = method.learner(data, recipe.parameters, runtime)
        times = []
        for number in numbers:
            devices.synchronize(runtime.device)
            begun = time.perf_counter()
            learner.step(number)
            devices.synchronize(runtime.device)
            times.append(time.perf_counter() - begun)
        return learner, times

    half = torch.bfloat16 if runtime.precision == "bf16" else torch.float32
    with devices.deterministic(runtime.device):
        trained(spread(fit.steps, 10))  # buffers and kernels are made
        rate = matrix_rate(runtime.device, half)
        learner, times = trained(spread(fit.steps, steps))
        few = spread(fit.steps, 10)
        work = operations(lambda: trained(few)) / len(few)
    drawn = drawing(method, recipe, dataset, split, data, learner, device_name, images)
    cuda = runtime.device.type == "cuda"
    peak = torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    step_s = statistics.fmean(times)
    return {
        "recipe": name,
        "kind": runtime.device.type,
        "device": torch.cuda.get_device_name() if cuda else f"CPU, {counted(torch.get_num_threads(), 'thread')}",
        "precision": runtime.precision,
        "crop_px": fit.crop_px,
        "batch_size": fit.batch_size,
        "steps": fit.steps,
        "step_s": step_s,
        "step_median_s": statistics.median(times),
        "step_gflop": work / 1e9,
        "rate_gflops": rate / 1e9,
        "step_of_floor": step_s * rate / work,
        "fit_s": step_s * fit.steps,
        "peak_mib": peak / 2**20,
        **drawn,
    }


def drawing(
    method: Any, recipe: Any, dataset: Any, split: str, data: Any, learner: Any, device_name: str, images: int
) -> dict[str, Any]:
    """The figures of sampling with the networks of a learner."""
    import torch

    from carpet_data.core import seeds
    from carpet_data.networks import devices
    from carpet_data.synthesis.contract import Redraw
    from carpet_data.synthesis.engine import model_store, plan, scene_loader, sources
    from carpet_data.synthesis.engine.train_images import TrainImages

    device = devices.resolve(device_name)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / model_store.WEIGHTS
        folder.mkdir()
        learner.save(folder)
        count = parameters_in(folder)
        method.open(folder, str(device))
    class_name = data.classes[0]
    found = sources.build(dataset, split, class_name, recipe)
    planner = plan.Planner(found, recipe, method, seed=0)
    train_images = TrainImages(dataset.root, is_object=found.facts.is_object)
    made = [scene_loader.load(train_images, planner.plan(k), found.facts, whole=False) for k in range(images)]

    def draw(k: int) -> bool:
        try:
            method.render(made[k], recipe.parameters, seeds.generator(0, "benchmark", k))
        except Redraw:
            return False
        return True

    draw(0)
    with devices.one_thread(device):
        rate = matrix_rate(device, torch.float32)
    times, usable = [], 0
    for k in range(images):
        devices.synchronize(device)
        begun = time.perf_counter()
        usable += draw(k)
        devices.synchronize(device)
        times.append(time.perf_counter() - begun)
    work = statistics.fmean(operations(lambda k=k: draw(k)) for k in range(min(4, images)))
    height, width = made[0].host.shape[:2]
    image_s = statistics.fmean(times)
    return {
        "parameters": count,
        "host": [width, height],
        "image_s": image_s,
        "image_gflop": work / 1e9,
        "image_rate_gflops": rate / 1e9,
        "image_of_floor": image_s * rate / work if work else None,
        "draws": images,
        "usable": usable,
    }


def table(rows: Sequence[dict[str, Any]], kind: str) -> str:
    """The Markdown of the figures."""
    most_fit, most_image = LIMITS[kind]
    lines = [
        "| recipe | parameters | s a step | floor, s | times the floor | steps | a fit, min "
        f"| at most {most_fit / 60:.0f} min | peak memory, MiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        floor = row["step_gflop"] / row["rate_gflops"]
        lines.append(
            f"| {row['recipe']} | {row['parameters'] / 1e6:.2f} M | {row['step_s']:.3f} | {floor:.4f} "
            f"| {row['step_of_floor']:.1f} | {row['steps']} | {row['fit_s'] / 60:.1f} "
            f"| {_yes(row['fit_s'] <= most_fit)} | {row['peak_mib']:.0f} |"
        )
    lines += [
        "",
        f"| recipe | s an image | floor, s | times the floor | under {most_image:g} s | usable draws before a fit |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        floor = row["image_gflop"] / row["image_rate_gflops"]
        gap = "–" if row["image_of_floor"] is None else f"{row['image_of_floor']:.1f}"
        lines.append(
            f"| {row['recipe']} | {row['image_s']:.3f} | {floor:.4f} | {gap} "
            f"| {_yes(row['image_s'] < most_image)} | {row['usable']} of {row['draws']} |"
        )
    return "\n".join(lines)


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def prepared(scratch: Path, data: Path) -> tuple[Path, str]:
    """A prepared data set and the split to learn from: the real carpet if it is there, with two images a class."""
    import carpet_data

    root = scratch / "prepared"
    if not data.is_dir():
        carpet_data.sample(scratch / "carpet")
        carpet_data.prepare(scratch / "carpet", root)
        return root, "main"
    carpet_data.prepare(data, root)
    return root, next(iter(carpet_data.split(root, "turn", carpet_data.SplitOptions(protocol="leave-one-out")).splits))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=RECIPES, metavar="RECIPE")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:1: the kinds that have limits")
    parser.add_argument("--data", type=Path, default=DATA, help="in MVTec AD layout")
    parser.add_argument("--steps", type=int, default=40, help="training steps that are timed")
    parser.add_argument("--images", type=int, default=12, help="draws that are timed")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead")
    given = parser.parse_args()
    if given.device.partition(":")[0] not in LIMITS:
        parser.error(f"{given.device}: there are limits for {' and '.join(LIMITS)} only")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root, split = prepared(Path(folder), given.data)
        for name in given.recipes:
            # A fresh process each, so that the peak of memory is the recipe's own.
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
                asked = (name, root, split, given.device, given.steps, given.images)
                rows.append(alone.submit(measure, *asked).result())
    if given.json:
        print(json.dumps(rows, indent=1))
        return
    first = rows[0]
    print(
        f"{first['device']} ({platform.machine()}, Python {platform.python_version()}); a fit in {first['precision']}, "
        f"{first['rate_gflops']:.0f} Gflop/s measured;\nsampling in full precision, "
        f"{first['image_rate_gflops']:.0f} Gflop/s. Hosts of {first['host'][0]}x{first['host'][1]}.\n"
    )
    print(table(rows, first["kind"]))


if __name__ == "__main__":
    main()
