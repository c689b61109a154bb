"""One pipeline for every export: read, choose the split, write each sample in a worker, count, move into place.

A format's `write` gets an `Export`, has `Export.render` call its own function for every sample, and returns what
`Export.result` makes of the counts. Workers write files under names that belong to one sample alone, so an export is
the same for any number of workers, and memory does not grow with the data.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

from carpet_data.core import executor
from carpet_data.core.images import check_whole
from carpet_data.core.masks import LabelMask, Regions, find, load
from carpet_data.core.progress import Progress, Step
from carpet_data.core.text import counted
from carpet_data.dataset import GOOD, SIDES, Connectivity, Dataset, Sample
from carpet_data.errors import CarpetDataError, DataError, ImageError, OutputError, ProblemsError, UsageError
from carpet_data.formats.export_result import ExportResult, PartCount, Tally, Written
from carpet_data.formats.options import ExportOptions, ImageMode, InstanceOptions, MaskOptions
from carpet_data.formats.problems import Problems
from carpet_data.formats.reading import read
from carpet_data.formats.registry import Format, ReadOptions, writable
from carpet_data.formats.skipped import about_image
from carpet_data.store.files import link_or_copy, sha256
from carpet_data.store.names import component
from carpet_data.store.output import check_apart, fresh_folder
from carpet_data.store.verify import refuse_errors

__all__ = [
    "ALL",
    "Export",
    "ExportJob",
    "ExportResult",
    "Tally",
    "Written",
    "default_out",
    "export",
    "parts",
]

O = TypeVar("O", bound=ExportOptions)  # noqa: E741 - the one letter that says it

ALL = "all"
"""The one part of an export whose data set has no split."""

PREPARED = "prepared"
_CHUNK = 16


def export(
    source: str | os.PathLike[str] | Dataset,
    to: str | Format,
    out: str | os.PathLike[str] | None = None,
    options: ExportOptions | None = None,
    *,
    read_options: ReadOptions | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> ExportResult:
    """Write a data set in any format that can be written.

    Args:
        source: A raw or prepared folder, or a Dataset that was read already.
        to: The format's name, such as "coco", or the format itself.
        out: The output folder; None for `ROOT-{format}` beside the data.
        options: The format's options, such as CocoOptions; None for its defaults.
        read_options: How to read `source`; its `skip_faulty` leaves out what cannot be exported too.
        progress: Called with (images done, images in all).
        **changes: Single options, such as `overwrite=True`.

    Raises:
        UsageError: Options that make no sense, an unknown format or split, or an output that overlaps the source.
        DataError: The data have a problem; ProblemsError names several at once.
        OutputError: `out` is not empty.
    """
    target_format = to if isinstance(to, Format) else writable(to)
    chosen = target_format.options() if options is None else options
    if not isinstance(chosen, target_format.options):
        raise UsageError(
            f"the format {target_format.name!r} does not take {type(chosen).__name__}",
            hint=f"use {target_format.options.__name__}",
        )
    unknown = sorted(set(changes) - {each.name for each in fields(chosen)})
    if unknown:
        raise TypeError(f"to {target_format.name!r}: unexpected option {unknown[0]!r}")
    chosen = chosen.but(**changes)
    dataset = read(source, read_options)
    split = dataset.split_name(chosen.split)
    if dataset.format == PREPARED:
        refuse_errors(dataset.root)
    root = dataset.root if isinstance(source, Dataset) else source
    target = default_out(root, target_format.name) if out is None else Path(out)
    check_apart(target, dataset.root)
    skip = read_options is not None and read_options.skip_faulty
    with fresh_folder(target, overwrite=chosen.overwrite) as folder:
        assert target_format.write is not None
        of_parts = parts(dataset, split)
        return target_format.write(
            Export(target_format.name, dataset, split, of_parts, folder, target, chosen, progress, skip_faulty=skip)
        )


def default_out(root: str | os.PathLike[str], kind: str) -> Path:
    """Where an export goes when the user names no output: beside the data set, as `carpet-coco` beside `carpet`."""
    root = Path(root).resolve()
    return root.parent / f"{root.stem if root.is_file() else root.name}-{kind}"


def parts(dataset: Dataset, split: str | None) -> dict[str, tuple[Sample, ...]]:
    """The samples of each part of an export, sorted by id.

    Returns:
        "train", "val", "test" (those with samples), or "all" for a data set without splits.
    """
    if split is None:
        return {ALL: dataset.samples}
    by_side = {side: dataset.on_side(side, split).samples for side in SIDES}
    return {side: samples for side, samples in by_side.items() if samples}


@dataclass(frozen=True, slots=True)
class ExportJob(Generic[O]):
    """One sample of one part, and how it is to be written.

    Attributes:
        part: "train", "val", "test" or "all".
        connectivity: For binary masks.
        categories: The defect types in the order of their ids.
    """

    root: Path
    folder: Path
    part: str
    sample: Sample
    connectivity: Connectivity
    categories: tuple[str, ...]
    options: O
    placed: list[Path] = field(default_factory=list, compare=False)
    """The files written so far; they go again if the sample turns out to be at fault."""

    def mask(self) -> LabelMask:
        """The mask as it is, without looking for instances."""
        return load(self.root, self.sample)

    def regions(self) -> Regions:
        """The instances to be written.

        Raises:
            ImageError: A mask cannot be read.
            DataError: The annotation contradicts itself.
        """
        chosen = self.options if isinstance(self.options, InstanceOptions) else InstanceOptions()
        return find(self.mask(), connectivity=self.connectivity, merge=chosen.merge, min_area=chosen.min_area)

    @property
    def stem(self) -> str:
        """The sample's id, made safe for file systems: the name of its files, unique."""
        return component(self.sample.id)

    @property
    def image_name(self) -> str:
        """The image's file name: stem and suffix."""
        return self.stem + PurePosixPath(self.sample.image_path).suffix

    def place_image(self, target: str) -> str:
        """Bring the image into the export; where it is: `target`, or its path in the source with `images="none"`."""
        if self.options.images == "none":
            return self.sample.image_path
        _place(self.root / self.sample.image_path, self.folder / target, self.options.images)
        self.placed.append(self.folder / target)
        return target

    def write(self, target: str, data: bytes) -> None:
        """Write one file of this sample under a path relative to the export's folder."""
        path = self.folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            self.placed.append(path)
            file.write(data)

    def written(self, regions: Regions | None = None, *, record: Any = None, notes: Sequence[str] = ()) -> Written:
        """The account of this sample, whose instances were written; None for a format without instances."""
        found = Written(self.part, record=record, notes=tuple(notes))
        if regions is None:
            return found
        unmarked = self.sample.class_name != GOOD and len(regions) == 0 and regions.too_small == 0
        present = tuple(sorted(set(regions.class_names)))
        return replace(
            found,
            instances=len(regions),
            present=present,
            too_small=regions.too_small,
            unmarked=unmarked,
            shared_px=regions.shared_px,
            hidden=regions.hidden,
        )


