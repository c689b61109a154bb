"""What a validation will do: its partitions, where their synthetic images come from, and its conditions."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from carpet_data import store
from carpet_data.core.progress import Progress, named
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, Dataset, Split
from carpet_data.errors import DataError, UsageError
from carpet_data.experiments import workspaces
from carpet_data.experiments.conditions import SYNTHETIC, Condition, standard
from carpet_data.experiments.journal import CLASSIFIER, DENSE
from carpet_data.experiments.options import ValidateOptions
from carpet_data.experiments.partitions import DatasetSplit, Partition, refuse_unfit
from carpet_data.learned.fit import fit_first
from carpet_data.preparation.train_data import opened
from carpet_data.store import recipes as kept_recipes
from carpet_data.store.names import RECIPES
from carpet_data.synthesis.contract import is_learned
from carpet_data.synthesis.engine.rebalance import rebalance
from carpet_data.synthesis.recipe import files
from carpet_data.synthesis.recipe.model import Recipe
from carpet_data.synthesis.recipe.strict_yaml import Document
from carpet_data.training.dense.options import DenseOptions
from carpet_data.training.options import TrainOptions

__all__ = ["Plan", "make_plan"]

_TASKS = ("segment", "classify", "detect", "anomaly")
"""Of the dense head; without another wish the first is the page's."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a validation will do.

    Attributes:
        dataset: The prepared data set.
        split: The split it is named by, or whose fractions the partitions have.
        splits: Name of the partition -> its split, with synthetic samples where they are the data set's own.
        pools: Name -> recipe of what is synthesized for each partition; None for the data set's own synthetic images.
        target: Number of training images that a recipe brings each defect class to.
        conditions: What is compared.
        notes: What the user should know.
        views: Learner and task of each comparison; those that the verdict is about first.
        asked: Number of the views that the verdict is about.
    """

    dataset: Dataset
    split: str
    splits: dict[str, Split]
    pools: dict[str, Recipe | None]
    target: int | None
    conditions: tuple[Condition, ...]
    notes: tuple[str, ...]
    views: tuple[tuple[str, str], ...] = ((CLASSIFIER, "classify"),)
    asked: int = 1

    @property
    def learners(self) -> tuple[str, ...]:
        """What is trained."""
        return tuple(dict.fromkeys(learner for learner, _ in self.views))

    def shown(self, learner: str) -> tuple[Condition, ...]:
        """The conditions under which it is trained."""
        return tuple(each for each in self.conditions if learner == CLASSIFIER or each.dense is not None)

    @property
    def synthesizes(self) -> bool:
        """Whether images are synthesized for the partitions, in workspaces."""
        return any(recipe is not None for recipe in self.pools.values())

    @property
    def judged(self) -> tuple[str, ...]:
        """The conditions that get a verdict, the first of them the validation's own."""
        return tuple(f"real + {pool}" for pool in self.pools)

    def with_network(self, settings: TrainOptions, note: str, dense: DenseOptions | None) -> Plan:
        """The plan with the networks of these settings in every condition, and a note on it where there is one."""
        network = {name: getattr(settings, name) for name in ("architecture", "weights")}
        conditions = tuple(replace(each, settings=each.settings.but(**network)) for each in self.conditions)
        if dense is not None:
            theirs = {name: getattr(dense, name) for name in ("architecture", "weights")}
            conditions = tuple(
                replace(each, dense=None if each.dense is None else each.dense.but(**theirs)) for each in conditions
            )
        return replace(self, conditions=conditions, notes=(*([note] if note else []), *self.notes))

    def identity(self) -> dict[str, Any]:
        """What decides the images, as plain values."""
        return {
            "partitions": {
                name: self.folder(name).dataset.fingerprint(split.name) for name, split in self.splits.items()
            },
            "pools": {name: None if recipe is None else recipe.identity for name, recipe in self.pools.items()},
            "target": self.target,
            "conditions": [condition.name for condition in self.conditions],
            "dense": next((each.dense.to_json() for each in self.conditions if each.dense is not None), None),
        }

    def folder(self, name: str) -> DatasetSplit:
        """The real images of a partition with its split."""
        split = self.splits[name]
        return DatasetSplit(replace(self.dataset, splits={**self.dataset.splits, split.name: split}), split.name)

    def counts(self, name: str, condition: Condition) -> tuple[int, int]:
        """Number of real and synthetic images that a condition trains on; the latter as they will be made."""
        folder = self.folder(name)
        real = Counter(s.class_name for s in folder.real() if condition.real_defects or s.class_name == GOOD)
        if condition.pool is None:
            return sum(real.values()), 0
        if self.pools[condition.pool] is None:
            return sum(real.values()), len(folder.synthetic())
        assert self.target is not None
        left_out = self.left_out(name, condition.pool)
        present = Counter(s.class_name for s in folder.real() if s.class_name != GOOD and s.class_name not in left_out)
        return sum(real.values()), sum(max(0, self.target - count) for count in present.values())

    def left_out(self, name: str, pool: str) -> dict[str, int]:
        """The classes with too few donors for a learned recipe in a partition: class -> number of donors.

        Raises:
            DataError: Every class is one of them.
        """
        recipe = self.pools[pool]
        method = None if recipe is None else recipe.load_method()
        if method is None or not is_learned(method):
            return {}
        real = [s for s in self.folder(name).real() if s.class_name != GOOD]
        donors = Counter({s.class_name: 0 for s in real})
        for sample in real:
            if sample.annotation is not None:
                donors.update({sample.class_name, *sample.defect_classes})
        few = {class_name: count for class_name, count in sorted(donors.items()) if count < method.least_donors}
        if len(few) == len(donors):
            counts = ", ".join(f"{class_name} {count}" for class_name, count in few.items()) or "no defect"
            raise DataError(
                f"{pool} needs at least {method.least_donors} training images with a mask of a class; in {name} no "
                f"class has them ({counts})",
                where=self.dataset.root,
                hint="leave that recipe out (donor-paste needs only one), or put more images on the train side",
            )
        return few

    @contextmanager
    def partition(
        self, name: str, work: Path, *, keep: bool, workers: int | None, device: str, progress: Progress | None
    ) -> Iterator[Partition]:
        """A partition with its synthetic images, made where needed in workspaces below `work`.

        They are removed at the end unless `keep`.
        """
        if not self.synthesizes:
            folder = self.folder(name)
            yield Partition(name, folder, {SYNTHETIC: folder})
            return
        split = self.splits[name]
        place = work / _file_name(name)
        pools = {
            pool: self._synthesized(name, pool, place / _file_name(pool), workers, device, progress)
            for pool in self.pools
        }
        real = replace(self.dataset, splits={split.name: workspaces.real_split(self.dataset, split)})
        yield Partition(name, DatasetSplit(real, split.name), pools)
        if not keep:
            shutil.rmtree(place)

    def _synthesized(
        self, name: str, pool: str, root: Path, workers: int | None, device: str, progress: Progress | None
    ) -> DatasetSplit:
        """A workspace of a partition with the synthetic images of one recipe."""
        recipe, seed = self.pools[pool], list(self.splits).index(name)
        assert recipe is not None
        assert self.target is not None
        workspaces.create(root, self.dataset, self.splits[name])
        # Fitted to the train side of this partition only; the data set's own model is reused where the partition has
        # exactly its train side.
        fit_first(
            root,
            recipe,
            split=workspaces.SPLIT,
            seed=seed,
            device=device,
            like=self.dataset.root,
            progress=named(progress, f"fitting {pool}, {name}"),
        )
        made = rebalance(
            root,
            self.target,
            recipe=recipe,
            split=workspaces.SPLIT,
            seed=seed,
            workers=workers,
            device=device,
            progress=named(progress, f"synthesizing {pool}, {name}"),
        )
        if made.synthesis is not None and made.synthesis.failed:
            # A comparison without the images of a class would not be the one that was asked for.
            failed, why = next(iter(made.synthesis.failed.items()))
            raise DataError(f"{failed}: {why.what}", where=self.dataset.root, hint=why.advice(failed))
        return DatasetSplit.of(root, workspaces.SPLIT)


