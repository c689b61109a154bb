"""Validate: do synthetic training images improve a classifier on unseen real images?"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from carpet_data.core.progress import Progress, Step
from carpet_data.core.results import Result
from carpet_data.core.text import counted, duration
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.experiments import trainings
from carpet_data.experiments.conditions import DEFAULTS
from carpet_data.experiments.options import ValidateOptions
from carpet_data.experiments.partitions import Partition
from carpet_data.experiments.plan import Plan, make_plan
from carpet_data.experiments.validation_text import metrics_lines, plan_lines
from carpet_data.experiments.verdict import LEVEL, judge
from carpet_data.reporting.pages import Check, ComparisonMetrics, ValidationPage, Verdict
from carpet_data.store import lock, runs
from carpet_data.store.runs import RunInfo
from carpet_data.training.options import TrainOptions

if TYPE_CHECKING:
    from carpet_data.experiments.comparison import Comparison
    from carpet_data.networks import Weights

__all__ = ["PlannedRuns", "ValidateResult", "validate"]

CHECKS = "checks.partial.json"
WORK = "work"

_SHOWN = (
    "architecture", "weights", "pooling", "resize", "freeze", "steps", "batch_size", "optimizer", "learning_rate",
    "schedule", "weight_decay", "standardize", "augment", "views", "sampling", "good_share", "synthetic_share",
)  # fmt: skip
"""Settings that the page shows."""


@dataclass(frozen=True, slots=True)
class PlannedRuns(Result):
    """One condition on one partition: the number of images it trains on and is tested on."""

    partition: str
    condition: str
    real_images: int
    synthetic_images: int
    test_images: int


@dataclass(frozen=True, slots=True)
class ValidateResult(Result):
    """What a validation found, or with dry_run would do.

    Attributes:
        root: The prepared folder.
        name: The data set's name.
        split: The split that was used, or whose fractions the partitions have.
        run: The run folder; None for a dry run.
        report: The page for people; None for a dry run.
        architecture: The network that all conditions train.
        weights: Its initial weights: "none" or a name.
        plan: Every condition on every partition.
        seeds: Training runs of each of them.
        steps: Optimizer steps of each training run.
        verdicts: One per recipe, or the one on the data set's own synthetic images.
        comparison: All metrics; None for a dry run.
        checks: Name of the synthetic images -> the shortcut check on them.
        notes: What the user should know.
        seconds: The run took; for a resumed one, its last part.
        resumed: Whether an interrupted run was resumed.
        dry_run: Nothing was trained or written.
    """

    root: Path
    name: str
    split: str
    run: Path | None
    report: Path | None
    architecture: str
    weights: str
    plan: tuple[PlannedRuns, ...]
    seeds: int
    steps: int
    verdicts: tuple[Verdict, ...]
    comparison: ComparisonMetrics | None
    checks: Mapping[str, tuple[Check, ...]]
    notes: tuple[str, ...]
    seconds: float
    resumed: bool = False
    dry_run: bool = False

    @property
    def metrics(self) -> ComparisonMetrics | None:
        """All metrics; None for a dry run."""
        return self.comparison

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on the first condition that was judged; None for a dry run."""
        return self.verdicts[0] if self.verdicts else None

    def text(self) -> str:
        """The result for people."""
        partitions = counted(len({each.partition for each in self.plan}), "partition")
        lines = [
            f"{self.name}, split {self.split}: {partitions}, {counted(self.seeds, 'seed')}, {self.steps} steps per run",
            f"network {self.architecture}, {'random weights' if self.weights == 'none' else f'weights {self.weights}'}",
            "",
            *(plan_lines(self.plan) if self.comparison is None else metrics_lines(self.comparison)),
            "",
            *(f"note: {note}" for note in self.notes),
        ]
        for pool, checks in self.checks.items():
            lines += [f"shortcut in {pool}: {check.detail}" for check in checks if check.result == "flagged"]
        lines += [verdict.sentence for verdict in self.verdicts]
        if self.run is None:
            lines.append(f"dry run: {len(self.plan) * self.seeds} training runs on {self.root}")
        else:
            lines += [f"took {duration(self.seconds)}", f"report {self.report}"]
        return "\n".join(lines)


