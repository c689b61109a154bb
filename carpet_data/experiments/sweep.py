"""Train every row of a table on a prepared data set, and compare the results."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carpet_data.core.progress import Progress
from carpet_data.core.results import Result
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, DataFolder, Dataset, Sample, Side, folder_of
from carpet_data.errors import CarpetDataError
from carpet_data.experiments import sweep_records, sweep_table, sweep_text
from carpet_data.experiments.options import SweepOptions
from carpet_data.experiments.sweep_records import LineResult
from carpet_data.preparation.train_data import opened_without_leaks, samples_of
from carpet_data.store import lock, runs
from carpet_data.store.files import write_bytes
from carpet_data.store.runs import RunInfo

if TYPE_CHECKING:
    from carpet_data.experiments.sweep_plan import Line
    from carpet_data.experiments.sweep_run import Shared

__all__ = ["SweepResult", "sweep"]

MARKDOWN, CSV, PLOT = "sweep.md", "sweep.csv", "plots/sweep.png"


@dataclass(frozen=True, slots=True)
class SweepResult(Result):
    """A table of trainings.

    Attributes:
        run: The run folder.
        name: The data set's name.
        images: side -> number of images.
        rows: The result of each row, then of each network that stood in for rows without weights.
        seconds: Duration of the run; of a resumed one, of its last part.
        notes: What the user should know.
    """

    run: Path
    name: str
    table: str
    split: str
    images: Mapping[Side, int]
    seeds: tuple[int, ...]
    rows: tuple[LineResult, ...]
    seconds: float
    resumed: bool
    notes: tuple[str, ...]

    @property
    def plot(self) -> Path:
        """Test accuracy of every line with its interval, as PNG."""
        return self.run / PLOT

    def markdown(self) -> str:
        """The table with what it is of and how it is to be read."""
        counts = ", ".join(f"{count} {side}" for side, count in self.images.items())
        head = (
            f"{self.name}, split {self.split}: {counts} images. Table {self.table}, {counted(len(self.seeds), 'seed')}."
        )
        return "\n".join([head, "", sweep_text.markdown(self.rows), *(f"- {note}" for note in self.notes), ""])

    def text(self) -> str:
        """The result for people."""
        return f"{self.markdown()}\n{self.seconds:.1f} s\nrun  {self.run}\nplot {self.plot}"


def sweep(
    root: DataFolder,
    table: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    options: SweepOptions | None = None,
    *,
    split: str | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> SweepResult:
    """Train every row of a table on the training images of a split, and score each once on its test images.

    Rows share decoded images and, with a frozen backbone, features. The same call resumes an interrupted run: rows that
    are finished are not trained again.

    Args:
        root: A prepared folder, or its Dataset.
        table: The path of a YAML file, or the name of a shipped table.
        out: The run folder; None for the next number in the data set's folder `runs`.
        options: Seeds, device, and what to do about missing weights; None for the defaults.
        split: The split; None for "main".
        overwrite: Replace the run at `out`, or start over where an interrupted one would be resumed.
        workers: Processes that decode images; None for one per core.
        progress: Called with (epochs done, total epochs).
        **changes: Options by their names, such as seeds=5.

    Raises:
        DataError: The folder is not a prepared data set, a side is empty, or an image cannot be read.
        LeakError: A held-out image would reach training.
        UsageError: An option, the split or the device is unknown, or the table or a row of it is invalid.
        OutputError: `out` holds something else.
        WeightsError: No row can be run, or weights are damaged or cannot be downloaded.
        MissingExtraError: The extra `train` is not installed.
    """
    options = SweepOptions.of(options, changes)
    rows = sweep_table.load(table, freeze=options.freeze)
    dataset, name = opened_without_leaks(folder_of(root), split)
    # A side without images has no metrics.
    samples = {side: those for side, those in samples_of(dataset, name).items() if those}
    # After all that can be refused without torch, which takes seconds to load.
    from carpet_data.experiments import sweep_plan, sweep_run  # names the extra where torch is missing
    from carpet_data.networks import devices

    device = devices.resolve(options.device)
    lines = sweep_plan.plan(
        rows, fallback=options.fallback, download=options.download, has_val="val" in samples, progress=progress
    )
    seeds = tuple(range(options.seed, options.seed + options.seeds))
    settings = {"table": rows.name, "seeds": list(seeds), "rows": sweep_plan.described(lines)}
    run, resumed = _run(dataset, name, settings, str(device), out, overwrite)
    began = time.perf_counter()
    with lock.locked(run.folder, "sweep"):
        cache = runs.cache_of(dataset.root, out)
        used = [line.settings for line in lines if not line.missing]
        shared = sweep_run.Shared(dataset, samples, used, device=device, cache=cache, workers=workers)
        found = _trained(lines, shared, run.folder, seeds, progress)
        notes = _notes(dataset, samples, lines, found, seeds)
        result = _result(run, resumed, samples, found, time.perf_counter() - began, notes)
        _write(run, result, samples["test"])
        runs.finish(run, result.seconds, {"classes": _classes(samples)})
    return result


def _trained(
    lines: tuple[Line, ...], shared: Shared, folder: Path, seeds: tuple[int, ...], progress: Progress | None
) -> tuple[LineResult, ...]:
    from carpet_data.experiments import sweep_run

    try:
        return sweep_run.run(lines, shared, folder, seeds=seeds, progress=progress)
    except CarpetDataError:
        # A run that failed before anything in it was worth keeping leaves no folder.
        if not (folder / sweep_records.FOLDER).exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _result(
    run: RunInfo,
    resumed: bool,
    samples: Mapping[Side, Sequence[Sample]],
    rows: tuple[LineResult, ...],
    seconds: float,
    notes: tuple[str, ...],
) -> SweepResult:
    return SweepResult(
        run=run.folder,
        name=str(run.dataset["name"]),
        table=str(run.settings["table"]),
        split=str(run.dataset["split"]),
        images={side: len(those) for side, those in samples.items()},
        seeds=tuple(run.settings["seeds"]),
        rows=rows,
        seconds=seconds,
        resumed=resumed,
        notes=notes,
    )


def _classes(samples: Mapping[Side, Sequence[Sample]]) -> list[str]:
    """All class names, good first."""
    names = {sample.class_name for those in samples.values() for sample in those}
    return sorted(names, key=lambda name: (name != GOOD, name))


def _run(
    dataset: Dataset,
    split: str,
    settings: Mapping[str, Any],
    device: str,
    out: str | os.PathLike[str] | None,
    overwrite: bool,
) -> tuple[RunInfo, bool]:
    """The run folder, and whether it is an interrupted run that is resumed."""
    return runs.create(
        dataset.root,
        "sweep",
        dataset={
            "root": str(dataset.root.resolve()),
            "name": dataset.name,
            "fingerprint": dataset.fingerprint(split),
            "split": split,
        },
        settings=settings,
        facts={"device": device},
        out=None if out is None else Path(out),
        overwrite=overwrite,
    )


def _notes(
    dataset: Dataset,
    samples: Mapping[Side, Sequence[Sample]],
    lines: Sequence[Line],
    found: Sequence[LineResult],
    seeds: Sequence[int],
) -> tuple[str, ...]:
    notes = [f"{line.name}: {line.weights.note}" for line in lines if line.weights is not None and line.weights.note]
    notes += _missing_notes(lines, found)
    if "val" not in samples:
        notes.append(
            f"the split has no validation side, so there is no validation loss or accuracy; to get them: "
            f"carpet-data split {dataset.root.name} --name with-val --fractions 0.65 0.15 0.2"
        )
    count = len(samples["test"])
    notes.append(
        f"one test image is {100 / count:.1f} points; rows whose 95 % intervals (Wilson) overlap widely cannot be "
        "distinguished, and the best of many rows is lucky: choose by validation, or on another split"
    )
    if len(seeds) > 1:
        notes.append(f"metrics are means over {len(seeds)} seeds; the interval is of the test images, seeds add none")
    trained, tested = ({sample.class_name for sample in samples[side]} for side in ("train", "test"))
    notes += [f"{name} has no training image: it will never be predicted" for name in sorted(tested - trained)]
    return tuple(dict.fromkeys(notes))


def _missing_notes(lines: Sequence[Line], found: Sequence[LineResult]) -> list[str]:
    """Which rows did not run: those without weights in one sentence, those that failed one by one."""
    notes: list[str] = []
    missing = sum(bool(line.missing) for line in lines)
    if missing:
        stand_in = next((line for line in lines if line.fallback), None)
        instead = (
            "--fallback efficientnet_lite0 runs another network instead"
            if stand_in is None
            else f"{stand_in.architecture} ran instead, marked as fallback"
        )
        notes.append(
            f"{counted(missing, 'row')} not run, because their weights are not available locally; --download downloads "
            f"them, and {instead}"
        )
    failed = [line for line, planned in zip(found, lines, strict=True) if line.missing and not planned.missing]
    return notes + [f"{line.name}: {line.missing}" for line in failed]


def _write(run: RunInfo, result: SweepResult, test: Sequence[Sample]) -> None:
    folder, lines = run.folder, result.rows
    write_bytes(folder / MARKDOWN, result.markdown().encode(errors="backslashreplace"))
    write_bytes(folder / CSV, sweep_text.csv_text(lines).encode(errors="backslashreplace"))
    runs.write_json(folder / runs.METRICS, {"rows": [line.to_json() for line in lines], "notes": list(result.notes)})
    trained = [(line, record) for line in lines for record in line.records]
    runs.write_history(
        folder,
        (
            {"condition": line.name, "seed": record.seed, **epoch}
            for line, record in trained
            for epoch in record.history
        ),
    )
    runs.write_predictions(
        folder,
        (
            replace(row, condition=line.name, partition=result.split)
            for line, record in trained
            for row in record.predictions
        ),
    )
    _draw(result, test)


def _draw(result: SweepResult, test: Sequence[Sample]) -> None:
    from carpet_data.metrics import Estimate
    from carpet_data.reporting import figures

    trained = [line for line in result.rows if line.records]
    rows: list[Any] = []
    for line in trained:
        points = [record.right / record.test_images for record in line.records] if len(line.records) > 1 else []
        mark = " (fallback)" if line.fallback else ""
        rows.append((sweep_text.label(line, trained) + mark, Estimate(line.test_accuracy, line.test_interval), points))
    commonest = max(Counter(sample.class_name for sample in test).values()) / len(test)
    drawn = figures.accuracies(rows, title=f"{result.name}: table {result.table}", chance=commonest)
    figures.save(drawn, result.plot)
