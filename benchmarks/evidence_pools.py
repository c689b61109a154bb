"""The synthetic images that benchmarks/evidence.py compares: made pool by pool, each with a record of what it took."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import carpet_data
from carpet_data import store as layout
from carpet_data.core.progress import Step
from carpet_data.dataset import GOOD, Dataset, Sample, Split
from carpet_data.errors import CarpetDataError
from carpet_data.experiments import workspaces
from carpet_data.store.files import write_bytes
from carpet_data.synthesis.engine.run import HopelessError
from carpet_data.synthesis.recipe import files as recipes
from carpet_data.synthesis.recipe.model import Recipe

LEFT_OUT = "donor-paste"
"""Makes the classes that a learned recipe cannot: too few donors, or no draw that the gates let pass."""
LOOKED_AT = 16
"""Images of a class in which copies are looked for, evenly chosen."""
CROP_PX, CONTEXT = 64, 1.6
TOLD_S = 60.0


@dataclass(frozen=True)
class Pool:
    """One set of synthetic images for one partition.

    Attributes:
        name: Of the pool, such as "ddpm-inpaint".
        partition: Name of the split.
        root: Its workspace; the record lies beside it.
        recipes: Name or file of each recipe in turn, with the train images it brings every defect class to.
        number: Of the partition: the seed.
        device: Where learned recipes compute.
        quality: Whether to score the images and to look for copies.
    """

    name: str
    partition: str
    root: Path
    recipes: tuple[tuple[str, int], ...]
    number: int
    device: str = "auto"
    quality: bool = False

    @property
    def record(self) -> Path:
        """Says by which recipes the images are, and what they took once all are made."""
        return self.root.with_name(f"{self.root.name}.json")

    @property
    def identities(self) -> list[list[Any]]:
        """What tells that the images are those of today's recipes."""
        return [[recipes.load(name).identity, to] for name, to in self.recipes]


def derived(work: Path, name: str, steps: int) -> str:
    """A recipe file that is the shipped one but for its number of steps; the name itself where nothing is learned."""
    if not learned(recipes.load(name)):
        return name
    path = work / "recipes" / f"{name}-{steps}-steps.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, f"extends: {name}\nparameters:\n  fit:\n    steps: {steps}\n".encode())
    return str(path)


def learned(recipe: Recipe) -> bool:
    return recipe.is_learned


def made(pool: Pool) -> dict[str, Any] | None:
    """The record of a pool that was made before; None where there is none, or recipes have changed since."""
    if not pool.record.is_file():
        return None
    record: dict[str, Any] = json.loads(pool.record.read_text())
    whole = record["finished"] and record["recipes"] == pool.identities
    return record if whole and (record["quality"] is not None or not pool.quality) else None


def make(pool: Pool, dataset: Dataset, split: Split, *, workers: int | None = None) -> dict[str, Any]:
    """Fit what must be fitted, make the images, and keep the record; what is done already is not done again."""
    record = made(pool)
    if record is not None:
        return record
    workers = 1 if pool.quality else workers  # seconds an image are those of one process
    if pool.record.is_file() and json.loads(pool.record.read_text())["recipes"] != pool.identities:
        # Images of another recipe would count towards the target.
        shutil.rmtree(pool.root, ignore_errors=True)
    workspaces.create(pool.root, dataset, split)
    write_bytes(pool.record, json.dumps({"finished": False, "recipes": pool.identities}).encode())
    fit_s, draw_s, count, left_out = 0.0, 0.0, 0, list[str]()
    model: Mapping[str, Any] | None = None
    for name, to in pool.recipes:
        recipe = recipes.load(name)
        if learned(recipe):
            fitted = _fit(pool, recipe)
            model, fit_s = fitted.memorisation, fit_s + fitted.seconds
            drawn = _drawn_classes(pool, recipe, to, fitted.classes, workers)
            draw_s, count = draw_s + drawn.seconds, count + drawn.images
            left_out += _fill(pool.root, to, drawn.classes, pool.number, workers)
            continue
        before = _synthetic(pool.root)
        begun = time.perf_counter()
        carpet_data.rebalance(pool.root, to, recipe=recipe, seed=pool.number, workers=workers)
        draw_s += time.perf_counter() - begun
        count += len(_synthetic(pool.root)) - len(before)
    record = {
        "finished": True,
        "pool": pool.name,
        "partition": pool.partition,
        "recipes": pool.identities,
        "fit_s": fit_s,
        "draw_s": draw_s,
        "images": count,
        "left_out": sorted(set(left_out)),
        "model_memorisation": model,
        "quality": quality(pool.root, set(left_out)) if pool.quality else None,
    }
    write_bytes(pool.record, json.dumps(record, indent=1).encode())
    return record


