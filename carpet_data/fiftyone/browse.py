"""Look at a data set in the FiftyOne App."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from carpet_data.core.colors import of_classes
from carpet_data.core.progress import Progress
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, Dataset, IndexFile
from carpet_data.errors import CarpetDataError, DataError, UsageError
from carpet_data.fiftyone import app, colours, connection, entries, fields, naming, views
from carpet_data.fiftyone.content import MaskJob, image_key
from carpet_data.fiftyone.outcomes import Outcomes, last_run, read_outcomes
from carpet_data.fiftyone.sync import Synced, sync
from carpet_data.formats import read
from carpet_data.store import recipes as recipe_files

__all__ = ["BrowseResult", "browse"]


@dataclass(frozen=True, slots=True)
class BrowseResult:
    """What FiftyOne shows.

    Attributes:
        root: The data set's folder, or the COCO file.
        dataset: Its name in FiftyOne: `fiftyone.load_dataset(name)`.
        samples: How many.
        added: Samples that were new.
        updated: Samples of which something was written again.
        removed: Samples that the data set holds no more.
        unchanged: Samples that were left as they are.
        split: The split whose sides are shown; None without one.
        run: The run whose predictions are shown; None without one.
        heatmaps: The run whose heat maps are shown: the same, or the last training; None without any.
        network: What made the embeddings; None without them.
        views: The saved views.
        warnings: Missing images, masks that cannot be read, annotations that were left out.
        url: Where the App is; None if it was not opened.
    """

    root: Path
    dataset: str
    samples: int
    added: int
    updated: int
    removed: int
    unchanged: int
    split: str | None
    run: Path | None
    heatmaps: Path | None
    network: str | None
    views: tuple[str, ...]
    warnings: tuple[CarpetDataError, ...] = ()
    url: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "root": str(self.root),
            "dataset": self.dataset,
            "samples": self.samples,
            "added": self.added,
            "updated": self.updated,
            "removed": self.removed,
            "unchanged": self.unchanged,
            "split": self.split,
            "run": None if self.run is None else str(self.run),
            "heatmaps": None if self.heatmaps is None else str(self.heatmaps),
            "network": self.network,
            "views": list(self.views),
            "warnings": [warning.to_json() for warning in self.warnings],
            "url": self.url,
        }

    def text(self) -> str:
        """The result in words."""
        done = [(self.added, "new"), (self.updated, "updated"), (self.removed, "removed")]
        shown = ", ".join(f"{count} {what}" for count, what in done if count) or "nothing changed"
        lines = [f"{self.dataset}: {counted(self.samples, 'sample')} in FiftyOne ({shown})"]
        if self.run is not None:
            lines.append(f"predictions: {self.run.name}")
        if self.heatmaps is not None:
            lines.append(f"heat maps: {self.heatmaps.name}")
        if self.network is not None:
            lines.append(f"embeddings: {self.network}")
        if self.views:
            lines.append(f"saved views: {', '.join(self.views)}")
        if self.url is not None:
            lines.append(f"open: {self.url}")
        return "\n".join(lines)


def browse(
    root: Path | str | None = None,
    *,
    coco: Path | str | None = None,
    split: str | None = None,
    embeddings: bool = False,
    database_uri: str | None = None,
    launch: bool = False,
    port: int = app.DEFAULT_PORT,
    address: str = app.DEFAULT_ADDRESS,
    remote: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
    ready: Callable[[BrowseResult], None] | None = None,
) -> BrowseResult:
    """Bring a data set into FiftyOne, and open the App on it if asked to.

    The same folder is the same FiftyOne dataset every time, also after it was moved: what changed is written again,
    what is gone is removed, and tags, fields, views and edits that people made stay. The data set is not changed.

    Args:
        root: A data set, prepared or raw.
        coco: A COCO file to look at instead, with its images beside it.
        split: Whose sides are shown; None for "main", else the source's own.
        embeddings: Also compute features of all images: a map, uniqueness, the nearest real image.
        database_uri: A MongoDB of your own; None for the one that FiftyOne is configured for, else its own.
        launch: Open the App, and return when its window is closed.
        port: Where the App listens.
        address: On which address; the default is reached from this machine only.
        remote: Open no browser here, and serve until Ctrl-C.
        workers: Processes that read masks; None for one a core.
        progress: Called with (samples done, all), once more from the start for embeddings.
        ready: Called with the result when the data are there and, with `launch`, the App answers.

    Raises:
        MissingExtraError: FiftyOne is not installed, or torch for the embeddings.
        DataError: The data set or the COCO file cannot be read, or a run's predictions are damaged.
        UsageError: Both or neither of `root` and `coco` are given, or there is no such split.
        DatabaseError: FiftyOne's database cannot be reached or started.
        AppError: The port is taken, or the App does not start.
    """
    if (root is None) == (coco is None):
        raise UsageError("name either a data set or a COCO file to look at", hint="browse(root) or browse(coco=file)")
    shown = _dataset(Path(root), split) if root is not None else _coco(Path(os.fspath(coco or "")))
    if launch:
        app.check_port(port, address)
    fiftyone = connection.connect(database_uri)
    images = (image_key(job.sample, shown.image(job)) for job in shown.jobs)
    dataset = naming.find_or_make(fiftyone, shown.root, shown.name, images)
    _declare(fiftyone, dataset, shown, embeddings=embeddings)
    listed = (entries.Entry(job, shown.side_of(job.sample.id), shown.outcomes, shown.image(job)) for job in shown.jobs)
    done = sync(fiftyone, dataset, listed, total=len(shown.jobs), workers=workers, progress=progress)
    network: str | None = None
    unread: tuple[CarpetDataError, ...] = ()
    if embeddings:
        network, unread = _embed(dataset, shown, progress)
    saved = _present(fiftyone, dataset, shown)
    result = _result(shown, dataset, done, network, saved, unread)
    if not launch:
        if ready is not None:
            ready(result)
        return result

    def answered(url: str) -> None:
        nonlocal result
        result = replace(result, url=url)
        if ready is not None:
            ready(result)

    app.serve(fiftyone, dataset, port=port, address=address, remote=remote, ready=answered)
    return result


@dataclass(frozen=True, slots=True)
class _Shown:
    """What is to be shown: of a data set or of a COCO file.

    Attributes:
        root: The folder or file that it is known by.
        name: What people call it.
        jobs: Its samples and where their annotations are read from.
        classes: The image classes.
        split: The split whose sides are shown.
        sides: sample id -> side.
        outcomes: What the last run says.
        info: What is noted in FiftyOne, besides.
        problems: What was left out.
    """

    root: Path
    name: str
    jobs: tuple[MaskJob, ...]
    classes: tuple[str, ...]
    split: str | None
    sides: dict[str, str]
    outcomes: Outcomes | None
    info: dict[str, Any]
    problems: tuple[CarpetDataError, ...] = ()

    def side_of(self, sample_id: str) -> str | None:
        return self.sides.get(sample_id)

    def image(self, job: MaskJob) -> Path:
        return job.root / job.sample.image_path


def _dataset(root: Path, split: str | None) -> _Shown:
    dataset = read(root)
    split = dataset.split_name(split)
    run = last_run(dataset.root)
    outcomes = None if run is None else read_outcomes(dataset.root, run, dataset.classes)
    recipes, problems = _recipes(dataset)
    place = dataset.root.absolute()
    info = {
        "format": dataset.format,
        "fingerprint": dataset.fingerprint(split),
        "license": dataset.license,
        "recipes": recipes,
        "run": None if run is None else run.folder.name,
        "heatmaps": None if outcomes is None or outcomes.heatmaps_run is None else outcomes.heatmaps_run.name,
    }
    return _Shown(
        root=dataset.root,
        name=dataset.root.resolve().name or dataset.name,
        jobs=tuple(MaskJob(place, sample, dataset.connectivity) for sample in dataset),
        classes=tuple(dict.fromkeys((*dataset.classes, *dataset.categories))),
        split=split,
        sides={} if split is None else dict(dataset.splits[split].sides),
        outcomes=outcomes,
        info=info,
        problems=problems,
    )


def _recipes(dataset: Dataset) -> tuple[dict[str, Any], tuple[CarpetDataError, ...]]:
    """The recipes that made the synthetic samples, by hash, and those that cannot be read."""
    hashes = {str(made["recipe"]) for sample in dataset if (made := sample.provenance) and "recipe" in made}
    found = {key: _recipe(dataset.root, key) for key in sorted(hashes)}
    problems = tuple(recipe for recipe in found.values() if isinstance(recipe, CarpetDataError))
    return {key: recipe for key, recipe in found.items() if not isinstance(recipe, CarpetDataError)}, problems


def _recipe(root: Path, key: str) -> dict[str, Any] | CarpetDataError:
    try:
        return recipe_files.load(root, key)
    except DataError as error:
        return error
    except ValueError as error:
        return DataError(str(error), where=root, hint="drop the samples that name this recipe")


def _coco(path: Path) -> _Shown:
    from carpet_data.fiftyone import coco

    if path.is_dir():
        raise DataError("this is a folder", where=path, hint="name the JSON file, or browse the folder as a data set")
    jobs, problems = coco.jobs(path)
    names = {job.sample.class_name for job in jobs}
    names |= {name for job in jobs for name in job.sample.defect_classes} | {n for job in jobs for n, _ in job.boxes}
    return _Shown(
        root=path,
        name=f"{path.absolute().parent.name} {path.stem}",
        jobs=tuple(jobs),
        classes=tuple(sorted(names, key=lambda name: (name != GOOD, name))),
        split=None,
        sides={},
        outcomes=None,
        info={"format": "coco"},
        problems=problems,
    )


def _embed(dataset: Any, shown: _Shown, progress: Progress | None) -> tuple[str, tuple[CarpetDataError, ...]]:
    from carpet_data.fiftyone import embeddings

    samples = [job.sample for job in shown.jobs]
    root = shown.jobs[0].root if shown.jobs else shown.root
    return embeddings.add(dataset, samples, root, progress=progress)


def _declare(fiftyone: Any, dataset: Any, shown: _Shown, *, embeddings: bool) -> None:
    """The fields that this data set fills; those of conditions that the run before had go."""
    made = [job.sample.provenance for job in shown.jobs if job.sample.provenance is not None]
    there: dict[fields.Group, Any] = {
        "model": shown.outcomes,
        "heatmap": shown.outcomes is not None and shown.outcomes.heatmaps,
        "synthesis": made,
        "embeddings": embeddings,
    }
    gates = sorted({name for provenance in made for name in provenance.get("gates") or {}})
    conditions = _condition_fields(shown)
    schema = dataset.get_field_schema()
    gone = [name for name in (dataset.info.get(naming.INFO) or {}).get("conditions", ()) if name not in conditions]
    for name in gone:
        if name in schema:
            dataset.delete_sample_field(name)
    fields.declare(
        fiftyone,
        dataset,
        groups=[group for group, content in there.items() if content],
        gates=[fields.gate_field(name) for name in gates],
        conditions=conditions,
    )


def _condition_fields(shown: _Shown) -> list[str]:
    return [] if shown.outcomes is None else [fields.prediction_field(name) for name in shown.outcomes.others]


def _present(fiftyone: Any, dataset: Any, shown: _Shown) -> tuple[str, ...]:
    """Colours, sidebar, saved views, and what is noted for the next time."""
    before: dict[str, Any] = dict(dataset.info.get(naming.INFO) or {})
    of_class = of_classes(shown.classes, before.get("colours"))
    largest = max((_largest_index(job) for job in shown.jobs), default=0)
    dataset.mask_targets = {
        "segmentation": {**{value: f"instance {value}" for value in range(1, min(largest, 254) + 1)}, 255: "defect"}
    }
    scheme = colours.scheme(fiftyone, of_class, entries.label_fields(shown.outcomes), largest)
    dataset.app_config.color_scheme = scheme
    if not before:
        dataset.app_config.active_fields = fields.shown(fiftyone)
    dataset.app_config.sidebar_groups = fields.sidebar(fiftyone, dataset)
    saved = views.save(fiftyone, dataset, shown.classes, before.get("views") or ())
    dataset.info[naming.INFO] = {
        **shown.info,
        "root": str(shown.root.resolve()),
        "name": shown.name,
        "split": shown.split,
        "colours": of_class,
        "conditions": _condition_fields(shown),
        "views": list(saved),
    }
    dataset.save()
    return saved


def _largest_index(job: MaskJob) -> int:
    annotation = job.sample.annotation
    return max((value for value, _ in annotation.table), default=0) if isinstance(annotation, IndexFile) else 0


def _result(
    shown: _Shown,
    dataset: Any,
    done: Synced,
    network: str | None,
    saved: Sequence[str],
    unread: tuple[CarpetDataError, ...],
) -> BrowseResult:
    # A missing image is missed by the sync and by the embeddings; once is enough.
    named = {str(problem.where) for problem in done.problems}
    return BrowseResult(
        root=shown.root,
        dataset=dataset.name,
        samples=len(shown.jobs),
        added=done.added,
        updated=done.updated,
        removed=done.removed,
        unchanged=done.unchanged,
        split=shown.split,
        run=None if shown.outcomes is None else shown.outcomes.run,
        heatmaps=None if shown.outcomes is None else shown.outcomes.heatmaps_run,
        network=network,
        views=tuple(saved),
        warnings=(*shown.problems, *done.problems, *(problem for problem in unread if str(problem.where) not in named)),
    )