def _file_name(text: str) -> str:
    return _UNSAFE.sub("-", text)


def make_plan(
    root: Path,
    options: ValidateOptions,
    training: TrainOptions,
    dense: DenseOptions,
    *,
    split: str | None = None,
) -> Plan:
    """Decide what a validation does, and refuse what it cannot do before any work.

    Raises:
        As `validate`.
    """
    dataset, names = _opened(root, split, options.splits)
    base, random = dataset.splits[names[0]], options.partitions > 1
    pools, notes = _pools(dataset, names, options)
    if random:
        found = {f"partition {n}": workspaces.redrawn(dataset, base, n) for n in range(options.partitions)}
    else:
        found = {name: dataset.splits[name] for name in names}
    target = None
    if any(recipe is not None for recipe in pools.values()):
        target = workspaces.defect_target(dataset, base) if options.to is None else options.to
    elif options.to is not None:
        raise UsageError(
            "--to has no effect: the data set's own synthetic images are validated",
            hint="leave --to out, or give --recipes or --partitions",
        )
    views, asked, more = _views(dataset, found, options.task)
    takes_part = any(learner == DENSE for learner, _ in views)
    conditions = standard(training, pools=tuple(pools), methods=options.methods, dense=dense if takes_part else None)
    plan = Plan(dataset, names[0], found, pools, target, conditions, (), views, asked)
    notes += more
    for name in found:
        notes += refuse_unfit(Partition(name, plan.folder(name)))
        notes += [
            f"{class_name} has only {counted(count, 'training image')} with a mask in {name}, too few for {pool}: "
            "it makes none of this class"
            for pool in pools
            for class_name, count in plan.left_out(name, pool).items()
        ]
        if not plan.synthesizes or not random:
            Partition(name, plan.folder(name)).refuse_leaks()
    return replace(plan, notes=tuple(dict.fromkeys(notes)))


