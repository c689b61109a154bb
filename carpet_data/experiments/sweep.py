"""Train the rows of a table on a prepared data set, side by side."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carpet_data.core.progress import Progress
from carpet_data.core.text import counted
from carpet_data.dataset import Dataset, Sample, Side
from carpet_data.errors import CarpetDataError, UsageError
from carpet_data.experiments import sweep_records, sweep_table, sweep_text
from carpet_data.experiments.sweep_records import LineResult
from carpet_data.preparation.train_data import opened, samples_of
from carpet_data.store import lock, runs
from carpet_data.store.files import write_bytes
from carpet_data.store.runs import RunInfo

if TYPE_CHECKING:
    from carpet_data.experiments.sweep_plan import Line

__all__ = ["SweepResult", "sweep"]

MARKDOWN, CSV, PLOT = "sweep.md", "sweep.csv", "plots/sweep.png"


@dataclass(frozen=True, slots=True)
class SweepResult:
    """A table of trainings.

    Attributes:
        folder: The run folder.
        name: The data set's name.
        table: The table's name.
        split: The split.
        images: side -> how many images.
        seeds: Of the trainings.
        lines: What was found of each row, then of what ran in place of rows without weights.
        seconds: The whole run took; of a continued one its last part.
        resumed: Whether an interrupted run was continued.
        notes: What the user should know.
    """

    folder: Path
    name: str
    table: str
    split: str
    images: Mapping[Side, int]
    seeds: tuple[int, ...]
    lines: tuple[LineResult, ...]
    seconds: float
    resumed: bool
    notes: tuple[str, ...]

    @property
    def plot(self) -> Path:
        """Test accuracy of every line with its interval, as PNG."""
        return self.folder / PLOT

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "run": str(self.folder),
            "name": self.name,
            "table": self.table,
            "split": self.split,
            "images": dict(self.images),
            "seeds": list(self.seeds),
            "rows": [line.to_json() for line in self.lines],
            "seconds": self.seconds,
            "resumed": self.resumed,
            "notes": list(self.notes),
        }

    def markdown(self) -> str:
        """The table with what it is of and how it is to be read."""
        counts = ", ".join(f"{count} {side}" for side, count in self.images.items())
        head = (
            f"{self.name}, split {self.split}: {counts} images. Table {self.table}, {counted(len(self.seeds), 'seed')}."
        )
        return "\n".join([head, "", sweep_text.markdown(self.lines), *(f"- {note}" for note in self.notes), ""])

    def text(self) -> str:
        """The result for people."""
        return f"{self.markdown()}\n{self.seconds:.1f} s\nrun  {self.folder}\nplot {self.plot}"


def sweep(
    root: Path | str,
    table: str | Path = sweep_table.DEFAULT,
    *,
    split: str | None = None,
    seed: int = 0,
    seeds: int = 1,
    freeze: str | None = None,
    device: str = "auto",
    fallback: str | None = None,
    download: bool = False,
    out: Path | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> SweepResult:
    """Train every row of a table on the train side of a split, and score each once on the test side.

    Rows share decoded images and, with a frozen backbone, features. A run that was interrupted is continued by the same
    call: rows that are finished are not trained again.

    Args:
        root: A prepared folder.
        table: A shipped table, or the path of a YAML file.
        split: Which; None for "main".
        seed: Of the first training of each row.
        seeds: Trainings of each row, with the seeds `seed`, `seed + 1` …
        freeze: In place of what the table says: "backbone", "none", or "until STAGE".
        device: Where.
        fallback: The network that runs in place of rows whose weights are not here; None for the table's, "none" for
            none.
        download: Fetch weights that torchvision publishes and that are not here.
        out: The run folder; None for the next number in the data set's folder `runs`.
        overwrite: Replace the run at `out`, or begin anew where an interrupted one would be continued.
        workers: Processes that decode images; None for one a core.
        progress: Called with (epochs done, epochs in all).

    Raises:
        DataError: The folder is no prepared data set, a side is empty, or an image cannot be read.
        LeakError: A held-out image would reach training.
        UsageError: There is no such split or device, or the table or a row of it is wrong.
        OutputError: `out` holds something else.
        WeightsError: No row can be run, or weights are damaged or cannot be downloaded.
        MissingExtraError: The extra `train` is not installed.
    """
    from carpet_data import networks  # noqa: F401 - names the extra where torch is missing
    from carpet_data.experiments import sweep_plan
    from carpet_data.experiments import sweep_run as running
    from carpet_data.experiments.sweep_images import Shared
    from carpet_data.networks import devices
    from carpet_data.store import leaks

    if seeds < 1:
        raise UsageError(f"{seeds} seeds", hint="use one or more")
    rows = sweep_table.load(table, freeze=freeze)
    dataset, name = opened(Path(root), split)
    leaks.refuse_leaks(dataset, name)
    # A side without images has no figures.
    samples = {side: those for side, those in samples_of(dataset, name).items() if those}
    where = devices.resolve(device)
    lines = sweep_plan.plan(rows, fallback=fallback, download=download, has_val="val" in samples)
    numbers = tuple(range(seed, seed + seeds))
    run, resumed = runs.create(
        dataset.root,
        "sweep",
        dataset={
            "root": str(dataset.root.resolve()),
            "name": dataset.name,
            "fingerprint": dataset.fingerprint(name),
            "split": name,
        },
        settings={"table": rows.name, "seeds": list(numbers), "rows": sweep_plan.described(lines)},
        facts={"device": str(where)},
        out=out,
        overwrite=overwrite,
    )
    began = time.perf_counter()
    with lock.locked(run.folder, "sweep"):
        shared = Shared(
            dataset,
            samples,
            (line.settings for line in lines if not line.missing),
            device=where,
            cache=dataset.root / runs.RUNS / runs.CACHE if out is None else None,
            workers=workers,
        )
        try:
            found = running.run(lines, shared, run.folder, seeds=numbers, device=where, progress=progress)
        except CarpetDataError:
            _give_up(run)
            raise
        result = SweepResult(
            folder=run.folder,
            name=dataset.name,
            table=rows.name,
            split=name,
            images={side: len(those) for side, those in samples.items()},
            seeds=numbers,
            lines=found,
            seconds=time.perf_counter() - began,
            resumed=resumed,
            notes=_notes(dataset, samples, lines, found, numbers),
        )
        _write(run, result, samples["test"])
        runs.finish(run, result.seconds, {"classes": list(shared.classes)})
    return result


def _notes(
    dataset: Dataset,
    samples: Mapping[Side, Sequence[Sample]],
    lines: Sequence[Line],
    found: Sequence[LineResult],
    seeds: Sequence[int],
) -> tuple[str, ...]:
    notes = []
    missing = sum(bool(line.missing) for line in lines)
    if missing:
        stand_in = next((line for line in lines if line.fallback), None)
        instead = (
            "another network runs in their place with --fallback efficientnet_lite0"
            if stand_in is None
            else f"{stand_in.architecture} ran in their place, marked as fallback"
        )
        notes.append(
            f"{counted(missing, 'row')} not run, their weights are not here; --download fetches them, and {instead}"
        )
    notes += [
        f"{line.name}: {line.missing}"
        for line, asked in zip(found, lines, strict=True)
        if line.missing and not asked.missing
    ]
    if "val" not in samples:
        notes.append(
            f"the split has no val side, so there is no val loss and no val accuracy; for them: "
            f"carpet-data split {dataset.root.name} --name with-val --fractions 0.65 0.15 0.2"
        )
    count = len(samples["test"])
    notes.append(
        f"one test image is {100 / count:.1f} points; rows whose 95 % intervals (Wilson) overlap widely are not told "
        "apart, and the best of many rows is lucky: choose by val, or on another split"
    )
    if len(seeds) > 1:
        notes.append(f"figures are means over {len(seeds)} seeds; the interval is of the test images, seeds add none")
    trained = Counter(sample.class_name for sample in samples["train"])
    unseen = sorted({sample.class_name for sample in samples["test"]} - set(trained))
    notes += [f"{name} has no train image: nothing can be taken for it" for name in unseen]
    return tuple(notes)


def _write(run: RunInfo, result: SweepResult, test: Sequence[Sample]) -> None:
    from carpet_data.metrics import Estimate
    from carpet_data.reporting import figures

    folder, lines = run.folder, result.lines
    write_bytes(folder / MARKDOWN, result.markdown().encode(errors="backslashreplace"))
    write_bytes(folder / CSV, sweep_text.csv_text(lines).encode(errors="backslashreplace"))
    runs.write_json(folder / runs.METRICS, {"rows": [line.to_json() for line in lines], "notes": list(result.notes)})
    trained = [line for line in lines if line.records]
    runs.write_history(
        folder,
        (
            {"condition": line.name, "seed": record.seed, **epoch}
            for line in trained
            for record in line.records
            for epoch in record.history
        ),
    )
    runs.write_predictions(
        folder,
        (
            runs.Prediction(
                condition=line.name,
                partition=result.split,
                seed=record.seed,
                side="test",
                **{**row, "probabilities": tuple(row["probabilities"])},
            )
            for line in trained
            for record in line.records
            for row in record.predictions
        ),
    )
    rows = []
    for line in trained:
        points = [record.right / record.test_images for record in line.records] if len(line.records) > 1 else []
        mark = " (fallback)" if line.fallback else ""
        rows.append((sweep_text.label(line, trained) + mark, Estimate(line.test_accuracy, line.test_interval), points))
    commonest = max(Counter(sample.class_name for sample in test).values()) / len(test)
    drawn = figures.accuracies(rows, title=f"{result.name}: table {result.table}", chance=commonest)
    figures.save(drawn, folder / PLOT)


def _give_up(run: RunInfo) -> None:
    """Leave no folder of a run that failed before anything in it was worth keeping."""
    if not (run.folder / sweep_records.FOLDER).exists():
        shutil.rmtree(run.folder, ignore_errors=True)
