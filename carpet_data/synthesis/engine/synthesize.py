"""Synthesize: new images of rare defects, from the train side of a split and nothing else."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from carpet_data import store
from carpet_data.core.progress import Progress
from carpet_data.dataset import GOOD, MAIN_SPLIT, Dataset
from carpet_data.errors import DataError, UsageError
from carpet_data.formats.export import default_out
from carpet_data.synthesis.contract import Method
from carpet_data.synthesis.engine import candidates, driver, seeds
from carpet_data.synthesis.engine.batch import Lot
from carpet_data.synthesis.engine.driver import Order
from carpet_data.synthesis.engine.fitted_models import Source, learned_of, refuse_unlearned, source_of
from carpet_data.synthesis.engine.plan import Job, Planner
from carpet_data.synthesis.engine.render import Brief
from carpet_data.synthesis.engine.result import ClassReport, SynthesizeResult
from carpet_data.synthesis.recipe import files, registry
from carpet_data.synthesis.recipe.model import Recipe

__all__ = ["make", "prepared", "synthesize"]


def synthesize(
    root: str | os.PathLike[str],
    class_names: Sequence[str],
    n: int,
    *,
    recipe: str | Path | Recipe = files.DEFAULT,
    split: str = MAIN_SPLIT,
    seed: int = 0,
    workers: int | None = None,
    device: str = "auto",
    dry_run: bool = False,
    progress: Progress | None = None,
) -> SynthesizeResult:
    """Add synthetic images of defect classes to a prepared data set, on the train side of a split.

    There will be `n` images of each class by this recipe, split and seed: asking again makes nothing new, asking for
    more makes only the rest. Image k is the same for any number of workers and after any interruption (of learned
    recipes on one kind of device, up to last bits on a GPU). Donors, hosts and every statistic come from real train
    images of the split.

    Args:
        root: A prepared folder; or a raw one, of which `NAME-prepared` is made beside it first (default split).
        class_names: Defect classes.
        n: Images of each class, 1 or more.
        recipe: A shipped recipe, the path of a recipe file, or a recipe.
        split: Named split.
        seed: What chance starts from, 0 or more.
        workers: Processes; None for one a core, or two where a learned recipe samples on a GPU.
        device: Where learned recipes compute: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1" or "mps".
        dry_run: Only say what would be made.
        progress: Called with (images done, images to make).

    Raises:
        UsageError: A class, recipe or device is unknown (the nearest is offered), or a number makes no sense.
        DataError: The class has no donors, or there are no hosts, or the gates refuse everything; a learned recipe is
            not fitted to this train side, or not to the class.
        MissingExtraError: A learned recipe without the extra `generate`.
        OutputError: The data set cannot be written; LockedError: another process is writing it.
    """
    if not class_names:
        raise UsageError("no class was named", hint="give one: --class hole")
    if n < 1:
        raise UsageError(f"{n} images", hint="ask for 1 or more")
    seeds.refuse_negative(seed)
    loaded = recipe if isinstance(recipe, Recipe) else files.load(recipe)
    root, notes = prepared(root, workers=workers, dry_run=dry_run)
    dataset = store.read(root)
    wanted = dict.fromkeys(class_names, n)
    asked = " ".join(f"--class {shlex.quote(name)}" for name in wanted)
    return make(
        dataset,
        wanted,
        loaded,
        split,
        seed,
        workers,
        dry_run,
        progress,
        command=f"synthesize {shlex.quote(str(root))} {asked} --n {n}",
        device=device,
        notes=notes,
    )


def prepared(root: str | os.PathLike[str], *, workers: int | None, dry_run: bool) -> tuple[Path, tuple[str, ...]]:
    """The prepared folder of `root`: itself, or that beside a raw folder, made if it is not there.

    Returns:
        The folder, and what the user should know.

    Raises:
        As `prepare`. UsageError: A dry run would have to prepare first.
    """
    from carpet_data.preparation.prepare import prepare

    root = Path(root)
    if store.is_prepared(root):
        return root, ()
    out = default_out(root, "prepared")
    if store.is_prepared(out):
        return out, (f"{root} is raw; its prepared data set {out} is used",)
    if dry_run:
        raise UsageError(
            "it is not prepared yet, so there is no split to plan from", where=root, hint="carpet-data prepare first"
        )
    done = prepare(root, out, workers=workers)
    told = "; ".join(done.notes)
    return out, (f"{root} is raw; it was prepared as {out}" + (f" ({told})" if told else ""),)


def make(
    dataset: Dataset,
    wanted: Mapping[str, int],
    recipe: Recipe,
    split: str,
    seed: int,
    workers: int | None,
    dry_run: bool,
    progress: Progress | None,
    *,
    command: str,
    device: str = "auto",
    more: bool = False,
    notes: tuple[str, ...] = (),
) -> SynthesizeResult:
    """Bring classes of a prepared data set to numbers of images.

    Args:
        dataset: As `store.read` gives it.
        wanted: class -> images of this recipe, split and seed; made in this order.
        recipe: Validated.
        split: Named split.
        seed: 0 or more.
        workers: Processes, as `synthesize` takes them.
        dry_run: Only plan.
        progress: Called with (images done, images to make).
        command: What the user ran, without recipe, split and seed: told to whoever finds it stopped, to run it again.
        device: Where learned recipes compute.
        more: The numbers are what to add to the lot, instead of what it shall hold, and classes that a learned recipe
            was not fitted to are left as they are, with a note, instead of refused.
        notes: Passed on into the result.

    Raises:
        As `synthesize`.
    """
    _check_names(dataset, wanted, split)
    method = registry.load(recipe.target)
    source, told = source_of(dataset, split, recipe, device=device, dry_run=dry_run)
    if source is not None and more:
        wanted, left = learned_of(source, wanted)
        told += left
    orders = [_order(dataset, name, n, recipe, method, source, split, seed, workers) for name, n in wanted.items()]
    driver.count(dataset.root, orders)
    if more:
        for order in orders:
            order.n += order.existed
            order.nulls = _nulls(order.n, recipe)
    sheets: tuple[Path, ...] = ()
    jobs: dict[str, tuple[Job, ...]] = {}
    if dry_run:
        jobs = driver.planned(dataset.root, orders)
    else:
        command += f" --recipe {files.named(recipe)} --split {split} --seed {seed}"
        processes = workers if source is None else source.workers(workers)
        sheets = driver.run(
            dataset.root, orders, recipe, command=command, split=split, workers=processes, progress=progress
        )
    return SynthesizeResult(
        root=dataset.root,
        split=split,
        recipe=recipe.name,
        recipe_hash=recipe.identity,
        method=recipe.method,
        seed=seed,
        classes=tuple(_report(order) for order in orders),
        sheets=sheets,
        notes=(*notes, *told),
        jobs=jobs,
        dry_run=dry_run,
        model=None if source is None else source.model.name,
    )


def _check_names(dataset: Dataset, wanted: Mapping[str, int], split: str) -> None:
    dataset.split_name(split)  # refuses an unknown one
    known_classes = sorted({*dataset.classes, *dataset.categories} - {GOOD})
    for name in wanted:
        if name not in known_classes and name != GOOD:
            near = difflib.get_close_matches(name, known_classes, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError(
                f"no class is called {name!r}", where=dataset.root, hint=f"{hint}there are {', '.join(known_classes)}"
            )


def _order(
    dataset: Dataset,
    class_name: str,
    n: int,
    recipe: Recipe,
    method: Method,
    source: Source | None,
    split: str,
    seed: int,
    workers: int | None,
) -> Order:
    found = candidates.build(dataset, split, class_name, recipe, workers=workers)
    # Not only where n of them want a null sample now: more images may follow.
    wants_nulls = recipe.envelope.null_share > 0
    if wants_nulls and not method.makes_nulls:
        raise DataError(
            f"{recipe.method} makes no null samples",
            where=recipe.name,
            hint="set null_share: 0, or make null samples by donor-paste",
        )
    candidates.check(
        found,
        dataset.root,
        donors_needed=method.donors_needed,
        textures_needed=method.textures_needed,
        hosts_needed=not method.needs_whole or wants_nulls,
    )
    if source is not None:
        refuse_unlearned(source, class_name)
        found = replace(found, identity=source.model.pool(found.identity))
    brief = Brief(
        root=dataset.root,
        target=recipe.target,
        parameters=recipe.parameters.model_dump_json(),
        rules=recipe.envelope.gates,
        attempts=recipe.envelope.attempts,
        facts=found.facts,
        model=None if source is None else source.fitted.weights,
        device="cpu" if source is None else source.device,
    )
    model = None if source is None else source.model
    lot = Lot(class_name, recipe.method, recipe.identity, found.identity, split, seed, model)
    return Order(lot, Planner(found, recipe, method, seed), brief, n, _nulls(n, recipe))


def _nulls(n: int, recipe: Recipe) -> int:
    # A hair more than the product, so that 0.1 of 10 is 1 in floating point too.
    return int(n * recipe.envelope.null_share + 1e-9)


def _report(order: Order) -> ClassReport:
    found = order.planner.pools
    return ClassReport(
        class_name=order.lot.class_name,
        asked=order.n,
        existed=order.existed,
        made=order.made,
        nulls=order.nulls_made,
        draws=order.draws,
        refused=dict(order.refused.most_common()),
        given_up=order.given_up,
        donors=len(found.donors),
        hosts=len(found.hosts),
        plates=sum(host.plate for host in found.hosts),
    )
