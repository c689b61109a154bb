"""One folder per class, PART/CLASS/ID, as torchvision's ImageFolder and others read images for classification."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from carpet_data.formats.export import Export, ExportJob, ExportResult, Tally, Written
from carpet_data.formats.options import FolderOptions
from carpet_data.store.names import component


def write(export: Export[FolderOptions]) -> ExportResult:
    """Write PART/CLASS/ID.* and classes.txt."""
    classes = sorted({sample.class_name for samples in export.parts.values() for sample in samples})
    missing: dict[str, list[str]] = {}
    for part, samples in export.parts.items():
        here = {sample.class_name for sample in samples}
        missing[part] = [name for name in classes if name not in here]
        for name in classes if export.options.empty_classes else here:
            (export.folder / part / component(name)).mkdir(parents=True)
    tally = Tally(export.parts)
    for sample in export.render(_render, masks_needed=False):
        tally.add(sample)
    if export.skipped and not export.options.empty_classes:
        _remove_empty(export.folder / part for part in export.parts)
    (export.folder / "classes.txt").write_text("".join(f"{component(name)}\n" for name in classes), encoding="utf-8")
    return export.result(tally, [] if export.options.empty_classes else _notes(missing))


def _render(job: ExportJob[FolderOptions]) -> Written:
    if job.sample.annotation is not None:
        job.mask()  # not written, but one that marks a defect on a good image says that the folder is wrong
    job.place_image(f"{job.part}/{component(job.sample.class_name)}/{job.image_name}")
    return job.written()


def _remove_empty(sides: Iterable[Path]) -> None:
    """Remove the folders of classes all of whose images were left out: ImageFolder refuses an empty one."""
    for folder in [path for side in sides for path in side.iterdir()]:
        if not any(folder.iterdir()):
            folder.rmdir()


def _notes(missing: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        f"{part} has no image of {', '.join(names)}; readers that number the folders they find (ImageFolder) number "
        "the classes differently there: give --empty-classes, or take the numbers from classes.txt"
        for part, names in missing.items()
        if names
    ]
