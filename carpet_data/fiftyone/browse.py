"""Browse a data set in the FiftyOne App."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from carpet_data.core.colors import of_classes
from carpet_data.core.progress import Progress
from carpet_data.core.results import Result
from carpet_data.core.text import counted
from carpet_data.dataset import DataFolder, IndexFile, folder_of
from carpet_data.errors import CarpetDataError, UsageError
from carpet_data.fiftyone import app, connection, fields, views
from carpet_data.fiftyone.content import image_key
from carpet_data.fiftyone.options import BrowseOptions
from carpet_data.fiftyone.shown import Shown, of_dataset
from carpet_data.fiftyone.sync import sync
from carpet_data.formats.account.roles import Account

__all__ = ["BrowseResult", "browse"]


@dataclass(frozen=True, slots=True)
class BrowseResult(Result):
    """What FiftyOne shows.

    Attributes:
        root: The data set's folder, or the COCO file.
        dataset: Its name in FiftyOne: `fiftyone.load_dataset(name)`.
        samples: Number of samples.
        added: Samples that were new.
        updated: Samples of which something was written again.
        removed: Samples that are no longer in the data set.
        unchanged: Samples that were left as they are.
        split: The split whose sides are shown; None without one.
        run: The run, or the folder of `predict`, whose predictions are shown; None without one.
        heatmaps: The run whose heat maps are shown: the same, or the last training; None without any.
        network: The network of the embeddings; None without them.
        views: The saved views.
        notes: Missing images, masks that cannot be read, annotations that were left out.
        source: What each folder was taken for; None for a prepared folder or a COCO file.
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
    notes: tuple[CarpetDataError, ...] = ()
    url: str | None = None
    source: Account | None = None

    def text(self) -> str:
        """The result in words."""
        done = [(self.added, "new"), (self.updated, "updated"), (self.removed, "removed")]
        changes = ", ".join(f"{count} {what}" for count, what in done if count) or "nothing changed"
        lines = [f"{self.dataset}: {counted(self.samples, 'sample')} in FiftyOne ({changes})"]
        more = {
            "predictions": self.run and self.run.name,
            "heat maps": self.heatmaps and self.heatmaps.name,
            "embeddings": self.network,
            "saved views": ", ".join(self.views),
            "open": self.url,
        }
        return "\n".join(lines + [f"{name}: {value}" for name, value in more.items() if value])


def browse(
    root: DataFolder | None = None,
    options: BrowseOptions | None = None,
    *,
    coco: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    ready: Callable[[BrowseResult], None] | None = None,
    **changes: Any,
) -> BrowseResult:
    """Load a data set into FiftyOne, and open the App on it if asked to.

    The same folder is the same FiftyOne dataset every time, also after it was moved: what changed is written again,
    what is gone is removed, and tags, fields, views and edits that people made stay. The data set is not changed.

    Args:
        root: A data set, prepared or raw, or its Dataset.
        options: Split, embeddings, database and the App's address; None for the defaults.
        coco: A COCO file to look at instead, with its images beside it.
        progress: Called with each step.
        ready: Called with the result when the data are there and, with `launch`, the App answers.
        **changes: Fields of `BrowseOptions`, such as `launch=True`.

    Returns:
        The name of the FiftyOne dataset and what was written. With `launch`, once the App's window is closed.

    Raises:
        MissingExtraError: FiftyOne is not installed, or torch for the embeddings.
        DataError: The data set or the COCO file cannot be read, or a run's predictions are damaged.
        UsageError: Both or neither of `root` and `coco` are given, or the split is unknown.
        DatabaseError: FiftyOne's database cannot be reached or started.
        AppError: The port is taken, or the App does not start.

    Example:
        >>> import carpet_data as cd
        >>> cd.browse("carpet-prepared").dataset  # doctest: +SKIP
        'carpet-prepared 3f2a9c41'
    """
    options = BrowseOptions.of(options, changes)
    shown = _shown(root, coco, options)
    if options.launch:
        app.check_port(options.port, options.address)
    fiftyone = connection.connect(options.database_uri)
    dataset = connection.find_or_make(fiftyone, shown.root, shown.name, map(image_key, shown.jobs))
    _declare(fiftyone, dataset, shown, embeddings=options.embeddings)
    done = sync(fiftyone, dataset, shown.entries, workers=options.workers, progress=progress)
    network, unread = _embed(dataset, shown, progress) if options.embeddings else (None, ())
    # A missing image is missed by the sync and by the embeddings; once is enough.
    named = {str(problem.where) for problem in done.problems}
    result = BrowseResult(
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
        views=_present(fiftyone, dataset, shown),
        source=shown.source,
        notes=(*shown.problems, *done.problems, *(problem for problem in unread if str(problem.where) not in named)),
    )
    return _finish(fiftyone, dataset, result, options, ready)


