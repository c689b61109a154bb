"""Rebalance: bring the rare classes of a long tail to one number of train images."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data import store
from carpet_data.core.progress import Progress
from carpet_data.dataset import GOOD, MAIN_SPLIT, Dataset
from carpet_data.errors import UsageError
from carpet_data.synthesis.engine import driver, seeds
from carpet_data.synthesis.engine.result import SynthesizeResult
from carpet_data.synthesis.engine.synthesize import make, prepared
from carpet_data.synthesis.recipe import files
from carpet_data.synthesis.recipe.model import Recipe

__all__ = ["RebalanceResult", "rebalance"]

_WHOLE = re.compile(r"[0-9]+")
_SHARE = re.compile(r"([0-9]*\.[0-9]+|[0-9]+\.)|([0-9]+(?:\.[0-9]+)?)%")


@dataclass(frozen=True, slots=True)
class RebalanceResult:
    """What `rebalance` did.

    Attributes:
        root: The prepared folder.
        split: Whose train side was counted.
        target: Train images that each defect class shall have at least.
        before: class -> train images, synthetic ones included.
        after: class -> the same, afterwards (with dry_run: as it would be).
        synthesis: What was made; None where nothing was missing.
        notes: What the user should know.
        dry_run: Nothing was written.
    """

    root: Path
    split: str
    target: int
    before: Mapping[str, int]
    after: Mapping[str, int]
    synthesis: SynthesizeResult | None
    notes: tuple[str, ...] = ()
    dry_run: bool = False

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "root": str(self.root),
            "split": self.split,
            "target": self.target,
            "before": dict(self.before),
            "after": dict(self.after),
            "synthesis": None if self.synthesis is None else self.synthesis.to_json(),
            "notes": list(self.notes),
            "dry_run": self.dry_run,
        }

    def text(self) -> str:
        """The result in words."""
        width = max(len(name) for name in (*self.after, "class"))
        lines = [f"note: {note}" for note in self.notes]
        lines.append(f"{'class'.ljust(width)}  before   after")
        lines += [f"{name.ljust(width)}  {self.before[name]:>6}  {self.after[name]:>6}" for name in self.after]
        if self.synthesis is None:
            lines.append(f"every class has {self.target} train images or more: nothing to make")
        else:
            lines.append(self.synthesis.text())
        return "\n".join(lines)


def rebalance(
    root: str | os.PathLike[str],
    to: str | int | float = "max",
    *,
    recipe: str | Path | Recipe = files.DEFAULT,
    split: str = MAIN_SPLIT,
    seed: int = 0,
    workers: int | None = None,
    device: str = "auto",
    dry_run: bool = False,
    progress: Progress | None = None,
) -> RebalanceResult:
    """Synthesize for every defect class what it lacks to a number of train images.

    Classes that have more already are left as they are: real images are never dropped. Synthetic images that are
    there count, whatever made them, so running it again makes nothing new. A class that a learned recipe was not fitted
    to, for having too few donors, is left as it is, and a note says so.

    Args:
        root: A prepared folder, or a raw one, as `synthesize` takes it.
        to: Images; or "max", the number of the largest class (`good` included); or a share of that, such as 0.5 or
            "50%".
        recipe: A shipped recipe, the path of a recipe file, or a recipe.
        split: Named split; its train side is counted.
        seed: What chance starts from.
        workers: Processes, as `synthesize` takes them.
        device: Where learned recipes compute, as `synthesize` takes it.
        dry_run: Only say what would be made.
        progress: Called with (images done, images to make).

    Raises:
        UsageError: `to` makes no sense. Others as `synthesize`.
    """
    goal = _goal(to)
    seeds.refuse_negative(seed)
    loaded = recipe if isinstance(recipe, Recipe) else files.load(recipe)
    root, notes = prepared(root, workers=workers, dry_run=dry_run)
    dataset = store.read(root)
    dataset.split_name(split)  # refuses an unknown one
    before = _train_counts(dataset, split)
    largest = max(before.values(), default=0)
    target = goal if isinstance(goal, int) else math.ceil(goal * largest - 1e-9)
    wanted = {name: target - count for name, count in before.items() if name != GOOD and count < target}
    made = None
    if wanted:
        command = f"rebalance {shlex.quote(str(root))} --to {to}"
        made = make(
            dataset, wanted, loaded, split, seed, workers, dry_run, progress, command=command, device=device, more=True
        )
    if dry_run:
        planned = {report.class_name for report in (() if made is None else made.classes)}
        after = {name: count + (wanted[name] if name in planned else 0) for name, count in before.items()}
    else:
        after = _train_counts(store.read(root), split)
    return RebalanceResult(root, split, target, before, after, made, notes, dry_run)


def _goal(to: str | int | float) -> int | float:
    """A number of images, or a share of the largest class."""
    if isinstance(to, str):
        text = to.strip()
        if text == "max":
            return 1.0
        share = _SHARE.fullmatch(text)
        if _WHOLE.fullmatch(text):
            to = int(text)
        elif share is not None:
            to = float(share[1]) if share[1] else float(share[2]) / 100
        else:
            raise UsageError(f"{to!r} is no target", hint="give a number of images, max, or a share such as 0.5 or 50%")
    if isinstance(to, int) and to < 1:
        raise UsageError(f"{to} images", hint="ask for 1 or more")
    if isinstance(to, float) and not 0 < to <= 1:
        raise UsageError(f"a share of {to:g}", hint="give a share above 0 and up to 1, or a number of images")
    return to


def _train_counts(dataset: Dataset, split: str) -> dict[str, int]:
    """class -> train images, `good` first, classes without any included.

    What an unfinished command has written so far is left out, so that the same command asks for the same again.
    """
    pending = driver.pending(dataset.root)
    counts = Counter(s.class_name for s in dataset.on_side("train", split) if s.id not in pending)
    present = {*dataset.classes, *dataset.categories}
    return {name: counts[name] for name in sorted(present, key=lambda name: (name != GOOD, name))}