def _views(
    dataset: Dataset, splits: Mapping[str, Split], task: str
) -> tuple[tuple[tuple[str, str], ...], int, list[str]]:
    """The comparisons that the images allow, those that the task asks for first, their number, and notes on the rest.

    Raises:
        DataError: They do not allow what was asked for.
    """
    beside = (CLASSIFIER, "classify")
    if task == "classify":
        return (beside,), 1, []
    missing = _missing(dataset, splits)
    if task != "dense" and task in missing:
        raise DataError(
            f"no verdict on {task} is possible: {missing[task]}",
            where=dataset.root,
            hint="add what is missing, or use another --task",
        )
    order = (task, *(each for each in _TASKS if each != task)) if task != "dense" else _TASKS
    able = tuple((DENSE, each) for each in order if each not in missing)
    reasons: dict[str, list[str]] = {}
    for name, why in missing.items():
        reasons.setdefault(why, []).append(name)
    notes = [f"no comparison of {', '.join(names)}: {why}" for why, names in reasons.items()]
    if not able:
        return (beside,), 1, [f"{note}, so only the whole-image classifier is trained" for note in notes]
    return (*able, beside), len(able) if task == "dense" else 1, notes


def _missing(dataset: Dataset, splits: Mapping[str, Split]) -> dict[str, str]:
    """Tasks of the dense head that the images do not allow -> why."""
    trained, tested, good = False, False, False
    for split in splits.values():
        for sample in dataset:
            side = split.sides.get(sample.id)
            if sample.origin == "real" and side is not None:
                masked = sample.class_name != GOOD and not sample.unmasked
                trained |= side == "train" and masked
                tested |= side == "test" and masked
                good |= side == "test" and sample.class_name == GOOD
    if not trained:
        return dict.fromkeys(_TASKS, "no defect image for training has a mask")
    missing = {} if tested else dict.fromkeys(("segment", "detect"), "no defect image for testing has a mask")
    return missing if good else {**missing, "anomaly": "there is no good test image"}


def _pools(
    dataset: Dataset, names: Sequence[str], options: ValidateOptions
) -> tuple[dict[str, Recipe | None], list[str]]:
    """Name -> recipe of the synthetic images (None for the data set's own), and notes on them."""
    if options.recipes:
        return _loaded(options.recipes), []
    missing = next((name for name in names if not DatasetSplit(dataset, name).synthetic()), None)
    if missing is not None:
        raise DataError(
            f"the split {missing!r} has no synthetic training images to validate",
            where=dataset.root,
            hint="make some (carpet-data rebalance), or compare recipes with --recipes donor-paste",
        )
    if options.partitions == 1:
        return {SYNTHETIC: None}, []
    recipe, notes = _own_recipe(dataset, names[0])
    return {SYNTHETIC: recipe}, notes


def _opened(root: Path, split: str | None, splits: Sequence[str]) -> tuple[Dataset, tuple[str, ...]]:
    if not splits:
        dataset, name = opened(root, split)
        return dataset, (name,)
    if split is not None:
        raise UsageError("--split and --splits exclude each other", hint="give one of the two")
    dataset = store.read(root)
    for name in splits:
        dataset.split_name(name)  # refuses an unknown one
    return dataset, tuple(splits)


def _loaded(chosen: Sequence[str | Path]) -> dict[str, Recipe | None]:
    found: dict[str, Recipe | None] = {}
    for each in chosen:
        recipe = files.load(each)
        if recipe.name in found:
            raise UsageError(f"duplicate recipe {recipe.name!r}", hint="name each recipe once")
        found[recipe.name] = recipe
    return found


def _own_recipe(dataset: Dataset, split: str) -> tuple[Recipe, list[str]]:
    """The recipe of most of a split's synthetic images, and a note if there are others."""
    made = Counter(str((s.provenance or {}).get("recipe")) for s in DatasetSplit(dataset, split).synthetic())
    identity, _ = made.most_common(1)[0]
    path = dataset.root / RECIPES / f"{identity}.json"
    try:
        values = kept_recipes.load(dataset.root, identity)
    except ValueError as error:
        raise DataError(
            "the recipe of the synthetic images is not recorded",
            where=dataset.root,
            hint="name one: --recipes donor-paste",
        ) from error
    recipe = files.validate(Document(values, {}), path)
    notes = []
    if len(made) > 1:
        notes.append(
            f"the synthetic images come from {len(made)} recipes; the partitions use the most frequent one "
            f"({recipe.method}, {identity[:8]})"
        )
    return recipe, notes