@dataclass(frozen=True)
class Drawn:
    """What a learned recipe could draw: classes, images made now, seconds they took."""

    classes: tuple[str, ...]
    images: int
    seconds: float


def _drawn_classes(pool: Pool, recipe: Recipe, to: int, classes: Sequence[str], workers: int | None) -> Drawn:
    """Bring each class that a model knows to its number; one of which the gates refuse every draw is not among them."""
    found, images, seconds = list[str](), 0, 0.0
    for name in classes:
        train = layout.read(pool.root).on_side("train", workspaces.SPLIT)
        real = sum(s.class_name == name and s.origin == "real" for s in train)
        begun = time.perf_counter()
        try:
            if to > real:
                made = carpet_data.synthesize(
                    pool.root,
                    [name],
                    to - real,
                    recipe=recipe,
                    seed=pool.number,
                    workers=workers,
                    device=pool.device,
                )
                images += made.classes[name].made
        except HopelessError as error:
            print(f"{pool.partition}, {pool.name}: {error}", flush=True)
            continue
        seconds += time.perf_counter() - begun
        found.append(name)
    return Drawn(tuple(found), images, seconds)


def _fit(pool: Pool, recipe: Recipe) -> Any:
    """The model of a recipe, fitted now, gone on with, or found."""
    from carpet_data.learned.fit import fit_first
    from carpet_data.synthesis.engine import model_store

    begun = told = time.monotonic()
    first: int | None = None

    def show(step: Step) -> None:
        nonlocal first, told
        first = step.done if first is None else first
        now = time.monotonic()
        if step.total is not None and step.done > first and now - told >= TOLD_S:
            left = (now - begun) / (step.done - first) * (step.total - step.done) / 60
            told = now
            print(f"{pool.partition}, {pool.name}: step {step.done} of {step.total}, {left:.0f} min left", flush=True)

    fit_first(pool.root, recipe, split=workspaces.SPLIT, seed=pool.number, device=pool.device, progress=show)
    return model_store.find(layout.read(pool.root), workspaces.SPLIT, recipe)


def _fill(root: Path, to: int, classes: Sequence[str], seed: int, workers: int | None) -> list[str]:
    """Bring the classes that a model cannot make to their number by other means, so that pools stay equal."""
    dataset = layout.read(root)
    others = [name for name in dataset.categories if name not in classes]
    filled = []
    for name in others:
        lacking = to - sum(s.class_name == name for s in dataset.on_side("train", workspaces.SPLIT))
        if lacking > 0:
            carpet_data.synthesize(root, [name], lacking, recipe=LEFT_OUT, seed=seed, workers=workers)
        filled.append(name)
    return filled


def _synthetic(root: Path) -> list[Sample]:
    train = layout.read(root).on_side("train", workspaces.SPLIT)
    return [sample for sample in train if sample.origin == "synthetic" and sample.class_name != GOOD]


def quality(root: Path, left_out: set[str]) -> dict[str, Any]:
    """How near the images are to real ones, and how many nearly repeat one: means over classes.

    Args:
        root: A workspace with synthetic images.
        left_out: Classes made by another recipe, which do not count.
    """
    scores = carpet_data.score(root, split=workspaces.SPLIT, backbone="none", workers=1)
    groups = [group for group in scores.groups if group.class_name not in left_out]
    rows = [group.distances for group in groups]
    return {
        "accepted": _mean([group.acceptance.share for group in groups]),
        "frechet_texture": _mean([row.frechet_texture for row in rows]),
        "real_frechet_texture": _mean([row.real_frechet_texture for row in rows]),
        "diversity": _mean([row.diversity for row in rows]),
        "real_diversity": _mean([row.real_diversity for row in rows]),
        "nearest_real": _mean([row.nearest_real for row in rows]),
        "real_nearest_real": _mean([row.real_nearest_real for row in rows]),
        "lightness_emd": _mean([None if row.color_emd is None else row.color_emd[0] for row in rows]),
        "memorisation": memorisation_of(root, left_out),
    }


