"""What the last run says of each image: predictions, loss and heat maps, read from its folder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from carpet_data.errors import DataError
from carpet_data.store import runs
from carpet_data.store.names import component
from carpet_data.store.runs import Prediction, RunInfo

__all__ = ["Outcome", "Outcomes", "last_run", "read_outcomes"]

_TEST = "test"
_COMMANDS = ("validate", "train")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run says of one image under one condition.

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
    """What a run says of a data set.

    Attributes:
        run: Its folder.
        main: The condition whose prediction is shown as *the* prediction.
        conditions: condition -> sample id -> outcome.
        heatmaps: sample id -> heat map file, a grey picture.
        heatmaps_run: The folder of the run that drew them; None without heat maps.
    """

    run: Path
    main: str
    conditions: Mapping[str, Mapping[str, Outcome]]
    heatmaps: Mapping[str, Path] = field(default_factory=dict)
    heatmaps_run: Path | None = None

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
    """What a run says of each image; None where it says nothing.

    Args:
        root: Of the data set.
        run: Of which the predictions are read.
        classes: Of the data set; the order of the probabilities where the run does not say it.

    Raises:
        DataError: The file is damaged; the line is named.
    """
    recorded = run.facts.get("classes")
    names = tuple(str(name) for name in recorded) if isinstance(recorded, list) else classes
    sums: dict[str, dict[str, _Sum]] = {}
    for number, line in enumerate(runs.predictions(run.folder), start=1):
        if len(line.probabilities) != len(names):
            raise _damage(run, number, f"({len(line.probabilities)} probabilities for {len(names)} classes)")
        found = sums.setdefault(line.condition, {}).setdefault(line.id, _Sum(line.truth, line.side))
        if line.side == _TEST != found.side:
            # An epoch may have been chosen by validation images, so what is said of them flatters.
            found = sums[line.condition][line.id] = _Sum(line.truth, line.side)
        if line.side == found.side:
            try:
                found.add(line, names)
            except TypeError as error:
                raise _damage(run, number, f"({error})") from error
    if not sums:
        return None
    conditions = {name: {key: found.outcome() for key, found in per.items()} for name, per in sums.items()}
    # A comparison keeps no networks; where it has no heat maps those of the last training are worth a look.
    heat = run if (run.folder / runs.HEATMAPS).is_dir() else _newest(root, runs.HEATMAPS, "train")
    heatmaps = {} if heat is None else _heatmaps(heat.folder, conditions)
    return Outcomes(
        run.folder, _main(tuple(conditions)), conditions, heatmaps, heat.folder if heat and heatmaps else None
    )


def _damage(run: RunInfo, number: int, why: str) -> DataError:
    hint = "run the command again with --overwrite"
    return DataError(f"line {number} is no prediction {why}", where=run.folder / runs.PREDICTIONS, hint=hint)


def _main(conditions: tuple[str, ...]) -> str:
    """The condition that people came for: real and synthetic together; else the last."""
    pools = [name for name in conditions if f"{name.removeprefix('real + ')}-only" in conditions]
    both = [name for name in pools if name.startswith("real + ")]
    both = both or [name for name in conditions if "real" in name and "synth" in name]
    return (both or list(conditions))[-1]


class _Sum:
    """Probabilities of one image, added up."""

    def __init__(self, truth: str, side: str) -> None:
        self.truth = truth
        self.side = side
        self.votes: dict[str, float] = {}
        self.losses: list[float] = []
        self.count = 0

    def add(self, line: Prediction, names: tuple[str, ...]) -> None:
        self.count += 1
        for name, share in zip(names, line.probabilities, strict=True):
            self.votes[name] = self.votes.get(name, 0.0) + share
        if math.isfinite(line.loss):
            self.losses.append(line.loss)

    def outcome(self) -> Outcome:
        predicted = max(sorted(self.votes), key=lambda name: self.votes[name])
        loss = sum(self.losses) / len(self.losses) if self.losses else None
        return Outcome(self.truth, predicted, self.votes[predicted] / self.count, loss)


def _heatmaps(folder: Path, conditions: Mapping[str, Mapping[str, Outcome]]) -> dict[str, Path]:
    """RUN/heatmaps/ID.png of the images that have one."""
    files = {path.name: path for path in (folder / runs.HEATMAPS).glob("*.png")}
    ids = {sample_id for per in conditions.values() for sample_id in per} if files else set()
    return {key: files[name] for key in ids if (name := f"{component(key)}.png") in files}
