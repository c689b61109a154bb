"""One folder per class, PART/CLASS/ID, as torchvision's ImageFolder and others read images for classification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from carpet_data.formats.sample_files import Export, ExportResult, Job, Tally, Written, render_all, result
from carpet_data.store.names import component


@dataclass(frozen=True, slots=True)
class FolderStyle:
    """How the export is written.

    Attributes:
        empty_classes: Whether each part gets a folder for every class, even for those it has no image of.
    """

    empty_classes: bool = False


def write(export: Export, style: FolderStyle) -> ExportResult:
    """Write PART/CLASS/ID.* and classes.txt.

    Args:
        export: What to write, where and how.
        style: How the export is written.
    """
    classes = sorted({sample.class_name for samples in export.parts.values() for sample in samples})
    missing: dict[str, list[str]] = {}
    for part, samples in export.parts.items():
        here = {sample.class_name for sample in samples}
        missing[part] = [name for name in classes if name not in here]
        for name in classes if style.empty_classes else here:
            (export.folder / part / component(name)).mkdir(parents=True)
    tally = Tally(export.parts)
    for sample in render_all(_render, export, style, masks_needed=False):
        tally.add(sample)
    (export.folder / "classes.txt").write_text("".join(f"{component(name)}\n" for name in classes), encoding="utf-8")
    return result("folder", export, tally, _notes(missing, style))


def _render(job: Job[FolderStyle]) -> Written:
    job.place_image(f"{job.part}/{component(job.sample.class_name)}/{job.image_name}")
    return Written(job.part, job.sample.id)


def _notes(missing: Mapping[str, Sequence[str]], style: FolderStyle) -> list[str]:
    if style.empty_classes:
        return []
    return [
        f"{part} has no image of {', '.join(names)}; readers that number the folders they find (ImageFolder) number "
        "the classes differently there: give --empty-classes, or take the numbers from classes.txt"
        for part, names in missing.items()
        if names
    ]
