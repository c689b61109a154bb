"""Rebalance: bring the rare classes of a long tail to a minimum number of training images."""

from __future__ import annotations

import math
import re
import shlex
from collections import Counter
from typing import Any

from carpet_data import store
from carpet_data.core.progress import Progress
from carpet_data.dataset import GOOD, DataFolder, Dataset, folder_of
from carpet_data.errors import UsageError
from carpet_data.synthesis.engine import run
from carpet_data.synthesis.engine.make import SynthesisRequest, make, prepared_root, recipe_of
from carpet_data.synthesis.engine.options import SynthesisOptions
from carpet_data.synthesis.engine.results import RebalanceResult

__all__ = ["rebalance"]

_WHOLE = re.compile(r"[0-9]+")
_SHARE = re.compile(r"([0-9]*\.[0-9]+|[0-9]+\.)|([0-9]+(?:\.[0-9]+)?)%")


def rebalance(
    root: DataFolder,
    to: str | int | float = "max",
    options: SynthesisOptions | None = None,
    *,
    progress: Progress | None = None,
    **changes: Any,
) -> RebalanceResult:
    """Add synthetic images until every defect class has at least a number of training images.

    Classes that have more are left as they are: real images are never dropped. Existing synthetic images count,
    whatever recipe made them, so running it again adds nothing. A class that a learned recipe was not fitted to,
    because it has too few donors, is left as it is, and a note says so.

    Args:
        root: A prepared folder, its Dataset, or a raw folder, as `synthesize` takes it.
        to: Number of images; or "max", the number of the largest class (`good` included); or a share of that, such as
            0.5 or "50%".
        options: Recipe, split, seed, workers, device and dry_run; None for the defaults.
        progress: Called with each step.
        **changes: Fields of `SynthesisOptions`, such as `recipe="procedural"`.

    Raises:
        UsageError: `to` is invalid. Others as `synthesize`.
    """
    goal = _goal(to)
    options = SynthesisOptions.of(options, changes)
    recipe = recipe_of(options)
    folder, notes = prepared_root(folder_of(root), workers=options.workers, dry_run=options.dry_run)
    dataset = store.read(folder)
    dataset.split_name(options.split)  # refuses an unknown one
    before = _train_counts(dataset, options.split)
    largest = max(before.values(), default=0)
    target = goal if isinstance(goal, int) else math.ceil(goal * largest - 1e-9)
    wanted = {name: target - count for name, count in before.items() if name != GOOD and count < target}
    made = None
    if wanted:
        command = f"rebalance {shlex.quote(str(folder))} --to {to}"
        made = make(SynthesisRequest(dataset, wanted, recipe, options, command, more=True), progress)
    if options.dry_run:
        planned = () if made is None else made.classes
        after = {name: count + (wanted[name] if name in planned else 0) for name, count in before.items()}
    else:
        after = _train_counts(store.read(folder), options.split)
    return RebalanceResult(folder, options.split, target, before, after, made, notes, options.dry_run)


def _goal(to: str | int | float) -> int | float:
    """A number of images, or a share of the largest class."""
    value = to
    if isinstance(to, str):
        text = to.strip()
        share = _SHARE.fullmatch(text)
        if text == "max":
            value = 1.0
        elif _WHOLE.fullmatch(text):
            value = int(text)
        elif share is not None:
            value = float(share[1]) if share[1] else float(share[2]) / 100
    if isinstance(value, int) and value >= 1:
        return value
    if isinstance(value, float) and 0 < value <= 1:
        return value
    raise UsageError(
        f"invalid --to value {to!r}", hint="give a number of images, max, or a share above 0 and up to 1, or as 50%"
    )


def _train_counts(dataset: Dataset, split: str) -> dict[str, int]:
    """class -> training images, `good` first, classes without any included.

    What an unfinished command has written so far is left out, so that the same command asks for the same again.
    """
    pending = run.pending(dataset.root)
    counts = Counter(s.class_name for s in dataset.on_side("train", split) if s.id not in pending)
    present = {*dataset.classes, *dataset.categories}
    return {name: counts[name] for name in sorted(present, key=lambda name: (name != GOOD, name))}