def validate(
    root: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    options: ValidateOptions | None = None,
    training: TrainOptions = DEFAULTS,
    *,
    split: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ValidateResult:
    """Compare training with and without synthetic images, on real test images.

    Conditions: real-only; real images with augmentation and class-balanced sampling, which is the baseline; synthetic
    only; real and synthetic. All have the same network, learning rate and number of optimizer steps. The verdict rests
    on a paired bootstrap over groups of test images. The same call resumes an interrupted run.

    Args:
        root: A prepared folder.
        out: The run folder; None for the next number in the data set's folder `runs`.
        options: What is compared on which partitions; None for the defaults. Random partitions are grouped and
            stratified, with the fractions of the split; images are synthesized for each in linked workspaces inside
            the run folder, and a learned recipe is fitted to the train side of each.
        training: How the baseline is trained; `seed` is that of the augmented views, the training runs have the seeds
            0, 1, ….
        split: The split whose images are used; None for "main".
        overwrite: Replace the run at `out`, or start over instead of resuming.
        dry_run: Only return the plan.
        workers: Number of processes that decode and synthesize; None for one per core.
        progress: Called with each step.

    Raises:
        DataError: The folder is not a prepared data set; there are no synthetic images and no recipes; a side is
            empty, or fewer than two classes are in training and test; or an image cannot be read.
        LeakError: A held-out image, or a part of one, would reach training.
        UsageError: An unknown split, recipe, method, network or device, or arguments that exclude each other.
        OutputError: `out` holds something else.
        WeightsError: The weights are not available.
        DeviceMemoryError: A batch does not fit into memory.
        MissingExtraError: The extra `train` is not installed.
    """
    from carpet_data.networks import devices  # names the extra where torch is missing
    from carpet_data.training import views
    from carpet_data.training.network_choice import pinned, refuse_other_network

    options = ValidateOptions() if options is None else options
    plan = make_plan(Path(root), options, training, split=split)
    device = devices.resolve(training.device)
    for condition in plan.conditions:
        views.check(condition.settings.augment)
    asked = training
    training, weights = pinned(asked, download=not dry_run, progress=progress)
    plan = plan.with_network(training, weights.note)
    planned = _planned(plan, weights, options.seeds)
    if dry_run:
        return planned
    out = None if out is None else Path(out)
    dataset = plan.dataset
    described = {
        "root": str(dataset.root.resolve()),
        "name": dataset.name,
        "fingerprint": dataset.fingerprint(plan.split),
        "split": plan.split,
    }
    recorded = {**training.to_json(), "seeds": options.seeds, **plan.identity()}
    if out is None and not overwrite:
        refuse_other_network(dataset.root, "validate", asked, recorded, described)
    run, resumed = runs.create(
        dataset.root,
        "validate",
        dataset=described,
        settings=recorded,
        facts={
            "classes": list(dataset.classes),
            "network": {"architecture": weights.architecture, "weights": weights.to_json()},
            "augmentation": views.identity(training.augment),
        },
        out=out,
        overwrite=overwrite,
    )
    started = time.perf_counter()
    with lock.locked(run.folder, "validate"):
        try:
            cache = dataset.root / runs.RUNS / runs.CACHE if out is None else None
            found, checks = _compare(plan, run.folder, options, training, cache, workers, progress)
        except CarpetDataError:
            if not (run.folder / trainings.JOURNAL).exists():
                shutil.rmtree(run.folder, ignore_errors=True)
            raise
        result = replace(
            planned,
            plan=_trained(planned.plan, found),
            run=run.folder,
            report=run.folder / "report.html",
            verdicts=judge(found, plan.judged),
            comparison=found.metrics,
            checks=checks,
            notes=tuple(dict.fromkeys((*plan.notes, *found.notes))),
            seconds=time.perf_counter() - started,
            resumed=resumed,
            dry_run=False,
        )
        _write(plan, run, found, result, training)
        runs.finish(run, result.seconds, {"device": str(device)})
        for name in (trainings.JOURNAL, CHECKS):
            (run.folder / name).unlink(missing_ok=True)
        if not options.keep_work:
            shutil.rmtree(run.folder / WORK, ignore_errors=True)
    return result


def _compare(
    plan: Plan,
    folder: Path,
    options: ValidateOptions,
    training: TrainOptions,
    cache: Path | None,
    workers: int | None,
    progress: Progress | None,
) -> tuple[Comparison, dict[str, tuple[Check, ...]]]:
    from carpet_data.experiments import compare

    done = trainings.read(folder)
    have = {each.key for each in done}
    checks = _read_checks(folder)

    def partitions() -> Iterator[Partition]:
        """Those with something left to do, one at a time: each is gone before the next is made."""
        for number, name in enumerate(plan.splits):
            wanted = {(condition.name, name, seed) for condition in plan.conditions for seed in range(options.seeds)}
            unchecked = number == 0 and not checks
            if wanted <= have and not unchecked:
                continue
            making = plan.partition(
                name, folder / WORK, keep=options.keep_work, workers=workers, device=training.device, progress=progress
            )
            with making as partition:
                if unchecked:
                    checks.update(_check(partition, folder, training, workers, progress))
                yield partition

    comparison = compare.run(
        partitions(),
        plan.conditions,
        seeds=range(options.seeds),
        classes=plan.dataset.classes,
        done=done,
        keep=lambda each: trainings.append(folder, each),
        cache=cache,
        workers=workers,
        progress=progress,
    )
    return comparison, checks


def _check(
    partition: Partition, folder: Path, training: TrainOptions, workers: int | None, progress: Progress | None
) -> dict[str, tuple[Check, ...]]:
    """Look for shortcuts in the synthetic images of a partition, and record the answers."""
    from carpet_data.experiments import shortcut_check

    # A leak is refused before anything of the images is looked at.
    partition.refuse_leaks()
    checks = {}
    for pool, made in partition.pools.items():
        if progress is not None:
            progress(Step(0, None, f"looking for shortcuts in {pool}"))
        chosen = shortcut_check.suspects(partition.folder, made)
        checks[pool] = shortcut_check.examine(chosen, training, workers=workers)
    runs.write_json(folder / CHECKS, {pool: [each.to_json() for each in found] for pool, found in checks.items()})
    return checks


def _read_checks(folder: Path) -> dict[str, tuple[Check, ...]]:
    path = folder / CHECKS
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_bytes())
        return {pool: tuple(Check(**each) for each in found) for pool, found in values.items()}
    except (ValueError, TypeError, AttributeError) as error:
        hint = "run the command again with --overwrite"
        raise DataError(f"the file is damaged ({error})", where=path, hint=hint) from error