def memorisation_of(root: Path, left_out: set[str]) -> dict[str, Any]:
    """Copies among finished images, by the same measure for every recipe: crops around their masks."""
    from carpet_data.learned import copies
    from carpet_data.learned.crops import CropDataset, GeneratedCrop
    from carpet_data.learned.windows import around, cut, cut_mask
    from carpet_data.synthesis.engine.train_images import TrainImages
    from carpet_data.synthesis.ops.masks import mask_box

    dataset = layout.read(root)
    recipe = recipes.load("donor-paste")
    data = CropDataset.of(dataset, workspaces.SPLIT, recipe, crop_px=CROP_PX, context=CONTEXT)
    pixels = TrainImages(root, is_object=data.is_object)
    drawn = []
    synthetic = _synthetic(root)
    for name in data.classes:
        of_class = [sample for sample in synthetic if sample.class_name == name and name not in left_out]
        if not of_class:
            continue
        chosen = np.linspace(0, len(of_class) - 1, min(len(of_class), LOOKED_AT)).round().astype(int)
        for sample in (of_class[k] for k in chosen):
            mask = pixels.mask(sample, name)
            window = around(mask_box(mask), CROP_PX, CONTEXT)
            drawn.append(
                GeneratedCrop(name, cut(pixels.image(sample), window, CROP_PX), cut_mask(mask, window, CROP_PX))
            )
    return copies.measure(data, drawn).to_json()


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def prepare(pools: Sequence[tuple[Pool, Dataset, Split]], processes: int) -> None:
    """Make all pools, so many at a time and each in one thread; what was made before is left as it is.

    Long ones begin first. Fits go on from their checkpoints when it is begun again.

    Raises:
        SystemExit: Some could not be made; the others are.
    """
    waiting = [each for each in pools if made(each[0]) is None]
    print(f"{len(pools) - len(waiting)} of {len(pools)} pools are there, {processes} at a time", flush=True)
    waiting.sort(key=lambda each: not any(learned(recipes.load(name)) for name, _ in each[0].recipes))
    if not waiting:
        return
    begun = time.monotonic()
    took: dict[str, list[float]] = {}
    failed: list[str] = []
    left = [pool.name for pool, _, _ in waiting]
    with _one_thread(), ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as workers:
        jobs = {workers.submit(_timed, *each): each[0] for each in waiting}
        for job in as_completed(jobs):
            pool = jobs[job]
            left.remove(pool.name)
            try:
                seconds = job.result()
            except CarpetDataError as error:
                # The others go on: what they make is kept.
                failed.append(f"{pool.partition}, {pool.name}: {error}")
                print(f"failed: {failed[-1]}", flush=True)
                continue
            took.setdefault(pool.name, []).append(seconds)
            print(
                f"{pool.partition}, {pool.name}: made in {seconds / 60:.1f} min; {len(left)} pools left, "
                f"{_left_s(left, took) / processes / 60:.0f} min, {(time.monotonic() - begun) / 60:.0f} min gone",
                flush=True,
            )
    if failed:
        raise SystemExit("\n".join([f"{len(failed)} pools could not be made:", *failed]))


@contextmanager
def _one_thread() -> Iterator[None]:
    """What a process that begins within reads: the libraries are to use one thread."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _left_s(left: Sequence[str], took: Mapping[str, Sequence[float]]) -> float:
    """Seconds that pools will take by what pools of their name took, else by what any took."""
    overall = statistics.fmean(seconds for each in took.values() for seconds in each)
    return sum(statistics.fmean(took[name]) if name in took else overall for name in left)


def _timed(pool: Pool, dataset: Dataset, split: Split) -> float:
    begun = time.monotonic()
    make(pool, dataset, split, workers=1)
    return time.monotonic() - begun


def summary(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a pool: means over its partitions."""
    names = list(dict.fromkeys(str(record["pool"]) for record in records))
    rows = []
    for name in names:
        own = [record for record in records if record["pool"] == name]
        known = [record["quality"] for record in own if record["quality"] is not None]
        keys = [key for key in known[0] if key != "memorisation"] if known else []
        copies = [each["memorisation"] for each in known]
        images = sum(record["images"] for record in own)
        rows.append(
            {
                "pool": name,
                "images": images,
                "fit_s": _mean([record["fit_s"] for record in own]),
                "image_s": sum(record["draw_s"] for record in own) / images if images else None,
                **{key: _mean([each[key] for each in known]) for key in keys},
                "near_copies": _mean([each["near_copies"] for each in copies]),
                "near_copies_by_features": _mean([each["near_copies_by_features"] for each in copies]),
                "backbone": copies[0]["backbone"] if copies else None,
                "left_out": {r["partition"]: r["left_out"] for r in own if r["left_out"]},
            }
        )
    return rows
