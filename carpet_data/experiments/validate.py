"""Validate: do synthetic training images improve a model on unseen real images?"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carpet_data.core.options import divided
from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import GOOD, DataFolder, folder_of
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.experiments import journal, map_pictures
from carpet_data.experiments.conditions import BASELINE, BASELINE_DENSE, BASELINE_TRAINING
from carpet_data.experiments.options import ValidateOptions
from carpet_data.experiments.partitions import Partition
from carpet_data.experiments.plan import Plan, make_plan
from carpet_data.experiments.validate_result import PlannedRuns, ValidateResult
from carpet_data.experiments.verdict import LEVEL, judged
from carpet_data.metrics.outlook import Outlook, outlook
from carpet_data.reporting.pages import LEARNERS, Check, ValidationPage
from carpet_data.store import lock, runs
from carpet_data.store.runs import Prediction, RunInfo
from carpet_data.training.dense.options import DenseOptions
from carpet_data.training.options import TrainOptions

if TYPE_CHECKING:
    from carpet_data.experiments.comparison import Comparison
    from carpet_data.networks import Weights

__all__ = ["validate"]

CHECKS = "checks.partial.json"
WORK = "work"

_SHOWN = (
    "architecture", "weights", "pooling", "resize", "freeze", "steps", "batch_size", "optimizer", "learning_rate",
    "schedule", "weight_decay", "standardize", "augment", "views", "sampling", "good_share", "synthetic_share",
)  # fmt: skip
"""Settings that the page shows."""


def validate(
    root: DataFolder,
    out: str | os.PathLike[str] | None = None,
    options: ValidateOptions | None = None,
    training: TrainOptions = BASELINE_TRAINING,
    *,
    dense: DenseOptions | None = None,
    split: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> ValidateResult:
    """Compare training with and without synthetic images, on real test images.

    Conditions: real-only; real images with augmentation and class-balanced sampling, which is the baseline; synthetic
    only; real and synthetic. All have the same network, learning rate and number of optimizer steps. The verdict rests
    on a paired bootstrap over groups of test images. The same call resumes an interrupted run.

    Two kinds of model are trained on the same images: the dense head, which learns from the masks and is judged by
    segmentation, image class, detection and anomaly, and the whole-image classifier, which is always shown beside it.

    Args:
        root: A prepared folder, or its Dataset.
        out: The run folder; None for the next number in the data set's folder `runs`.
        options: What is compared on which partitions; None for the defaults. Random partitions are grouped and
            stratified, with the fractions of the split; images are synthesized for each in linked workspaces inside
            the run folder, and a learned recipe is fitted to the train side of each.
        training: How the whole-image classifier of the baseline is trained; `seed` is that of the augmented views, the
            training runs have the seeds 0, 1, ….
        dense: How the dense head is trained; what it leaves open is chosen on the real training images of each
            partition, for all conditions alike. None for the defaults. It runs on the device of `training`.
        split: The split whose images are used; None for "main".
        overwrite: Replace the run at `out`, or start over instead of resuming.
        dry_run: Only return the plan.
        workers: Number of processes that decode and synthesize; None for one per core.
        progress: Called with each step.
        **changes: Fields of `ValidateOptions` and of `TrainOptions` by their names, such as task="segment", resize=64.

    Raises:
        DataError: The folder is not a prepared data set; there are no synthetic images and no recipes; a side is
            empty, or fewer than two classes are in training and test; the images do not allow the task; or an image
            cannot be read.
        LeakError: A held-out image, or a part of one, would reach training.
        UsageError: An unknown split, recipe, method, network, device or option, or options that exclude each other.
        OutputError: `out` holds something else.
        WeightsError: The weights are not available.
        DeviceMemoryError: A batch does not fit into memory.
        MissingExtraError: The extra `train` is not installed.
    """
    from carpet_data.training import views

    compared, trained = divided(changes, ValidateOptions, TrainOptions)
    options, training = ValidateOptions.of(options, compared), training.but(**trained)
    dense = (BASELINE_DENSE if dense is None else dense).but(device=training.device)
    plan = make_plan(folder_of(root), options, training, dense, split=split)
    for condition in plan.conditions:
        views.check(condition.settings.augment)
    # After all that can be refused without torch, which takes seconds to load.
    from carpet_data.networks import devices  # names the extra where torch is missing

    devices.resolve(training.device)
    from carpet_data.experiments import compare
    from carpet_data.training.network_choice import pinned

    compare.refuse_unequal(plan.conditions, BASELINE)
    asked = training
    training, weights = pinned(asked, download=not dry_run, progress=progress)
    plan = plan.with_network(training, weights.note, _dense_network(plan, dense, download=not dry_run))
    planned = _planned(plan, weights, options)
    if dry_run:
        return planned
    place = None if out is None else Path(out)
    run, resumed = _opened(plan, options, asked, training, weights, place, overwrite=overwrite)
    cache = runs.cache_of(plan.dataset.root, out)
    with lock.locked(run.folder, "validate"):
        validation = _Validation(plan, run.folder, options, training, cache, workers, progress)
        return validation.finish(run, replace(planned, resumed=resumed))


def _dense_network(plan: Plan, dense: DenseOptions, *, download: bool) -> DenseOptions | None:
    """The options with the network that "auto" means; None where no dense head is trained."""
    if journal.DENSE not in plan.learners:
        return None
    from carpet_data.experiments.learners.dense import pinned

    return pinned(dense, download=download)


def _opened(
    plan: Plan,
    options: ValidateOptions,
    asked: TrainOptions,
    training: TrainOptions,
    weights: Weights,
    out: Path | None,
    *,
    overwrite: bool,
) -> tuple[RunInfo, bool]:
    """The run folder, and whether an interrupted run in it is resumed."""
    from carpet_data.training import views
    from carpet_data.training.network_choice import refuse_other_network

    dataset = plan.dataset
    described = {
        "root": str(dataset.root.resolve()),
        "name": dataset.name,
        "fingerprint": dataset.fingerprint(plan.split),
        "split": plan.split,
    }
    recorded = {**training.to_json(), "task": options.task, "seeds": options.seeds, **plan.identity()}
    if out is None and not overwrite:
        refuse_other_network(dataset.root, "validate", asked, recorded, described)
    return runs.create(
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


@dataclass(frozen=True, slots=True)
class _Validation:
    """A validation in its run folder."""

    plan: Plan
    folder: Path
    options: ValidateOptions
    training: TrainOptions
    cache: Path | None
    workers: int | None
    progress: Progress | None

    def finish(self, run: RunInfo, planned: ValidateResult) -> ValidateResult:
        """Do what is not done yet, and write the pages; the folder goes where nothing was trained before an error."""
        from carpet_data.networks import devices

        started = time.perf_counter()
        try:
            found, checks = self._compare()
        except CarpetDataError:
            if not (self.folder / journal.JOURNAL).exists():
                shutil.rmtree(self.folder, ignore_errors=True)
            raise
        views = [found.of(learner, task, self.plan.shown(learner)) for learner, task in self.plan.views]
        result = replace(
            planned,
            plan=_trained(planned.plan, found),
            run=self.folder,
            report=self.folder / "report.html",
            verdicts=judged(views, self.plan.judged, asked=self.plan.asked),
            comparisons=tuple(view.metrics for view in views),
            checks=checks,
            notes=tuple(dict.fromkeys((*self.plan.notes, *(note for view in views for note in view.notes)))),
            seconds=time.perf_counter() - started,
            dry_run=False,
        )
        _write(self.plan, run, views, result, self.training)
        runs.finish(run, result.seconds, {"device": str(devices.resolve(self.training.device))})
        for name in (journal.JOURNAL, CHECKS):
            (self.folder / name).unlink(missing_ok=True)
        if not self.options.keep_work:
            shutil.rmtree(self.folder / WORK, ignore_errors=True)
        return result

    def _compare(self) -> tuple[Comparison, dict[str, tuple[Check, ...]]]:
        from carpet_data.experiments import compare

        done, checks = journal.read(self.folder), _read_checks(self.folder)
        comparison = compare.run(
            self._partitions({each.key for each in done}, checks),
            self.plan.conditions,
            seeds=range(self.options.seeds),
            classes=self.plan.dataset.classes,
            learners=self.plan.learners,
            done=done,
            keep=lambda each: journal.append(self.folder, each),
            cache=self.cache,
            heat={BASELINE: self.folder / map_pictures.BASELINE_HEAT, self.plan.judged[0]: self.folder / runs.HEATMAPS},
            workers=self.workers,
            progress=self.progress,
        )
        return comparison, checks

    def _partitions(self, done: set[journal.RunKey], checks: dict[str, tuple[Check, ...]]) -> Iterator[Partition]:
        """Those with something left to do, one at a time: each is gone before the next is made.

        The first one fills in the shortcut checks where they are missing.
        """
        seeds = range(self.options.seeds)
        wanted = [(learner, each.name) for learner in self.plan.learners for each in self.plan.shown(learner)]
        for number, name in enumerate(self.plan.splits):
            unchecked = number == 0 and not checks
            if {(*each, name, seed) for each in wanted for seed in seeds} <= done and not unchecked:
                continue
            with self.plan.partition(
                name,
                self.folder / WORK,
                keep=self.options.keep_work,
                workers=self.workers,
                device=self.training.device,
                progress=self.progress,
            ) as partition:
                if unchecked:
                    checks.update(self._check(partition))
                yield partition

    def _check(self, partition: Partition) -> dict[str, tuple[Check, ...]]:
        """Look for shortcuts in the synthetic images of a partition, and record the answers."""
        from carpet_data.experiments import shortcut_check

        # A leak is refused before anything of the images is looked at.
        partition.refuse_leaks()
        checks = {}
        for pool, made in partition.pools.items():
            if self.progress is not None:
                self.progress(Step(0, None, f"looking for shortcuts in {pool}"))
            chosen = shortcut_check.suspects(partition.folder, made)
            checks[pool] = shortcut_check.examine(chosen, self.training, workers=self.workers)
        recorded = {pool: [each.to_json() for each in found] for pool, found in checks.items()}
        runs.write_json(self.folder / CHECKS, recorded)
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


def _planned(plan: Plan, weights: Weights, options: ValidateOptions) -> ValidateResult:
    rows, steps = [], plan.conditions[0].settings.steps
    assert steps is not None, "refused before"
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
        seeds=options.seeds,
        steps=steps,
        outlook=_outlook(plan),
        verdicts=(),
        comparisons=(),
        checks={},
        notes=plan.notes,
        seconds=0.0,
        dry_run=True,
        task=options.task,
        learners=plan.learners,
        trainings=sum(len(plan.shown(each)) for each in plan.learners) * len(plan.splits) * options.seeds,
    )


def _outlook(plan: Plan) -> Outlook:
    """Over the test images of all partitions, as the paired test takes them."""
    real = {sample.id: sample for split in plan.splits.values() for sample in plan.dataset if sample.id in split.sides}
    real = {sample_id: sample for sample_id, sample in real.items() if sample.origin == "real"}
    test = {sample_id for split in plan.splits.values() for sample_id in split.ids("test")}
    groups = {sample_id: sample.group for sample_id, sample in real.items() if sample.group is not None}
    masked = [sample_id for sample_id, sample in real.items() if not sample.unmasked and sample.class_name != GOOD]
    return outlook({sample_id: sample.class_name for sample_id, sample in real.items()}, groups, test, masked=masked)


def _trained(rows: tuple[PlannedRuns, ...], found: Comparison) -> tuple[PlannedRuns, ...]:
    """What was trained on, null samples and all; the plan could only count the defects."""
    counts = {(each.condition, each.partition): (each.real_images, each.synthetic_images) for each in found.trainings}
    made = (counts[row.condition, row.partition] for row in rows)
    return tuple(
        replace(row, real_images=real, synthetic_images=synthetic)
        for row, (real, synthetic) in zip(rows, made, strict=True)
    )


def _write(plan: Plan, run: RunInfo, views: list[Comparison], result: ValidateResult, training: TrainOptions) -> None:
    from carpet_data.reporting import validation

    runs.write_predictions(run.folder, _predictions(plan, views[0]))
    settings = {**training.to_json(), "architecture": result.architecture, "weights": result.weights}
    shown = {name.replace("_", " "): settings[name] for name in _SHOWN} | {"seeds": result.seeds}
    pictures = map_pictures.write(run.folder, plan.dataset, views, plan.judged[0])
    page = ValidationPage(
        name=plan.dataset.name,
        split=plan.split,
        fingerprint=plan.dataset.fingerprint(plan.split),
        license=plan.dataset.license,
        comparisons=result.comparisons,
        verdicts=result.verdicts,
        checks=result.checks,
        notes=result.notes,
        settings=shown if plan.target is None else {**shown, "synthesize to": plan.target},
        versions=runs.versions(),
        seconds=result.seconds,
        pictures=pictures,
        level=LEVEL,
    )
    validation.write(run.folder, page)


def _predictions(plan: Plan, found: Comparison) -> list[Prediction]:
    """Of every training run; where two kinds of model were trained, the condition names the second one."""
    order = {condition.name: number for number, condition in enumerate(plan.conditions)}
    rows = []
    for training in found.trainings:
        first = training.learner == plan.learners[0]
        for each in training.predictions:
            name = each.condition if first else f"{LEARNERS[training.learner]}: {each.condition}"
            key = (plan.learners.index(training.learner), order[each.condition], each.partition, each.seed, each.id)
            rows.append((key, replace(each, condition=name)))
    return [row for _, row in sorted(rows, key=lambda each: each[0])]