@dataclass(frozen=True, slots=True)
class Export(Generic[O]):
    """An export that is being written.

    Attributes:
        split: The split whose sides are the parts; None for a data set without any.
        parts: The samples of each part: "train", "val", "test", or "all" without a split.
        folder: Where to write, an empty folder; it becomes `out` when everything is written.
        out: The output folder, as it is named in the result.
        skip_faulty: Whether images at fault are left out instead of ending the export.
        skipped: Those left out so far.
    """

    format: str
    dataset: Dataset
    split: str | None
    parts: Mapping[str, Sequence[Sample]]
    folder: Path
    out: Path
    options: O
    progress: Progress | None = None
    skip_faulty: bool = False
    skipped: list[DataError] = field(default_factory=list)

    def render(self, render: Callable[[ExportJob[O]], Written], *, masks_needed: bool = True) -> Iterator[Written]:
        """Write every sample, and yield what became of it, in the order of the parts and ids.

        `render` is a module-level function, since it runs in worker processes. With `masks_needed`, a defect image
        without a mask is a problem (or skipped, as the options say).

        Raises:
            ProblemsError: Samples with a problem, all of them up to a bound; or, where these are left out, no sample
                without one.
        """
        dataset = self.dataset
        if masks_needed:
            self._check_masked()
        samples = [sample for samples in self.parts.values() for sample in samples]
        jobs: Iterator[ExportJob[O]] = (
            ExportJob(dataset.root, self.folder, part, sample, dataset.connectivity, dataset.categories, self.options)
            for part, samples in self.parts.items()
            for sample in samples
        )
        guarded = functools.partial(_guarded, render, masks_needed)
        problems = Problems()
        for done, outcome in enumerate(executor.run(guarded, jobs, workers=self.options.workers, chunk=_CHUNK), 1):
            if self.progress is not None:
                self.progress(Step(done, len(samples), "exporting"))
            if isinstance(outcome, DataError) and self.skip_faulty:
                self.skipped.append(about_image(outcome, dataset.path(samples[done - 1].image_path)))
            elif isinstance(outcome, CarpetDataError):
                problems.add(outcome)
            elif not problems:
                yield outcome
        problems.check()
        if samples and len(self.skipped) == len(samples):
            raise ProblemsError(self.skipped)

    def _check_masked(self) -> None:
        """Refuse a data set without any mask at once, rather than each of its images."""
        if isinstance(self.options, MaskOptions) and self.options.skip_unmasked:
            return
        defects = [sample for sample in self.dataset if sample.class_name != GOOD]
        if defects and all(sample.unmasked for sample in defects):
            images = counted(len(defects), "defect image")
            raise DataError(
                f"none of {images} has a mask, and the format {self.format!r} needs them",
                where=self.dataset.root,
                hint="draw masks, or use to-folder, which needs none",
            )

    def result(
        self, tally: Tally, notes: Sequence[str] = (), listings: Mapping[str, str] | None = None
    ) -> ExportResult:
        """The result, once all files are written.

        `notes` is what the format has to say, what every format says follows; `listings` is part -> the file that lists
        it, relative to the folder.
        """
        counts = tally.counts()
        for part, name in (listings or {}).items():
            # A part may have lost all of its images to skip_faulty; its file is written all the same.
            counts[part] = replace(counts.get(part, PartCount()), file=self.out / name)
        return ExportResult(
            self.format,
            self.out,
            sum(count.images for count in counts.values()),
            sum(count.instances for count in counts.values()),
            sum(len(names) for _, _, names in os.walk(self.folder)),
            self.dataset.categories,
            counts,
            (*notes, *tally.notes()),
            (*self.dataset.skipped, *self.skipped),
            self.dataset.account,
        )


