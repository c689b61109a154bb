"""What a sweep will run: the rows of a table with the weights available, and the network used for the others."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from carpet_data import networks
from carpet_data.core.progress import Progress
from carpet_data.errors import CarpetDataError, UsageError, WeightsError
from carpet_data.experiments.sweep_table import SweepRow, SweepTable
from carpet_data.networks import Weights
from carpet_data.networks.network import check_use
from carpet_data.training import views
from carpet_data.training.options import TrainOptions

__all__ = ["Line", "described", "plan"]

NONE = "none"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a sweep's result.

    Attributes:
        name: "row 3", or "fallback 2".
        settings: How it is trained; architecture and weights are those of the file, so "auto" stays "auto".
        weights: What it starts with; None where they are not available locally.
        missing: Why it is not run; empty where it is.
        fallback: Whether it replaces rows without weights.
    """

    name: str
    settings: TrainOptions
    architecture: str
    weights: Weights | None
    missing: str = ""
    fallback: bool = False

    @property
    def weights_name(self) -> str:
        """The name of the weights, or of what it should have."""
        return self.settings.weights if self.weights is None else self.weights.name

    def identity(self, seed: int) -> str:
        """A hex digest of what decides the result of this line with a seed; lines of equal ones are trained once."""
        assert self.weights is not None
        digest = self.settings.but(architecture=self.architecture, weights=self.weights.name, seed=seed).digest()
        whole = [digest, self.weights.sha256, views.identity(self.settings.augment)]
        return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:32]


def plan(
    table: SweepTable,
    *,
    fallback: str | None = None,
    download: bool = False,
    has_val: bool = True,
    progress: Progress | None = None,
) -> tuple[Line, ...]:
    """Find the weights of every row, and refuse what cannot be trained before anything is.

    `fallback` is the network that stands in for rows without weights: None for the table's, "none" for none. `download`
    downloads weights that torchvision publishes. Without validation images (`has_val`) no row may have patience.

    Returns:
        One line per row, in its order; then the fallback's, one for each different training.

    Raises:
        UsageError: A row, or the fallback, cannot be trained as it says.
        WeightsError: No line can be run.
    """
    lines = [_line(row, download, progress) for row in table.rows]
    for row in table.rows:
        if row.settings.patience is not None and not has_val:
            raise UsageError(
                f"row {row.number} has patience, but the split has no validation images to wait for",
                where=row.where,
                hint="remove it, or make a split with a validation side: carpet-data split",
            )
    lines += _fallbacks(table, lines, table.fallback if fallback is None else fallback)
    if all(line.missing for line in lines):
        raise WeightsError(
            f"no row of {table.name} can be run ({lines[0].architecture}: {lines[0].missing})",
            where=table.path,
            hint="download the weights with --download, or run another network with --fallback efficientnet_lite0",
        )
    return tuple(lines)


def _line(row: SweepRow, download: bool, progress: Progress | None) -> Line:
    name, settings = f"row {row.number}", row.settings
    try:
        weights = networks.choose(settings.architecture, settings.weights, download=download, progress=progress)
        _check(settings, weights)
    except WeightsError as error:
        if download:
            raise
        return Line(name, settings, settings.architecture, None, _reason(settings.weights, error))
    except UsageError as error:
        raise UsageError(f"{name}: {error.what}", where=error.where or row.where, hint=error.hint) from error
    return Line(name, settings, weights.architecture, weights)


def _reason(wanted: str, error: CarpetDataError) -> str:
    published = "/" not in wanted and "." not in wanted
    return f"weights {wanted} not available locally: not run" if published else f"{wanted}: {error.what}: not run"


def _fallbacks(table: SweepTable, lines: list[Line], architecture: str | None) -> list[Line]:
    if architecture is None or architecture == NONE or not any(line.missing for line in lines):
        return []
    weights = networks.find_weights(architecture, download=False)
    if weights.name == NONE:
        # Random weights would answer another question than the rows ask.
        return []
    found: dict[TrainOptions, Line] = {}
    for line, row in zip(lines, table.rows, strict=True):
        if not line.missing:
            continue
        settings = line.settings.but(architecture=architecture, weights="auto")
        try:
            _check(settings, weights)
        except UsageError as error:
            raise UsageError(f"fallback of {line.name}: {error.what}", where=row.where, hint=error.hint) from error
        name = f"fallback {len(found) + 1}"
        found.setdefault(settings, Line(name, settings, architecture, weights, fallback=True))
    return list(found.values())


def _check(settings: TrainOptions, weights: Weights) -> None:
    """Refuse what would only be refused once the rows before are trained."""
    views.check(settings.augment)
    check_use(weights, size=settings.resize, freeze=settings.freeze)


def described(lines: tuple[Line, ...]) -> list[dict[str, object]]:
    """The lines as JSON values: what an interrupted sweep must share with one that resumes it."""
    return [
        {
            "line": line.name,
            "settings": {name: value for name, value in line.settings.to_json().items() if name != "device"},
            "architecture": line.architecture,
            "weights": None if line.weights is None else (line.weights.sha256 or line.weights.name),
            "augmentation": views.identity(line.settings.augment),
        }
        for line in lines
    ]
