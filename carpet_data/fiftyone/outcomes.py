"""Predictions, loss and heat maps of the last run for each image, read from its folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from carpet_data.errors import DataError
from carpet_data.fiftyone.found import Found, detections_of
from carpet_data.store import runs
from carpet_data.store.names import component
from carpet_data.store.runs import Prediction, RunInfo

__all__ = ["ImageOutcome", "Outcomes", "last_run", "read_outcomes"]

_TEST = "test"
_COMMANDS = ("validate", "train")
_AGAIN = "run the command again with --overwrite"


@dataclass(frozen=True, slots=True)
class ImageOutcome:
    """The prediction of a run for one image under one condition.

    Attributes:
        truth: Its class.
        predicted: The class of the largest probability, probabilities averaged over seeds and partitions.
        confidence: That probability, 0 … 1.
        loss: Cross-entropy, averaged; None where every one was infinite.
    """

    truth: str
    predicted: str
    confidence: float
    loss: float | None

    @property
    def correct(self) -> bool:
        """Whether the prediction is the class."""
        return self.truth == self.predicted


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The predictions of a run for a data set.

    Attributes:
        run: Its folder.
        main: The condition whose prediction is shown as *the* prediction.
        conditions: condition -> sample id -> outcome.
        heatmaps: sample id -> heat map file, a gray picture.
        heatmaps_run: The folder of the run that drew them; None without heat maps.
        found: sample id -> what the model found in the image, beside its class.
        classes: Those of the class maps; empty without any.
    """

    run: Path
    main: str
    conditions: Mapping[str, Mapping[str, ImageOutcome]]
    heatmaps: Mapping[str, Path] = field(default_factory=dict)
    heatmaps_run: Path | None = None
    found: Mapping[str, Found] = field(default_factory=dict)
    classes: tuple[str, ...] = ()

    @property
    def others(self) -> tuple[str, ...]:
        """The conditions besides the main one."""
        return tuple(name for name in self.conditions if name != self.main)


def last_run(root: Path) -> RunInfo | None:
    """The newest finished run that wrote predictions: of `validate` if there is one, else of `train`.

    Raises:
        DataError: A run's description is damaged.
    """
    return _newest(root, runs.PREDICTIONS, *_COMMANDS)


def _newest(root: Path, part: str, *commands: str) -> RunInfo | None:
    """The last finished run of the first of these commands that has one with such a file or folder in it."""
    for command in commands:
        for run in reversed(runs.listing(root, command)):
            if run.finished and (run.folder / part).exists():
                return run
    return None


def read_outcomes(root: Path, run: RunInfo, classes: tuple[str, ...]) -> Outcomes | None:
    """The predictions of a run for each image; None where it has none.

    `classes` are those of the data set: the order of the probabilities where the run does not record it.

    Raises:
        DataError: The file is damaged; the line is named.
    """
    recorded = run.facts.get("classes")
    names = tuple(str(name) for name in recorded) if isinstance(recorded, list) else classes
    lines: dict[str, dict[str, list[Prediction]]] = {}
    found: dict[str, dict[str, Found]] = {}
    for number, line in enumerate(runs.predictions(run.folder), start=1):
        if len(line.probabilities) != len(names):
            raise _damage(run, number, f"({len(line.probabilities)} probabilities for {len(names)} classes)")
        if not all(isinstance(value, int | float) for value in (*line.probabilities, line.loss)):
            raise _damage(run, number, "(a probability or the loss is not a number)")
        lines.setdefault(line.condition, {}).setdefault(line.id, []).append(line)
        if line.anomaly is not None:
            detections = detections_of(line.detections, f"{run.folder / runs.PREDICTIONS}, line {number}", _AGAIN)
            # Of several partitions and seeds the first: boxes cannot be averaged.
            found.setdefault(line.condition, {}).setdefault(line.id, Found(detections, line.anomaly))
    if not lines:
        return None
    conditions = {name: {key: _outcome(found, names) for key, found in per.items()} for name, per in lines.items()}
    # A comparison keeps no networks; where it has no heat maps those of the last training are worth a look.
    heat = run if (run.folder / runs.HEATMAPS).is_dir() else _newest(root, runs.HEATMAPS, "train")
    heatmaps = {} if heat is None else _heatmaps(heat.folder, conditions)
    drawn_by = heat.folder if heat and heatmaps else None
    main = _main(tuple(conditions))
    return Outcomes(run.folder, main, conditions, heatmaps, drawn_by, found.get(main, {}))


def _damage(run: RunInfo, number: int, why: str) -> DataError:
    where = f"{run.folder / runs.PREDICTIONS}, line {number}"
    return DataError(f"the line is not a prediction {why}", where=where, hint=_AGAIN)


def _outcome(lines: Sequence[Prediction], names: Sequence[str]) -> ImageOutcome:
    """The predictions for one image, averaged."""
    # An epoch may have been chosen by validation images, so predictions for them flatter: as a test image comes first.
    lines = [line for line in lines if line.side == _TEST] or lines
    shares = [sum(values) / len(lines) for values in zip(*(line.probabilities for line in lines), strict=True)]
    best = max(sorted(range(len(names)), key=lambda number: names[number]), key=lambda number: shares[number])
    losses = [line.loss for line in lines if math.isfinite(line.loss)]
    return ImageOutcome(lines[0].truth, names[best], shares[best], sum(losses) / len(losses) if losses else None)


def _main(conditions: tuple[str, ...]) -> str:
    """The condition that people came for: real and synthetic together; else the last."""
    pools = [name for name in conditions if f"{name.removeprefix('real + ')}-only" in conditions]
    both = [name for name in pools if name.startswith("real + ")]
    both = both or [name for name in conditions if "real" in name and "synth" in name]
    return (both or list(conditions))[-1]


def _heatmaps(folder: Path, conditions: Mapping[str, Mapping[str, ImageOutcome]]) -> dict[str, Path]:
    """RUN/heatmaps/ID.png of the images that have one."""
    files = {path.name: path for path in (folder / runs.HEATMAPS).glob("*.png")}
    ids = {sample_id for per in conditions.values() for sample_id in per} if files else set()
    return {key: files[name] for key in ids if (name := f"{component(key)}.png") in files}