def _guarded(
    render: Callable[[ExportJob[Any]], Written], masks_needed: bool, job: ExportJob[Any]
) -> Written | CarpetDataError:
    """Run one job; its problem comes back as a value, so that one run shows them all."""
    sample = job.sample
    try:
        _check_files(job)
        if masks_needed and sample.unmasked:
            if isinstance(job.options, MaskOptions) and job.options.skip_unmasked:
                return Written(job.part, unmasked=True)
            return DataError(
                f"the image is of class {sample.class_name}, but has no mask",
                where=job.root / sample.image_path,
                hint="add its mask, or leave such images out with --skip-unmasked",
            )
        return render(job)
    except CarpetDataError as error:
        for path in job.placed:
            path.unlink(missing_ok=True)
        return error


def _check_files(job: ExportJob[Any]) -> None:
    """Refuse an image that is not whole, and files that have changed since they were prepared."""
    sample = job.sample
    for path, digest in ((sample.image_path, sample.image_sha256), (sample.mask_path, sample.mask_sha256)):
        if (
            path is not None
            and digest is not None
            and (job.root / path).is_file()
            and sha256(job.root / path) != digest
        ):
            raise ImageError(
                "the file has changed since it was prepared", where=job.root / path, hint="prepare the data set again"
            )
    if sample.image_sha256 is None:
        check_whole(job.root / sample.image_path)


def _place(source: Path, target: Path, mode: ImageMode) -> None:
    """Bring one file into an export: a hard link where the file system can (else a copy), or a copy.

    A link shares its bytes with the source, so nothing here ever opens a placed file for writing.
    """
    if target.exists():
        raise OutputError(
            "two files of the export would have this name", where=target, hint="rename one of the sources"
        )
    if not source.is_file():
        raise ImageError("no such file", where=source, hint="restore it, or remove its entry")
    target.parent.mkdir(parents=True, exist_ok=True)
    if mode == "link":
        link_or_copy(source, target)
    else:
        shutil.copyfile(source, target)
