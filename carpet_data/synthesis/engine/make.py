"""Make images: a frozen request in, a result out; what `synthesize` and `rebalance` share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from carpet_data import store
from carpet_data.core.progress import Progress, Step
from carpet_data.dataset import GOOD, Dataset
from carpet_data.errors import DataError, UsageError, nearest
from carpet_data.formats.export import default_out
from carpet_data.synthesis.engine import run, sources
from carpet_data.synthesis.engine.batch import Batch
from carpet_data.synthesis.engine.failures import ClassFailure, refusal, works_instead
from carpet_data.synthesis.engine.fitted_models import ModelOnDevice, fitted_classes, model_of, refuse_unfitted
from carpet_data.synthesis.engine.options import SynthesisOptions
from carpet_data.synthesis.engine.plan import ImagePlan, Planner
from carpet_data.synthesis.engine.render import WorkerContext
from carpet_data.synthesis.engine.results import ClassReport, SynthesisResult
from carpet_data.synthesis.engine.run import ClassRequest, HopelessError
from carpet_data.synthesis.engine.sources import Sources
from carpet_data.synthesis.recipe import files
from carpet_data.synthesis.recipe.model import Recipe

__all__ = ["SynthesisRequest", "make", "prepared_root", "recipe_of"]


@dataclass(frozen=True, slots=True)
class SynthesisRequest:
    """What shall be made.

    Attributes:
        wanted: class -> number of images of this recipe, split and seed; made in this order.
        options: Split, seed, workers, device and dry_run count.
        command: What the user ran, without recipe, split and seed: shown to whoever finds it interrupted.
        more: The numbers are what to add, instead of totals, and a class that a learned recipe was not fitted to is
            left as it is, with a note, instead of refused.
        notes: Passed on into the result.
    """

    dataset: Dataset
    wanted: Mapping[str, int]
    recipe: Recipe
    options: SynthesisOptions
    command: str
    more: bool = False
    notes: tuple[str, ...] = ()


def make(request: SynthesisRequest, progress: Progress | None = None) -> SynthesisResult:
    """Bring classes of a prepared data set to numbers of images; a class that fails does not cost the others.

    Raises:
        As `synthesize`.
    """
    dataset, recipe, options = request.dataset, request.recipe, request.options
    _check_names(dataset, request.wanted, options.split)
    model, notes = model_of(dataset, options.split, recipe, device=options.device, dry_run=options.dry_run)
    wanted = dict(request.wanted)
    if model is not None and request.more:
        wanted, left_out = fitted_classes(model, wanted)
        notes += left_out
    requests, errors = _class_requests(request, wanted, model, progress)
    if errors and not requests:
        raise refusal(_failures(request, errors, {}, progress), errors)
    sheets: tuple[Path, ...] = ()
    plans: dict[str, tuple[ImagePlan, ...]] = {}
    if options.dry_run:
        reports, plans = run.planned(requests)
    else:
        reports, sheets, hopeless = _carried_out(request, requests, model, progress)
        errors |= hopeless
    failed = _failures(request, errors, reports, progress)
    if failed and not options.dry_run and not any(each.made or each.nulls or each.existed for each in reports.values()):
        raise refusal(failed, errors)
    return SynthesisResult(
        root=dataset.root,
        split=options.split,
        recipe=recipe.name,
        recipe_hash=recipe.identity,
        method=recipe.method,
        model=None if model is None else model.name,
        seed=options.seed,
        classes=reports,
        failed=failed,
        sheets=sheets,
        notes=(*request.notes, *notes),
        plans=plans,
        dry_run=options.dry_run,
    )


def _carried_out(
    request: SynthesisRequest,
    requests: list[ClassRequest],
    model: ModelOnDevice | None,
    progress: Progress | None,
) -> tuple[dict[str, ClassReport], tuple[Path, ...], dict[str, HopelessError]]:
    """As `run.run`, for the recipe and the options of the request."""
    recipe, options = request.recipe, request.options
    return run.run(
        request.dataset.root,
        requests,
        recipe,
        command=f"{request.command} --recipe {files.named(recipe)} --split {options.split} --seed {options.seed}",
        split=options.split,
        workers=options.workers if model is None else model.workers(options.workers),
        progress=progress,
    )


def recipe_of(options: SynthesisOptions) -> Recipe:
    """The validated recipe of the options.

    Raises:
        UsageError: There is no such recipe.
        DataError: It is invalid.
    """
    return options.recipe if isinstance(options.recipe, Recipe) else files.load(options.recipe)


def prepared_root(root: Path, *, workers: int | None, dry_run: bool) -> tuple[Path, tuple[str, ...]]:
    """The prepared folder of `root` (itself, or the one beside a raw folder, made if missing), and notes for the user.

    Raises:
        As `prepare`. UsageError: A dry run would have to prepare first.
    """
    from carpet_data.preparation.prepare import prepare

    if store.is_prepared(root):
        return root, ()
    out = default_out(root, "prepared")
    if store.is_prepared(out):
        return out, (f"{root} is raw; its prepared data set {out} is used",)
    if dry_run:
        raise UsageError(
            "the data set is not prepared, so there is no split to plan from",
            where=root,
            hint="run carpet-data prepare first",
        )
    done = prepare(root, out, workers=workers)
    more = "; ".join(done.notes)
    return out, (f"{root} is raw; it was prepared as {out}" + (f" ({more})" if more else ""),)


def _check_names(dataset: Dataset, wanted: Mapping[str, int], split: str) -> None:
    dataset.split_name(split)  # refuses an unknown one
    known = sorted({*dataset.classes, *dataset.categories} - {GOOD})
    for name in wanted:
        if name not in known and name != GOOD:
            raise UsageError(
                f"unknown class {name!r}",
                where=dataset.root,
                hint=f"{nearest(name, known)}use one of: {', '.join(known)}",
            )


def _failures(
    request: SynthesisRequest,
    errors: Mapping[str, DataError],
    reports: Mapping[str, ClassReport],
    progress: Progress | None,
) -> dict[str, ClassFailure]:
    """Each class that failed, with a recipe that works for it."""

    def of_one(recipe: Recipe, class_name: str) -> ClassRequest:
        asked = replace(request, wanted={class_name: 1}, recipe=recipe)
        found, refused = _class_requests(asked, asked.wanted, None)
        if refused:
            raise refused[class_name]
        return found[0]

    found = {}
    for number, (name, error) in enumerate(errors.items()):
        if progress is not None:
            progress(Step(number, len(errors), f"trying other recipes for {name}"))
        kept = reports[name].made if name in reports else 0
        works = works_instead(request.recipe, name, of_one)
        found[name] = ClassFailure(
            error.what.removeprefix(f"{name}: "), error.hint or "use another recipe", kept, works
        )
    return found


def _class_requests(
    request: SynthesisRequest,
    wanted: Mapping[str, int],
    model: ModelOnDevice | None,
    progress: Progress | None = None,
) -> tuple[list[ClassRequest], dict[str, DataError]]:
    """The requests of the classes that can be made, and what is wrong with the others."""
    dataset, recipe, options = request.dataset, request.recipe, request.options
    _check_nulls(recipe)
    found: dict[str, Sources] = {}
    errors: dict[str, DataError] = {}
    for name in wanted:
        made = _sources_or_error(request, name, model, progress)
        if isinstance(made, Sources):
            found[name] = made
        else:
            errors[name] = made
    batches = {
        name: Batch(name, recipe.method, recipe.identity, each.identity, options.split, options.seed, model)
        for name, each in found.items()
    }
    existing = run.scan(dataset.root, list(batches.values()))
    requests = []
    for name, batch in batches.items():
        n = wanted[name] + (len(existing[name, False].kept) if request.more else 0)
        requests.append(
            ClassRequest(
                batch=batch,
                planner=Planner(found[name], recipe, recipe.load_method(), options.seed),
                context=_context(request, found[name], model),
                n=n,
                # A hair more than the product, so that 0.1 of 10 is 1 in floating point too.
                nulls=int(n * recipe.envelope.null_share + 1e-9),
                existing=existing[name, False],
                existing_nulls=existing[name, True],
            )
        )
    return requests, errors


def _context(request: SynthesisRequest, sources: Sources, model: ModelOnDevice | None) -> WorkerContext:
    recipe = request.recipe
    return WorkerContext(
        root=request.dataset.root,
        target=recipe.target,
        parameters=recipe.parameters.model_dump_json(),
        rules=recipe.envelope.gates,
        attempts=recipe.envelope.attempts,
        facts=sources.facts,
        model=None if model is None else model.fitted.weights,
        device="cpu" if model is None else model.device,
    )


def _check_nulls(recipe: Recipe) -> None:
    # Not only where n of them want a null sample now: more images may follow.
    if recipe.envelope.null_share > 0 and not recipe.load_method().makes_nulls:
        raise DataError(
            f"{recipe.method} cannot create null samples",
            where=recipe.name,
            hint="set null_share: 0, or use donor-paste for null samples",
        )


def _sources_or_error(
    request: SynthesisRequest, class_name: str, model: ModelOnDevice | None, progress: Progress | None
) -> Sources | DataError:
    try:
        return _sources(request, class_name, model, progress)
    except DataError as error:
        if type(error) is not DataError:
            raise  # a damaged file or a leak concerns every class
        return error


def _sources(
    request: SynthesisRequest, class_name: str, model: ModelOnDevice | None, progress: Progress | None
) -> Sources:
    dataset, recipe, options = request.dataset, request.recipe, request.options
    method = recipe.load_method()
    found = sources.build(
        dataset,
        options.split,
        class_name,
        recipe,
        workers=options.workers,
        keep=not options.dry_run,
        progress=progress,
    )
    wants_nulls = recipe.envelope.null_share > 0
    sources.check(found, dataset.root, method, hosts_needed=not method.needs_whole or wants_nulls)
    if model is None:
        return found
    refuse_unfitted(model, class_name)
    return replace(found, identity=model.pool(found.identity))
