"""What the last run says of each image: predictions, loss and heat maps, read from its folder."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carpet_data.errors import DataError
from carpet_data.layout.names import component

__all__ = ["Outcome", "Outcomes", "last_run", "read_outcomes"]

_RUNS = "runs"
_RUN = "run.json"
_PREDICTIONS = "predictions.jsonl"
_HEATMAPS = "heatmaps"
_TEST = "test"
_COMMANDS = ("validate", "train")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run says of one image under one condition.

    Attributes:
        truth: Its class.
        predicted: The class of the largest probability, probabilities averaged over seeds and partitions.
        confidence: That probability, 0 … 1.
        loss: Cross-entropy, averaged; None where the run did not write it.
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
    """

    run: Path
    main: str
    conditions: Mapping[str, Mapping[str, Outcome]]
    heatmaps: Mapping[str, Path] = field(default_factory=dict)

    @property
    def others(self) -> tuple[str, ...]:
        """The conditions besides the main one."""
        return tuple(name for name in self.conditions if name != self.main)


def last_run(root: Path) -> Path | None:
    """The newest finished run that wrote predictions: of `validate` if there is one, else of `train`.

    Raises:
        DataError: A run's description is damaged.
    """
    runs = [folder for folder in sorted((root / _RUNS).glob("*")) if (folder / _PREDICTIONS).is_file()]
    for command in _COMMANDS:
        found = [folder for folder in runs if _is(folder, command)]
        if found:
            return max(found, key=lambda folder: ((folder / _RUN).stat().st_mtime_ns, folder.name))
    return None


def _is(folder: Path, command: str) -> bool:
    path = folder / _RUN
    if not path.is_file():
        return False
    about = _about(path)
    return about.get("command") == command and about.get("finished") is True


def _about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError("it is no JSON", where=path, mend="remove that run's folder, or run it again") from error
    if not isinstance(about, dict):
        raise DataError("it does not describe a run", where=path, mend="remove that run's folder, or run it again")
    return about


def _classes(path: Path) -> tuple[str, ...]:
    """The classes in the order of the probabilities, where the run itself names them."""
    named = _about(path).get("classes") if path.is_file() else None
    return tuple(str(name) for name in named) if isinstance(named, list) else ()


def read_outcomes(folder: Path, classes: tuple[str, ...]) -> Outcomes | None:
    """Read a run's predictions; None where it has none.

    Where several seeds or partitions speak of one image, their probabilities and losses are averaged: those in which
    it was a test image, or, where it never was, those in which it was a validation image.

    Args:
        folder: The run.
        classes: The image classes in the order of the probabilities, for runs that name classes by number.

    Raises:
        DataError: The file is damaged; the line is named.
    """
    names = _classes(folder / _RUN) or classes
    sums: dict[str, dict[str, _Sum]] = {}
    for where, line in _lines(folder / _PREDICTIONS):
        try:
            sample_id, condition = str(line["id"]), str(line.get("condition", "train"))
            truth, predicted = _name(line["truth"], names), _name(line["predicted"], names)
            probabilities = [float(value) for value in line.get("probabilities") or ()]
            loss = None if line.get("loss") is None else float(line["loss"])
            if probabilities and len(probabilities) != len(names):
                raise ValueError(f"{len(probabilities)} probabilities for {len(names)} classes")
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(
                f"this is no prediction: {type(error).__name__} {error}", where=where, mend="run it again"
            ) from error
        side = str(line.get("side", _TEST))
        found = sums.setdefault(condition, {}).setdefault(sample_id, _Sum(truth, side))
        if side == _TEST != found.side:
            # An epoch may have been chosen by validation images, so what is said of them flatters.
            found = sums[condition][sample_id] = _Sum(truth, side)
        if side == found.side:
            found.add(predicted, probabilities, loss, names)
    if not sums:
        return None
    conditions = {name: {key: found.outcome() for key, found in per.items()} for name, per in sums.items()}
    return Outcomes(folder, _main(tuple(conditions)), conditions, _heatmaps(folder, conditions))


def _main(conditions: tuple[str, ...]) -> str:
    """The condition that people came for: real and synthetic together; else the last."""
    pools = [name for name in conditions if f"{name.removeprefix('real + ')}-only" in conditions]
    both = [name for name in pools if name.startswith("real + ")]
    both = both or [name for name in conditions if "real" in name and "synth" in name]
    return (both or list(conditions))[-1]


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            where = f"{path} (line {number})"
            try:
                line = json.loads(text)
            except ValueError as error:
                raise DataError("it is no JSON", where=where, mend="run it again") from error
            if not isinstance(line, dict):
                raise DataError("it is no prediction", where=where, mend="run it again")
            yield where, line


def _name(value: Any, names: tuple[str, ...]) -> str:
    return value if isinstance(value, str) else str(names[int(value)])


class _Sum:
    """Probabilities of one image, added up."""

    def __init__(self, truth: str, side: str) -> None:
        self.truth = truth
        self.side = side
        self.votes: dict[str, float] = {}
        self.losses: list[float] = []
        self.count = 0

    def add(self, predicted: str, probabilities: list[float], loss: float | None, names: tuple[str, ...]) -> None:
        self.count += 1
        shares = dict(zip(names, probabilities, strict=True)) if probabilities else {predicted: 1.0}
        for name, share in shares.items():
            self.votes[name] = self.votes.get(name, 0.0) + share
        if loss is not None and math.isfinite(loss):
            self.losses.append(loss)

    def outcome(self) -> Outcome:
        predicted = max(sorted(self.votes), key=lambda name: self.votes[name])
        loss = sum(self.losses) / len(self.losses) if self.losses else None
        return Outcome(self.truth, predicted, self.votes[predicted] / self.count, loss)


def _heatmaps(folder: Path, conditions: Mapping[str, Mapping[str, Outcome]]) -> dict[str, Path]:
    """RUN/heatmaps/ID.png of the images that have one."""
    files = {path.name: path for path in (folder / _HEATMAPS).glob("*.png")}
    ids = {sample_id for per in conditions.values() for sample_id in per} if files else set()
    return {key: files[name] for key in ids if (name := f"{component(key)}.png") in files}