def _shown(root: DataFolder | None, coco: str | os.PathLike[str] | None, options: BrowseOptions) -> Shown:
    if coco is not None and options.predictions is not None:
        raise UsageError("predictions are shown over a data set, not over a COCO file", hint="name the data set")
    if coco is not None and root is None:
        from carpet_data.fiftyone.coco import of_coco

        return of_coco(Path(coco))
    if root is None or coco is not None:
        raise UsageError("name either a data set or a COCO file", hint="browse(root) or browse(coco=file)")
    predictions = None if options.predictions is None else Path(options.predictions)
    return of_dataset(folder_of(root), options.split, skip_faulty=options.skip_faulty, predictions=predictions)


def _embed(dataset: Any, shown: Shown, progress: Progress | None) -> tuple[str, tuple[CarpetDataError, ...]]:
    from carpet_data.fiftyone import embeddings

    return embeddings.add(dataset, shown.jobs, progress)


def _declare(fiftyone: Any, dataset: Any, shown: Shown, *, embeddings: bool) -> None:
    """The fields that this data set fills; those of conditions that the run before had go."""
    samples = [job.sample for job in shown.jobs if job.sample.origin == "synthetic"]
    made = [sample.provenance for sample in samples if sample.provenance is not None]
    there: dict[fields.Group, Any] = {
        "model": shown.outcomes,
        "heatmap": shown.outcomes is not None and shown.outcomes.heatmaps,
        "found": shown.outcomes is not None and shown.outcomes.found,
        "found mask": shown.outcomes is not None and shown.outcomes.classes,
        "synthesis": made,
        "embeddings": embeddings,
    }
    schema = dataset.get_field_schema()
    for name in (dataset.info.get(connection.INFO) or {}).get("conditions", ()):
        if name not in shown.condition_fields and name in schema:
            dataset.delete_sample_field(name)
    gates = sorted({name for provenance in made for name in provenance.get("gates") or {}})
    fields.declare(
        fiftyone,
        dataset,
        groups=[group for group, content in there.items() if content],
        gates=[fields.gate_field(name) for name in gates],
        conditions=shown.condition_fields,
    )


def _present(fiftyone: Any, dataset: Any, shown: Shown) -> tuple[str, ...]:
    """Colors, sidebar, saved views, and what is noted for the next time; the names of the views."""
    before: dict[str, Any] = dict(dataset.info.get(connection.INFO) or {})
    colors = of_classes(shown.classes, before.get("colors"))
    tables = [job.sample.annotation.table for job in shown.jobs if isinstance(job.sample.annotation, IndexFile)]
    largest = max((value for table in tables for value, _ in table), default=0)
    instances = {value: f"instance {value}" for value in range(1, min(largest, fields.LARGEST_INDEX) + 1)}
    predicted = () if shown.outcomes is None else shown.outcomes.classes
    targets = {"predicted_mask": {at: name for at, name in enumerate(predicted) if at}} if predicted else {}
    dataset.mask_targets = {"segmentation": {**instances, 255: "defect"}, **targets}
    labels = ("ground_truth", "class", "prediction", "detections", *shown.condition_fields)
    dataset.app_config.color_scheme = fields.color_scheme(fiftyone, colors, labels, largest, predicted)
    if not before:
        dataset.app_config.active_fields = fields.shown(fiftyone)
    dataset.app_config.sidebar_groups = fields.sidebar(fiftyone, dataset)
    saved = views.save(fiftyone, dataset, shown.classes, before.get("views") or ())
    dataset.info[connection.INFO] = {
        **shown.info,
        "root": str(shown.root.resolve()),
        "name": shown.name,
        "split": shown.split,
        "colors": colors,
        "conditions": shown.condition_fields,
        "views": list(saved),
    }
    dataset.save()
    return saved


def _finish(
    fiftyone: Any,
    dataset: Any,
    result: BrowseResult,
    options: BrowseOptions,
    ready: Callable[[BrowseResult], None] | None,
) -> BrowseResult:
    """Open the App if asked to; `ready` is called once the result can be used."""

    def answered(url: str | None) -> None:
        nonlocal result
        result = replace(result, url=url)
        if ready is not None:
            ready(result)

    if options.launch:
        app.serve(fiftyone, dataset, options, answered)
    else:
        answered(None)
    return result
