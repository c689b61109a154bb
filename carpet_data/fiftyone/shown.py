"""What `browse` shows: a data set with its split, its last run and its recipes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carpet_data.dataset import Dataset
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.fiftyone.content import MaskJob, ShownSample
from carpet_data.fiftyone.fields import prediction_field
from carpet_data.fiftyone.outcomes import Outcomes, last_run, read_outcomes
from carpet_data.fiftyone.predicted import read_predicted
from carpet_data.formats import ReadOptions, read
from carpet_data.formats.account.roles import Account
from carpet_data.store import recipes as recipe_files

__all__ = ["Shown", "of_dataset"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A data set or a COCO file, as it is to be shown.

    Attributes:
        root: The folder or file.
        name: As people call it.
        info: What is noted in FiftyOne, besides.
        sides: sample id -> side of the split.
        outcomes: The predictions of the last run; None without a run.
        problems: What was left out.
        source: What each folder was taken for; None for a prepared folder or a COCO file.
    """

    root: Path
    name: str
    jobs: tuple[MaskJob, ...]
    classes: tuple[str, ...]
    info: dict[str, Any]
    split: str | None = None
    sides: dict[str, str] = field(default_factory=dict)
    outcomes: Outcomes | None = None
    problems: tuple[CarpetDataError, ...] = ()
    source: Account | None = None

    @property
    def entries(self) -> list[ShownSample]:
        """Its samples with all that is known of them."""
        return [ShownSample(job, self.sides.get(job.sample.id), self.outcomes) for job in self.jobs]

    @property
    def condition_fields(self) -> list[str]:
        """The fields of the predictions of further conditions."""
        return [] if self.outcomes is None else [prediction_field(name) for name in self.outcomes.others]


def of_dataset(root: Path, split: str | None, *, skip_faulty: bool = False, predictions: Path | None = None) -> Shown:
    """A data set, prepared or raw; the problems name the images that `skip_faulty` leaves out.

    Its predictions are those of a folder that `predict` wrote, or else of its last run.

    Raises:
        DataError: It cannot be read, or predictions are damaged.
        UsageError: The split is unknown.
    """
    dataset = read(root, ReadOptions(skip_faulty=skip_faulty))
    split = dataset.split_name(split)
    recipes, problems = _recipes(dataset)
    outcomes, notes = _outcomes(dataset, predictions)
    place = dataset.root.absolute()
    heatmaps = None if outcomes is None else outcomes.heatmaps_run
    return Shown(
        root=dataset.root,
        name=dataset.root.resolve().name or dataset.name,
        jobs=tuple(MaskJob(place, sample, dataset.connectivity) for sample in dataset),
        classes=tuple(dict.fromkeys((*dataset.classes, *dataset.categories))),
        info={
            "format": dataset.format,
            "fingerprint": dataset.fingerprint(split),
            "license": dataset.license,
            "recipes": recipes,
            "run": None if outcomes is None else outcomes.run.name,
            "heatmaps": None if heatmaps is None else heatmaps.name,
        },
        split=split,
        sides={} if split is None else dict(dataset.splits[split].sides),
        outcomes=outcomes,
        problems=(*dataset.skipped, *problems, *notes),
        source=dataset.account,
    )


def _outcomes(dataset: Dataset, predictions: Path | None) -> tuple[Outcomes | None, tuple[CarpetDataError, ...]]:
    if predictions is not None:
        return read_predicted(predictions, dataset)
    run = last_run(dataset.root)
    return (None if run is None else read_outcomes(dataset.root, run, dataset.classes)), ()


def _recipes(dataset: Dataset) -> tuple[dict[str, Any], tuple[CarpetDataError, ...]]:
    """The recipes that made the synthetic samples, by hash, and the problems of those that cannot be read."""
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
