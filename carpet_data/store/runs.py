"""Run folders: made, resumed, and read back. Plain JSON, no torch.

RUN/run.json           what was run: see RunInfo
RUN/metrics.json       metrics
RUN/predictions.jsonl  one Prediction a line
RUN/history.jsonl      one epoch a line
RUN/heatmaps/ID.png    where the network looked, gray; ID as `store.names.component` writes it
RUN/model/ plots/ worst/ …
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from carpet_data.core.results import plain
from carpet_data.errors import DataError, LockedError, OutputError
from carpet_data.store import lock
from carpet_data.store.files import making
from carpet_data.store.json_files import read_json, read_lines, write_json, write_lines
from carpet_data.store.output import check_folder
from carpet_data.version import __version__

__all__ = [
    "Prediction",
    "RunInfo",
    "cache_of",
    "create",
    "finish",
    "history",
    "in_use",
    "last",
    "listing",
    "metrics",
    "predictions",
    "read",
    "versions",
    "write_history",
    "write_json",
    "write_predictions",
]

RUNS = "runs"
"""The folder of a data set that holds its runs."""
CACHE = ".cache"
"""In it: features and pixels kept for the next run; may be removed at any time."""
RUN_JSON, METRICS, PREDICTIONS, HISTORY = "run.json", "metrics.json", "predictions.jsonl", "history.jsonl"
HEATMAPS = "heatmaps"
SCHEMA = 1
_FIELDS = ("command", "started", "finished", "seconds", "dataset", "settings", "versions")
_PACKAGES = ("numpy", "opencv-python-headless", "torch", "torchvision", "timm")
_NUMBERED = re.compile(r"^(?P<command>[a-z-]+)-(?P<number>\d{3,})$")
_AGAIN = "run the command again with --overwrite"


def cache_of(root: Path, out: object) -> Path | None:
    """Where a run of a data set keeps features; None where it was told to write to `out`, beside which none is kept."""
    return root / RUNS / CACHE if out is None else None


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The content of run.json.

    Attributes:
        dataset: root, name, fingerprint, split.
        settings: What decides the result; only an equal command resumes a run.
        seconds: It took; of an interrupted run 0.
        started: UTC, ISO 8601.
        facts: More that the command recorded, such as classes and weights.
    """

    folder: Path
    command: str
    dataset: Mapping[str, Any]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    finished: bool
    seconds: float
    started: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The values of run.json."""
        return {"schema": SCHEMA, **{name: plain(getattr(self, name)) for name in _FIELDS}, **self.facts}


@dataclass(frozen=True, slots=True)
class Prediction:
    """The prediction of a model for one image.

    Attributes:
        condition: What it was trained on; "train" for the command train.
        side: "val" or "test".
        predicted: The class with the largest probability.
        probabilities: Of each class, in the order of `classes` in run.json.
        loss: −log of the probability of the truth.
        anomaly: How surely the image shows a defect; None for a classifier.
        detections: The defects found, the surest first: class, score, bbox, area and mask of each.
    """

    id: str
    condition: str
    partition: str
    seed: int
    side: str
    truth: str
    predicted: str
    probabilities: tuple[float, ...]
    loss: float
    anomaly: float | None = None
    detections: tuple[Mapping[str, Any], ...] = ()


def versions() -> dict[str, str]:
    """The versions of this program and of the packages that decide its results."""
    found = {"carpet-data": __version__}
    for name in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def create(
    root: Path,
    command: str,
    *,
    dataset: Mapping[str, Any],
    settings: Mapping[str, Any],
    facts: Mapping[str, Any] | None = None,
    out: Path | None = None,
    overwrite: bool = False,
) -> tuple[RunInfo, bool]:
    """Make a run folder, or find the interrupted one of the same command, data and settings.

    Args:
        root: The data set; runs lie in its folder `runs`, numbered.
        command: "train", "validate" or "sweep".
        dataset: For run.json.
        settings: Likewise, JSON values.
        facts: Likewise; they may differ when a run is resumed.
        out: Another place for the run; None for the next free number.
        overwrite: Start over: replace the run at `out`, or leave an interrupted one as it is.

    Returns:
        The run, and whether it is an interrupted one to resume.

    Raises:
        OutputError: `out` holds something else, or cannot be written.
    """
    info = RunInfo(
        folder=out if out is not None else root / RUNS,
        command=command,
        dataset=_plain(dataset),
        settings=_plain(settings),
        versions=versions(),
        finished=False,
        seconds=0.0,
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        facts=_plain(facts or {}),
    )
    if out is not None:
        return _at(info, out, overwrite)
    if not overwrite:
        for run in reversed(listing(root)):
            if not run.finished and _differing(run, info) is None and not in_use(run.folder):
                return run, True
    folder = _next(root / RUNS, command)
    write_json(folder / RUN_JSON, info.to_json())
    return replace(info, folder=folder), False


def _at(info: RunInfo, out: Path, overwrite: bool) -> tuple[RunInfo, bool]:
    if (out / RUN_JSON).is_file() and not overwrite:
        there = read(out)
        if there.finished:
            raise OutputError(
                "the folder holds a finished run", where=out, hint="choose another --out, or use --overwrite"
            )
        if differing := _differing(there, info):
            raise OutputError(
                f"the folder holds an interrupted run of other {differing}",
                where=out,
                hint="use the settings and the data of that run, or start over with --overwrite",
            )
        return there, True
    check_folder(out, overwrite=overwrite, ours=lambda folder: (folder / RUN_JSON).is_file(), kind="run folders")
    if out.is_dir():
        shutil.rmtree(out)
    with making(out):
        write_json(out / RUN_JSON, info.to_json())
    return info, False


def _next(runs: Path, command: str) -> Path:
    with making(runs):
        runs.mkdir(parents=True, exist_ok=True)
        while True:
            taken = [
                int(match["number"])
                for path in runs.iterdir()
                if (match := _NUMBERED.match(path.name)) and match["command"] == command
            ]
            folder = runs / f"{command}-{max(taken, default=0) + 1:03d}"
            try:
                folder.mkdir()
            except FileExistsError:
                continue  # another process took the number
            return folder


def _differing(one: RunInfo, other: RunInfo) -> str | None:
    if one.command != other.command:
        return f"kind ({one.command})"
    for name in sorted({*one.settings, *other.settings}):
        if one.settings.get(name) != other.settings.get(name):
            return f"settings ({name.replace('_', ' ')} {one.settings.get(name)!r}, not {other.settings.get(name)!r})"
    same = all(one.dataset.get(name) == other.dataset.get(name) for name in ("fingerprint", "split"))
    return None if same else "data"


def in_use(folder: Path) -> bool:
    """Whether a run is going on in a folder."""
    try:
        with lock.locked(folder, "look"):
            return False
    except LockedError:
        return True


def finish(run: RunInfo, seconds: float, facts: Mapping[str, Any] | None = None) -> RunInfo:
    """Mark a run as complete in run.json."""
    done = replace(run, finished=True, seconds=seconds, facts={**run.facts, **_plain(facts or {})})
    write_json(run.folder / RUN_JSON, done.to_json())
    return done


def read(folder: Path) -> RunInfo:
    """Read run.json of a run folder.

    Raises:
        DataError: It is missing or damaged.
    """
    values = read_json(folder / RUN_JSON, hint=_AGAIN)
    try:
        if values["schema"] != SCHEMA:
            raise ValueError(f"unknown schema {values['schema']!r}; this program reads {SCHEMA}")
        known = {name: values.pop(name) for name in _FIELDS}
        del values["schema"]
        return RunInfo(folder=folder, **known, facts=values)
    except (KeyError, ValueError) as error:
        raise DataError(f"not a run ({error})", where=folder / RUN_JSON, hint=_AGAIN) from error


def listing(root: Path, command: str | None = None) -> tuple[RunInfo, ...]:
    """The runs of a data set in the order in which they were started; folders without run.json are left out.

    Raises:
        DataError: A run.json is damaged.
    """
    folder = root / RUNS
    if not folder.is_dir():
        return ()
    found = [read(path) for path in folder.iterdir() if (path / RUN_JSON).is_file()]
    chosen = [run for run in found if command is None or run.command == command]
    return tuple(sorted(chosen, key=lambda run: (run.started, len(run.folder.name), run.folder.name)))


def last(root: Path, command: str | None = None) -> RunInfo | None:
    """The finished run of a data set that was started last; None where there is none.

    Raises:
        DataError: A run.json is damaged.
    """
    return next((run for run in reversed(listing(root, command)) if run.finished), None)


def metrics(folder: Path) -> dict[str, Any]:
    """The metrics of a run.

    Raises:
        DataError: The file is missing or damaged.
    """
    return read_json(folder / METRICS, hint=_AGAIN)


def predictions(folder: Path) -> tuple[Prediction, ...]:
    """The predictions of a run; none where it has no such file.

    Raises:
        DataError: A line is damaged; it is named.
    """
    return tuple(_prediction(where, values) for where, values in _lines(folder / PREDICTIONS))


def _prediction(where: str, values: dict[str, Any]) -> Prediction:
    try:
        found = {"probabilities": tuple(values["probabilities"]), "detections": tuple(values.get("detections", ()))}
        return Prediction(**{**values, **found})
    except (KeyError, TypeError) as error:
        raise DataError(f"the line is not a prediction ({error})", where=where, hint=_AGAIN) from error


def history(folder: Path) -> tuple[dict[str, Any], ...]:
    """The epochs of a run as plain values; none where it has no such file.

    Raises:
        DataError: A line is damaged; it is named.
    """
    return tuple(values for _, values in _lines(folder / HISTORY))


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    return read_lines(path, _AGAIN) if path.is_file() else iter(())


def write_predictions(folder: Path, rows: Iterable[Prediction]) -> None:
    """Write predictions.jsonl; what a classifier does not say has no key."""
    write_lines(folder / PREDICTIONS, (_line(row) for row in rows))


def _line(row: Prediction) -> dict[str, Any]:
    values = asdict(row)
    if row.anomaly is None:
        del values["anomaly"], values["detections"]
    return values


def write_history(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write history.jsonl."""
    write_lines(folder / HISTORY, rows)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON gives it back, so that a run read from disk compares equal."""
    return dict(json.loads(json.dumps(dict(values))))