def _planned(plan: Plan, weights: Weights, seeds: int) -> ValidateResult:
    rows, steps = [], plan.conditions[0].settings.steps
    assert steps is not None
    for name in plan.splits:
        test = len(Partition(name, plan.folder(name)).held_out("test"))
        rows += [PlannedRuns(name, each.name, *plan.counts(name, each), test) for each in plan.conditions]
    return ValidateResult(
        root=plan.dataset.root,
        name=plan.dataset.name,
        split=plan.split,
        run=None,
        report=None,
        architecture=weights.architecture,
        weights=weights.name,
        plan=tuple(rows),
        seeds=seeds,
        steps=steps,
        verdicts=(),
        comparison=None,
        checks={},
        notes=plan.notes,
        seconds=0.0,
        dry_run=True,
    )


def _trained(rows: tuple[PlannedRuns, ...], found: Comparison) -> tuple[PlannedRuns, ...]:
    """What was trained on, null samples and all; the plan could only count the defects."""
    counts = {each.key[:2]: (each.real_images, each.synthetic_images) for each in found.trainings}
    made = (counts[row.condition, row.partition] for row in rows)
    return tuple(
        replace(row, real_images=real, synthetic_images=synthetic)
        for row, (real, synthetic) in zip(rows, made, strict=True)
    )


def _write(plan: Plan, run: RunInfo, found: Comparison, result: ValidateResult, training: TrainOptions) -> None:
    from carpet_data.reporting import validation

    order = {condition.name: number for number, condition in enumerate(plan.conditions)}
    rows = [prediction for training in found.trainings for prediction in training.predictions]
    rows.sort(key=lambda row: (order[row.condition], row.partition, row.seed, row.id))
    runs.write_predictions(run.folder, rows)
    settings = {**training.to_json(), "architecture": result.architecture, "weights": result.weights}
    shown = {name.replace("_", " "): settings[name] for name in _SHOWN} | {"seeds": result.seeds}
    page = ValidationPage(
        name=plan.dataset.name,
        split=plan.split,
        fingerprint=plan.dataset.fingerprint(plan.split),
        license=plan.dataset.license,
        comparison=found.metrics,
        verdicts=result.verdicts,
        checks=result.checks,
        notes=result.notes,
        settings=shown if plan.target is None else {**shown, "synthesize to": plan.target},
        versions=runs.versions(),
        seconds=result.seconds,
        level=LEVEL,
    )
    validation.write(run.folder, page)
