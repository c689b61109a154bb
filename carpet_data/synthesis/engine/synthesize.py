"""Synthesize: new images of rare defects, made from the training images of a split and nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from carpet_data import store
from carpet_data.core.progress import Progress
from carpet_data.dataset import DataFolder, folder_of
from carpet_data.errors import UsageError
from carpet_data.synthesis.engine.make import SynthesisRequest, make, prepared_root, recipe_of
from carpet_data.synthesis.engine.options import SynthesisOptions
from carpet_data.synthesis.engine.results import SynthesisResult

__all__ = ["synthesize"]


def synthesize(
    root: DataFolder,
    class_names: str | Sequence[str],
    n: int,
    options: SynthesisOptions | None = None,
    *,
    progress: Progress | None = None,
    **changes: Any,
) -> SynthesisResult:
    """Add synthetic images of defect classes to a prepared data set, on the train side of a split.

    There will be `n` images of each class by this recipe, split and seed: calling it again adds nothing, a larger `n`
    adds only the difference. Image k is the same for any number of workers and after any interruption (of learned
    recipes on one kind of device, up to last bits on a GPU). Donors, hosts and every statistic come from real training
    images of the split.

    A class that fails does not cost the others: what passed is kept, and `failed` of the result names the class with a
    shipped recipe that works for it, tried on one image. Where nothing at all was made, that is an error.

    Args:
        root: A prepared folder or its Dataset; or a raw one, for which `NAME-prepared` is made first (default split).
        class_names: One or more defect classes.
        n: Total number of images of each class, 1 or more.
        options: Recipe, split, seed, workers, device and dry_run; None for the defaults.
        progress: Called with each step.
        **changes: Fields of `SynthesisOptions`, such as `recipe="procedural"`.

    Raises:
        UsageError: A class, recipe or device is unknown (the nearest is offered), or a number is out of range.
        DataError: No class could be made: it has no donors, or there are no hosts, or the gates refuse everything; a
            learned recipe is not fitted to these training images, or not to the class.
        MissingExtraError: A learned recipe without the extra `generate`.
        OutputError: The data set cannot be written; LockedError: another process is writing it.

    Examples:
        >>> import carpet_data as cd
        >>> done = cd.synthesize("carpet-ready", "hole", n=200, seed=1)  # doctest: +SKIP
        >>> done.classes["hole"].made  # doctest: +SKIP
        200
    """
    options = SynthesisOptions.of(options, changes)
    names = (class_names,) if isinstance(class_names, str) else tuple(class_names)
    if not names:
        raise UsageError("no class given", hint="name one, such as --class hole")
    if n < 1:
        raise UsageError(f"--n must be at least 1 (got {n})")
    recipe = recipe_of(options)
    folder, notes = prepared_root(folder_of(root), workers=options.workers, dry_run=options.dry_run)
    wanted = dict.fromkeys(names, n)
    classes = " ".join(f"--class {shlex.quote(name)}" for name in wanted)
    command = f"synthesize {shlex.quote(str(folder))} {classes} --n {n}"
    return make(SynthesisRequest(store.read(folder), wanted, recipe, options, command, notes=notes), progress)
