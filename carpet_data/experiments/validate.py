"""Validate: is a classifier better on real, unseen images for having been trained on synthetic ones too?"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carpet_data.core.progress import Progress, Step
from carpet_data.core.text import counted
from carpet_data.errors import CarpetDataError, DataError, UsageError
from carpet_data.experiments import trainings
from carpet_data.experiments.comparison import Comparison
from carpet_data.experiments.conditions import DEFAULTS
from carpet_data.experiments.partitions import Partition
from carpet_data.experiments.plan import Plan, make_plan
from carpet_data.experiments.validation_text import figure_lines, plan_lines
from carpet_data.experiments.verdict import Verdict, judge
from carpet_data.store import lock, runs
from carpet_data.training.options import TrainOptions

if TYPE_CHECKING:
    from carpet_data.experiments.shortcut import Answer

__all__ = ["ValidateResult", "validate"]

CHECKS = "checks.partial.json"
WORK = "work"
_LEAK = (
    "every synthetic train image and all that it was made from, hosts, donors and their groups, were looked up in the "
    "manifest: none is on a held-out side, no group is on two sides, and no image is on two sides byte for byte"
)


@dataclass(frozen=True, slots=True)
class ValidateResult:
    """What a validation found, or with dry_run would look at.

    Attributes:
        root: The prepared folder.
        name: The data set's name.
        split: Whose images or fractions were used.
        folder: The run folder; None for a dry run.
        plan: (partition, condition, real train images, synthetic train images, test images) of every training.
        seeds: Trainings of each condition and partition.
        steps: Optimiser steps of each training.
        verdicts: One a recipe, or the one on the data set's own synthetic images.
        comparison: All figures and predictions; None for a dry run.
        checks: Pool -> what was asked about shortcuts.
        notes: What the user should know.
        seconds: The run took; of a continued one its last part.
        resumed: Whether a stopped run was continued.
    """

    root: Path
    name: str
    split: str
    folder: Path | None
    plan: tuple[tuple[str, str, int, int, int], ...]
    seeds: int
    steps: int
    verdicts: tuple[Verdict, ...]
    comparison: Comparison | None
    checks: Mapping[str, tuple[Answer, ...]]
    notes: tuple[str, ...]
    seconds: float
    resumed: bool = False

    @property
    def report(self) -> Path | None:
        """The page for people; None for a dry run."""
        return None if self.folder is None else self.folder / "report.html"

    @property
    def dry_run(self) -> bool:
        """Nothing was trained or written."""
        return self.comparison is None

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "root": str(self.root),
            "name": self.name,
            "split": self.split,
            "run": None if self.folder is None else str(self.folder),
            "report": None if self.report is None else str(self.report),
            "plan": [
                dict(
                    zip(("partition", "condition", "real_images", "synthetic_images", "test_images"), each, strict=True)
                )
                for each in self.plan
            ],
            "seeds": self.seeds,
            "steps": self.steps,
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
            "comparison": None if self.comparison is None else self.comparison.to_json(),
            "checks": {pool: [answer.to_json() for answer in answers] for pool, answers in self.checks.items()},
            "notes": list(self.notes),
            "seconds": self.seconds,
            "resumed": self.resumed,
            "dry_run": self.dry_run,
        }

    def text(self) -> str:
        """The result for people."""
        partitions = len({partition for partition, *_ in self.plan})
        many = f"{counted(partitions, 'partition')}, {counted(self.seeds, 'seed')}, {self.steps} steps a training"
        lines = [f"{self.name}, split {self.split}: {many}", ""]
        lines += plan_lines(self.plan) if self.comparison is None else figure_lines(self.comparison)
        lines += ["", *(f"note: {note}" for note in self.notes)]
        for pool, answers in self.checks.items():
            flagged = [answer for answer in answers if answer.result == "flagged"]
            lines += [f"shortcut in {pool}: {answer.detail}" for answer in flagged]
        lines += [verdict.sentence for verdict in self.verdicts]
        if self.folder is None:
            lines.append(f"{len(self.plan) * self.seeds} trainings would be made of {self.root}")
        else:
            lines.append(f"took {self.seconds:.0f} s")
            lines.append(f"report {self.report}")
        return "\n".join(lines)


def validate(
    root: Path | str,
    settings: TrainOptions = DEFAULTS,
    *,
    split: str | None = None,
    splits: Sequence[str] = (),
    partitions: int = 1,
    recipes: Sequence[str | Path] = (),
    to: int | None = None,
    methods: Sequence[str] = (),
    seeds: int = 5,
    out: Path | None = None,
    overwrite: bool = False,
    keep_work: bool = False,
    dry_run: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ValidateResult:
    """Compare training with and without synthetic images, on real test images.

    Conditions: real-only; real images with augmentation and class-balanced sampling, which is the baseline; synthetic
    only; real and synthetic. All have the same network, learning rate and number of optimiser steps. The verdict rests
    on a paired bootstrap over groups of test images. A run that was stopped is continued by the same call.

    Args:
        root: A prepared folder.
        settings: Of the baseline; `seed` is that of the augmented views, the trainings have seeds 0, 1, ….
        split: Whose images are used; None for "main". Its synthetic train images are validated.
        splits: Existing splits as partitions, in place of `split`, such as folds or rotations.
        partitions: More than one: random partitions of the split's real images, grouped and stratified, with the
            fractions of the split; for each, images are synthesized anew in linked workspaces inside the run folder.
        recipes: Recipes to compare; images are synthesized for each in workspaces. A learned one is fitted in each,
            to the train side of its partition.
        to: Train images that a recipe brings each defect class to; None for what the largest class with synthetic
            images has in the data set, 100 where it has none.
        methods: Long-tail methods as further rows: see `experiments.conditions.METHODS`.
        seeds: Trainings of each condition and partition.
        out: The run folder; None for the next number in the data set's folder `runs`.
        overwrite: Replace the run at `out`, or begin anew where a stopped one would be continued.
        keep_work: Leave the workspaces.
        dry_run: Only say what would be done.
        workers: Processes that decode and synthesize; None for one a core.
        progress: Called with each step.

    Raises:
        DataError: The folder is no prepared data set; there are no synthetic images and no recipes; a side is empty, or
            fewer than two classes are both taught and tested; or an image cannot be read.
        LeakError: A held-out image, or a part of one, would reach training.
        UsageError: There is no such split, recipe, method, network or device, or arguments exclude each other.
        OutputError: `out` holds something else.
        WeightsError: The weights cannot be had.
        DeviceMemoryError: A batch does not fit into memory.
        MissingExtraError: The extra `train` is not installed.
    """
    from carpet_data.networks import devices  # names the extra where torch is missing
    from carpet_data.training import views
    from carpet_data.training.network_choice import pinned, refuse_other_network

    if seeds < 1:
        raise UsageError(f"{seeds} seeds", hint="give 1 or more")
    root = Path(root)
    plan = make_plan(
        root, settings, split=split, splits=splits, partitions=partitions, chosen=recipes, to=to, methods=methods
    )
    devices.resolve(settings.device)
    for condition in plan.conditions:
        views.check(condition.settings.augment)
    asked = settings
    settings, weights = pinned(asked, download=not dry_run, progress=progress)
    plan = plan.with_network(settings, weights.note)
    if dry_run:
        return _result(plan, None, None, {}, (), plan.notes, seeds, 0.0)
    described = {
        "root": str(plan.dataset.root.resolve()),
        "name": plan.dataset.name,
        "fingerprint": plan.dataset.fingerprint(plan.split),
        "split": plan.split,
    }
    recorded = {**settings.to_json(), "seeds": seeds, **plan.identity()}
    if out is None and not overwrite:
        refuse_other_network(plan.dataset.root, "validate", asked, recorded, described)
    run, resumed = runs.create(
        plan.dataset.root,
        "validate",
        dataset=described,
        settings=recorded,
        facts={
            "classes": list(plan.dataset.classes),
            "network": {"architecture": weights.architecture, "weights": weights.to_json()},
            "augmentation": views.identity(settings.augment),
        },
        out=out,
        overwrite=overwrite,
    )
    started = time.perf_counter()
    with lock.locked(run.folder, "validate"):
        try:
            cache = plan.dataset.root / runs.RUNS / runs.CACHE if out is None else None
            comparison, checks = _compare(plan, run.folder, settings, seeds, cache, keep_work, workers, progress)
        except CarpetDataError:
            if not (run.folder / trainings.JOURNAL).exists():
                shutil.rmtree(run.folder, ignore_errors=True)
            raise
        verdicts = judge(comparison, plan.judged)
        notes = tuple(dict.fromkeys((*plan.notes, *comparison.warnings)))
        seconds = time.perf_counter() - started
        result = _result(plan, run.folder, comparison, checks, verdicts, notes, seeds, seconds, resumed)
        _write(plan, run, result, settings, weights.architecture, weights.name)
        runs.finish(run, seconds, {"device": str(devices.resolve(settings.device))})
        for name in (trainings.JOURNAL, CHECKS):
            (run.folder / name).unlink(missing_ok=True)
        if not keep_work:
            shutil.rmtree(run.folder / WORK, ignore_errors=True)
    return result


def _compare(
    plan: Plan,
    folder: Path,
    settings: TrainOptions,
    seeds: int,
    cache: Path | None,
    keep_work: bool,
    workers: int | None,
    progress: Progress | None,
) -> tuple[Comparison, dict[str, tuple[Answer, ...]]]:
    from carpet_data.experiments import compare, shortcut

    done = trainings.read(folder)
    have = {training.key for training in done}
    checks = _read_checks(folder)

    def taken() -> Iterator[Partition]:
        for number, name in enumerate(plan.splits):
            wanted = {(condition.name, name, seed) for condition in plan.conditions for seed in range(seeds)}
            unchecked = number == 0 and not checks
            if wanted <= have and not unchecked:
                continue
            with plan.partition(
                name, folder / WORK, keep=keep_work, workers=workers, device=settings.device, progress=progress
            ) as partition:
                if unchecked:
                    # A leak is refused before anything of the images is looked at.
                    partition.refuse_leaks()
                    for pool, made in partition.pools.items():
                        if progress is not None:
                            progress(Step(0, None, f"looking for shortcuts in {pool}"))
                        checks[pool] = shortcut.examine(
                            shortcut.suspects(partition.folder, made), settings, workers=workers
                        )
                    runs.write_json(
                        folder / CHECKS, {pool: [each.to_json() for each in found] for pool, found in checks.items()}
                    )
                yield partition

    comparison = compare.run(
        taken(),
        plan.conditions,
        seeds=range(seeds),
        classes=plan.dataset.classes,
        done=done,
        keep=lambda training: trainings.append(folder, training),
        cache=cache,
        workers=workers,
        progress=progress,
    )
    return comparison, checks


def _read_checks(folder: Path) -> dict[str, tuple[Answer, ...]]:
    from carpet_data.experiments.shortcut import Answer

    path = folder / CHECKS
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_bytes())
        return {pool: tuple(Answer(**each) for each in found) for pool, found in values.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"it is damaged ({error})", where=path, hint="run the command again with --overwrite"
        ) from error


def _result(
    plan: Plan,
    folder: Path | None,
    comparison: Comparison | None,
    checks: Mapping[str, tuple[Answer, ...]],
    verdicts: tuple[Verdict, ...],
    notes: tuple[str, ...],
    seeds: int,
    seconds: float,
    resumed: bool = False,
) -> ValidateResult:
    rows = []
    for name in plan.splits:
        test = len(Partition(name, plan.folder(name)).held_out("test"))
        rows += [(name, each.name, *plan.counts(name, each), test) for each in plan.conditions]
    if comparison is not None:
        # What was trained on counts, null samples and all; the plan could only count the defects.
        counts = {t.key[:2]: (t.real_images, t.synthetic_images) for t in comparison.trainings}
        rows = [(row[0], row[1], *counts[row[1], row[0]], row[4]) for row in rows]
    steps = plan.conditions[0].settings.steps
    assert steps is not None
    return ValidateResult(
        root=plan.dataset.root,
        name=plan.dataset.name,
        split=plan.split,
        folder=folder,
        plan=tuple(rows),
        seeds=seeds,
        steps=steps,
        verdicts=verdicts,
        comparison=comparison,
        checks=checks,
        notes=notes,
        seconds=seconds,
        resumed=resumed,
    )


def _write(
    plan: Plan, run: runs.RunInfo, result: ValidateResult, settings: TrainOptions, architecture: str, weights: str
) -> None:
    from carpet_data.experiments.validation_page import page_of
    from carpet_data.reporting import validation

    comparison = result.comparison
    assert comparison is not None
    order = {condition.name: number for number, condition in enumerate(plan.conditions)}
    rows = [prediction for training in comparison.trainings for prediction in training.predictions]
    rows.sort(key=lambda row: (order[row.condition], row.partition, row.seed, row.id))
    runs.write_predictions(run.folder, rows)
    runs.write_json(
        run.folder / runs.METRICS,
        {
            **comparison.to_json(),
            "verdicts": [verdict.to_json() for verdict in result.verdicts],
            "checks": {pool: [answer.to_json() for answer in answers] for pool, answers in result.checks.items()},
        },
    )
    used = {**settings.to_json(), "architecture": architecture, "weights": weights, "seeds": result.seeds}
    validation.write(
        run.folder,
        page_of(
            comparison,
            result.verdicts,
            result.checks,
            dataset=plan.dataset,
            split=plan.split,
            settings=used | ({} if plan.target is None else {"synthesize to": plan.target}),
            leak=_LEAK,
            notes=result.notes,
            seconds=result.seconds,
        ),
    )
