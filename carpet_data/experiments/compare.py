"""Train every condition on every partition with every seed, and keep the predictions on the test images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from carpet_data.core.progress import Progress, Step
from carpet_data.errors import UsageError
from carpet_data.experiments.comparison import Comparison
from carpet_data.experiments.conditions import BASELINE, Condition
from carpet_data.experiments.journal import CLASSIFIER, DENSE, RunKey, Training
from carpet_data.experiments.learners.contract import Learner
from carpet_data.experiments.learners.whole_image import WholeImage, refuse_unequal
from carpet_data.experiments.partitions import Partition, classes_of, refuse_unfit

__all__ = ["refuse_unequal", "run"]


def run(
    partitions: Iterable[Partition],
    conditions: Sequence[Condition],
    *,
    seeds: Sequence[int],
    classes: Sequence[str] | None = None,
    baseline: str = BASELINE,
    learners: Sequence[str] = (CLASSIFIER,),
    done: Iterable[Training] = (),
    keep: Callable[[Training], None] | None = None,
    cache: Path | None = None,
    heat: Mapping[str, Path] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare conditions over partitions and seeds.

    What the conditions share, such as the features of an image, is computed once. Test images are predicted once per
    training run.

    Args:
        partitions: Taken one at a time, so that a generator may make each when its turn comes.
        conditions: At least the baseline.
        seeds: One per training run of a condition and partition.
        classes: All class names in order; None for those of the partitions, which are then all taken at once.
        baseline: The condition that the others are compared with.
        learners: What is trained: "classifier", "dense" or both; the comparison that comes back shows the first, and
            `Comparison.of` the others.
        done: Training runs of an earlier, interrupted call; they are not repeated.
        keep: Called with each new training run, to record it.
        cache: A folder where features are kept for the next run; None to keep none.
        heat: condition -> a folder for the heat maps of its first training run; None to keep none.
        workers: Number of processes that decode; None for one per core.
        progress: Called while features are computed and after each training run.

    Raises:
        UsageError: No seed, learner or condition, a duplicate name, no baseline, or settings that differ in more than
            what is compared.
        DataError: A partition cannot be evaluated (`refuse_unfit`), an image cannot be read, or a training diverges.
        LeakError: A held-out image could reach training.
        WeightsError: The weights are not available.
        DeviceMemoryError: A batch does not fit into memory.
    """
    refuse_unequal(conditions, baseline)
    if not seeds or len(set(seeds)) < len(seeds):
        raise UsageError(f"invalid seeds {list(seeds)}", hint="give at least one, all different")
    if classes is None:
        partitions = tuple(partitions)
        classes = classes_of(partitions)
    classes = tuple(classes)
    done = tuple(done)
    made = [_made(name, conditions, classes, baseline, done, cache, heat, workers, progress) for name in learners]
    if not made:
        raise UsageError("nothing to train", hint=f"name a learner: {CLASSIFIER}, {DENSE}")
    known = {(learner.name, condition.name) for learner in made for condition in learner.conditions}
    found = {training.key: training for training in done if (training.learner, training.condition) in known}
    notes = list[str]()
    for partition in _sound(partitions, notes):
        for learner in made:
            for training in _Runs(learner, tuple(seeds), classes, progress).of(partition, found):
                found[training.key] = training
                if keep is not None:
                    keep(training)
    notes += [note for training in found.values() for note in training.notes]
    everything = tuple(found.values())
    first = made[0]
    return Comparison(
        classes, tuple(first.conditions), baseline, everything, tuple(dict.fromkeys(notes)), learner=first.name
    )


def _sound(partitions: Iterable[Partition], notes: list[str]) -> Iterator[Partition]:
    """The partitions, each refused where it cannot be evaluated or leaks; what is to be known of it is noted."""
    names = set[str]()
    for partition in partitions:
        if partition.name in names:
            raise UsageError(f"duplicate partition {partition.name!r}", hint="name each partition once")
        names.add(partition.name)
        notes += refuse_unfit(partition)
        partition.refuse_leaks()
        yield partition


def _made(
    name: str,
    conditions: Sequence[Condition],
    classes: tuple[str, ...],
    baseline: str,
    done: Sequence[Training],
    cache: Path | None,
    heat: Mapping[str, Path] | None,
    workers: int | None,
    progress: Progress | None,
) -> Learner:
    if name == CLASSIFIER:
        return WholeImage.of(conditions, classes, cache=cache, workers=workers, progress=progress)
    if name == DENSE:
        from carpet_data.experiments.learners.dense import Dense

        # A resumed run keeps the settings that it chose before it was interrupted.
        before = [each for each in done if each.learner == DENSE]
        return Dense.of(
            conditions, classes, baseline, before, cache=cache, heat=heat, workers=workers, progress=progress
        )
    raise UsageError(f"unknown learner {name!r}", hint=f"use one of: {CLASSIFIER}, {DENSE}")


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """The training runs of one kind of model."""

    learner: Learner
    seeds: tuple[int, ...]
    classes: tuple[str, ...]
    progress: Progress | None

    def of(self, partition: Partition, done: dict[RunKey, Training]) -> Iterator[Training]:
        """Train what is not done yet on a partition."""
        name, conditions = self.learner.name, self.learner.conditions
        open_seeds = {
            each.name: [s for s in self.seeds if (name, each.name, partition.name, s) not in done]
            for each in conditions
        }
        total = len(conditions) * len(self.seeds)
        finished = total - sum(map(len, open_seeds.values()))
        if finished == total:
            return
        self.learner.ready(partition)
        for condition in conditions:
            seeds = open_seeds[condition.name]
            if not seeds:
                continue
            for training in self._trained(partition, condition, seeds):
                yield training
                finished += 1
                if self.progress is not None:
                    self.progress(Step(finished, total, f"{_DOING[name]}, {partition.name}"))
        self.learner.forget(partition)

    def _trained(self, partition: Partition, condition: Condition, seeds: Sequence[int]) -> Iterator[Training]:
        test = partition.held_out("test")
        units = tuple(sample.group if sample.group is not None else sample.id for sample in test)
        real, synthetic = partition.counts(condition)
        trained = {sample.class_name for _, samples in partition.train(condition) for sample in samples}
        for seed, found in zip(seeds, self.learner.train(partition, condition, seeds), strict=True):
            yield Training(
                condition=condition.name,
                partition=partition.name,
                seed=seed,
                real_images=real,
                synthetic_images=synthetic,
                steps=found.steps,
                predictions=found.predictions,
                units=units,
                untrained=tuple(name for name in self.classes if name not in trained),
                learner=self.learner.name,
                evidence=found.evidence,
                notes=found.notes,
                chosen=found.chosen,
            )


_DOING = {CLASSIFIER: "training", DENSE: "training the dense head"}
