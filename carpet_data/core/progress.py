"""Progress: the one way in which long work reports how far it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

__all__ = ["Progress", "Step", "named", "part_of"]


@dataclass(frozen=True, slots=True)
class Step:
    """How far a task is.

    Attributes:
        done: Items finished.
        total: Items in all; None while unknown.
        what: The task, such as "computing features"; empty where the caller knows it.
        metrics: Name -> value of the latest measurements, such as {"loss": 0.31}.
        files: Files written meanwhile, such as a sheet of samples.

    Examples:
        >>> Step(3, 10, "reading images").done
        3
    """

    done: int
    total: int | None
    what: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    files: tuple[Path, ...] = ()

    def metrics_text(self) -> str:
        """The metrics, as `loss 0.2500, accuracy 0.91`."""
        return ", ".join(f"{name} {value:.{4 if 'loss' in name else 2}f}" for name, value in self.metrics.items())


Progress: TypeAlias = Callable[[Step], None]
"""Called with each `Step`; a caller that shows nothing passes None instead."""


def named(progress: Progress | None, what: str) -> Progress | None:
    """The same progress, with every step called `what`."""
    return None if progress is None else lambda step: progress(replace(step, what=what))


def part_of(progress: Progress | None, before: int, total: int | None) -> Progress | None:
    """The progress of one part of a task, reported as progress of the whole.

    `before` items of the whole were finished before this part; a `total` of None is unknown.
    """
    return None if progress is None else lambda step: progress(replace(step, done=before + step.done, total=total))
