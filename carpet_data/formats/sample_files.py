"""What the exports share, above all those that write files of their own for every sample: all but COCO.

Workers turn a sample into the bytes of its files and write them under names that belong to that sample alone, so the
export is the same for any number of workers, and memory does not grow with the data.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from carpet_data.core import executor
from carpet_data.core.masks import LabelMask, Regions, find, load
from carpet_data.core.progress import Progress, Step
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, Connectivity, Dataset, Sample
from carpet_data.errors import CarpetDataError, DataError, ProblemsError
from carpet_data.formats.export import file_name
from carpet_data.formats.output import ImageMode, place
from carpet_data.store.names import component

Style = TypeVar("Style")

MOST_PROBLEMS = 100
"""So many faulty samples end an export."""
_CHUNK = 16


@dataclass(frozen=True, slots=True)
class InstanceOptions:
    """Which instances are written.

    Attributes:
        merge: One instance per class and image instead of one per component.
        min_area: Instances of fewer pixels are left out, and counted.
        skip_unmasked: Leave out defect images without a mask instead of calling them a problem.
    """

    merge: bool = False
    min_area: int = 1
    skip_unmasked: bool = False


@dataclass(frozen=True, slots=True)
class Export:
    """An export that is being written.

    Attributes:
        dataset: What is exported.
        split: The split whose sides are the parts; None for a data set without any.
        parts: The samples of each part: "train", "val", "test", or "all" without a split.
        folder: Where to write, an empty folder; it becomes `out` when everything is written.
        out: The output folder, as it is named in the result.
        images: Whether images are linked, copied or left where they are.
        instances: Which instances are written.
        workers: Processes; None for one per core.
        progress: Called with (images done, images in all).
    """

    dataset: Dataset
    split: str | None
    parts: Mapping[str, Sequence[Sample]]
    folder: Path
    out: Path
    images: ImageMode = "link"
    instances: InstanceOptions = InstanceOptions()
    workers: int | None = None
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class Job(Generic[Style]):
    """One sample of one part, and how it is to be written.

    Attributes:
        root: The data set's folder.
        folder: The export's folder.
        part: "train", "val", "test" or "all".
        sample: The sample.
        connectivity: For binary masks.
        categories: The defect types in the order of their ids.
        instances: Which instances are written.
        images: Whether the image is linked, copied or left where it is.
        style: What the format itself needs to know.
    """

    root: Path
    folder: Path
    part: str
    sample: Sample
    connectivity: Connectivity
    categories: tuple[str, ...]
    instances: InstanceOptions
    images: ImageMode
    style: Style

    def regions(self) -> Regions:
        """The instances to be written.

        Raises:
            ImageError: A mask cannot be read.
            DataError: The annotation contradicts itself.
        """
        options = self.instances
        return find(self.mask(), connectivity=self.connectivity, merge=options.merge, min_area=options.min_area)

    def mask(self) -> LabelMask:
        """The mask as it is, without looking for instances."""
        return load(self.root, self.sample)

    def place_image(self, target: str) -> None:
        """Bring the image into the export under a path relative to its folder."""
        if self.images != "none":
            place(self.root / self.sample.image_path, self.folder / target, self.images)

    def write(self, target: str, data: bytes) -> None:
        """Write one file of this sample under a path relative to the export's folder."""
        path = self.folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(data)

    @property
    def stem(self) -> str:
        """The id, as far as file systems take it: what the sample's files are called."""
        return component(self.sample.id)

    @property
    def image_name(self) -> str:
        """The image's file name: stem and suffix."""
        return file_name(self.sample)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one sample.

    Attributes:
        part: Its part.
        sample_id: Its id.
        instances: Instances written.
        present: Defect types among them, sorted.
        too_small: Instances left out because of `min_area`.
        unmasked: Whether it was left out, for want of a mask.
        unmarked: Whether it is of a defect class, but without an instance in its mask.
        record: What the format wants to write about it into a file that lists all samples.
        notes: Kinds of remarks, to be counted over all samples.
    """

    part: str
    sample_id: str
    instances: int = 0
    present: tuple[str, ...] = ()
    too_small: int = 0
    unmasked: bool = False
    unmarked: bool = False
    record: str = ""
    notes: tuple[str, ...] = ()


def written(job: Job[Any], regions: Regions, *, record: str = "") -> Written:
    """The account of a sample whose instances were written."""
    return Written(
        job.part,
        job.sample.id,
        len(regions),
        tuple(sorted(set(regions.class_names))),
        regions.too_small,
        unmarked=job.sample.class_name != GOOD and len(regions) == 0 and regions.too_small == 0,
        record=record,
    )


def render_all(
    render: Callable[[Job[Style]], Written], export: Export, style: Style, *, masks_needed: bool = True
) -> Iterator[Written]:
    """Write every sample, and yield what became of it, in the order of the parts and ids.

    Args:
        render: A module-level function that writes one sample.
        export: What to write, where and how.
        style: What the format itself needs to know.
        masks_needed: Whether a defect image without a mask is a problem (or skipped, as `export.instances` says).

    Raises:
        ProblemsError: Samples at fault, all of them up to a bound.
    """
    jobs: Iterator[Job[Style]] = (
        Job(
            export.dataset.root,
            export.folder,
            part,
            sample,
            export.dataset.connectivity,
            export.dataset.categories,
            export.instances,
            export.images,
            style,
        )
        for part, samples in export.parts.items()
        for sample in samples
    )
    total = sum(len(samples) for samples in export.parts.values())
    guarded = functools.partial(_guarded, render, masks_needed)
    problems: list[CarpetDataError] = []
    for done, outcome in enumerate(executor.run(guarded, jobs, workers=export.workers, chunk=_CHUNK), start=1):
        if export.progress is not None:
            export.progress(Step(done, total, "exporting"))
        if isinstance(outcome, CarpetDataError):
            problems.append(outcome)
            if len(problems) >= MOST_PROBLEMS:
                break
        elif not problems:
            yield outcome
    if problems:
        raise ProblemsError(problems)


def _guarded(render: Callable[[Job[Any]], Written], masks_needed: bool, job: Job[Any]) -> Written | CarpetDataError:
    """Run one job; its problem comes back as a value, so that one run shows them all."""
    sample = job.sample
    try:
        if masks_needed and lacks_mask(sample):
            if job.instances.skip_unmasked:
                return Written(job.part, sample.id, unmasked=True)
            return no_mask(job.root, sample)
        return render(job)
    except CarpetDataError as error:
        return error


def lacks_mask(sample: Sample) -> bool:
    """Whether a sample is of a defect class and nothing records where its defect is."""
    return sample.annotation is None and sample.class_name != GOOD


def no_mask(root: Path, sample: Sample) -> DataError:
    """The problem of a sample that `lacks_mask`."""
    return DataError(
        f"the image is of class {sample.class_name}, but has no mask",
        where=root / sample.image_path,
        hint="add its mask, or leave such images out with --skip-unmasked",
    )


@dataclass(frozen=True, slots=True)
class PartCount:
    """What one part of an export holds: images, and instances where the format has them."""

    images: int
    instances: int


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What an export wrote.

    Attributes:
        format: "yolo", "voc", "folder", "mvtec" or "masks".
        out: The folder.
        parts: part -> its counts.
        files: All files in the folder.
        notes: What the reader of the export should know, one sentence each.
    """

    format: str
    out: Path
    parts: Mapping[str, PartCount]
    files: int
    notes: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """Images in all."""
        return sum(count.images for count in self.parts.values())

    @property
    def instances(self) -> int:
        """Instances in all."""
        return sum(count.instances for count in self.parts.values())

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "format": self.format,
            "out": str(self.out),
            "images": self.images,
            "instances": self.instances,
            "files": self.files,
            "parts": {
                part: {"images": count.images, "instances": count.instances} for part, count in self.parts.items()
            },
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """The result in words, a line per part."""
        lines = []
        for part, count in self.parts.items():
            instances = f"  {count.instances:>7} instances" if self.format != "folder" else ""
            lines.append(f"{part:<6} {count.images:>7} images{instances}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes), f"{self.files} files in {self.out}"])


class Tally:
    """Counts what became of the samples, and says so."""

    def __init__(self, parts: Iterable[str]) -> None:
        self._images = dict.fromkeys(parts, 0)
        self._instances = dict.fromkeys(self._images, 0)
        self.unmasked = self.unmarked = self.too_small = 0
        self.remarks: Counter[str] = Counter()

    def add(self, sample: Written) -> None:
        """Count one sample."""
        if sample.unmasked:
            self.unmasked += 1
            return
        self._images[sample.part] += 1
        self._instances[sample.part] += sample.instances
        self.too_small += sample.too_small
        self.unmarked += sample.unmarked
        self.remarks.update(sample.notes)

    def counts(self) -> dict[str, PartCount]:
        """The counts of each part that holds an image."""
        return {part: PartCount(count, self._instances[part]) for part, count in self._images.items() if count}

    def notes(self) -> list[str]:
        """What every format has to say about its samples."""
        texts = []
        if self.unmasked:
            texts.append(f"left out for want of a mask: {counted(self.unmasked, 'image')}")
        if self.unmarked:
            texts.append(
                "of a defect class but with an empty mask, so written without instances: "
                + counted(self.unmarked, "image")
            )
        if self.too_small:
            texts.append(f"left out as smaller than the least area: {self.too_small} instances")
        return texts


def count_files(folder: Path) -> int:
    """The files in a folder and the folders below it."""
    return sum(1 for path in folder.rglob("*") if path.is_file())


def result(format: str, export: Export, tally: Tally, notes: Sequence[str] = ()) -> ExportResult:
    """The result of an export whose files are written."""
    return ExportResult(format, export.out, tally.counts(), count_files(export.folder), (*notes, *tally.notes()))
