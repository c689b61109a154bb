"""One folder a class, PART/CLASS/ID, as torchvision's ImageFolder and others read images for classification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from carpet_data.formats.output import ImageMode
from carpet_data.formats.sample_files import (
    ExportResult,
    InstanceOptions,
    Job,
    Progress,
    Tally,
    Written,
    render_all,
    result,
)
from carpet_data.layout.names import component
from carpet_data.samples import Dataset, Sample


@dataclass(frozen=True, slots=True)
class FolderStyle:
    """How the export is written.

    Attributes:
        empty_classes: Whether each part gets a folder for every class, even for those it has no image of.
    """

    empty_classes: bool = False


def write(
    dataset: Dataset,
    parts: Mapping[str, Sequence[Sample]],
    folder: Path,
    out: Path,
    style: FolderStyle,
    *,
    images: ImageMode,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ExportResult:
    """Write PART/CLASS/ID.* and classes.txt.

    Args:
        dataset: Whose root and classes are used.
        parts: The samples of each part.
        folder: An existing empty folder.
        out: What the folder will become; it is named in the result.
        style: How the export is written.
        images: "link" or "copy".
        workers: Processes; None for one a core.
        progress: Called with (images done, images in all).
    """
    classes = sorted({sample.class_name for samples in parts.values() for sample in samples})
    missing: dict[str, list[str]] = {}
    for part, samples in parts.items():
        here = {sample.class_name for sample in samples}
        missing[part] = [name for name in classes if name not in here]
        for name in classes if style.empty_classes else here:
            (folder / part / component(name)).mkdir(parents=True)
    tally = Tally(parts)
    for sample in render_all(
        _render,
        dataset,
        parts,
        folder,
        style,
        instances=InstanceOptions(),
        images=images,
        masks_needed=False,
        workers=workers,
        progress=progress,
    ):
        tally.add(sample)
    (folder / "classes.txt").write_text("".join(f"{component(name)}\n" for name in classes), encoding="utf-8")
    return result("folder", folder, out, tally, _notices(missing, style))


def _render(job: Job[FolderStyle]) -> Written:
    job.place_image(f"{job.part}/{component(job.sample.class_name)}/{job.image_name}")
    return Written(job.part, job.sample.id)


def _notices(missing: Mapping[str, Sequence[str]], style: FolderStyle) -> list[str]:
    if style.empty_classes:
        return []
    return [
        f"{part} has no image of {', '.join(names)}; readers that number the folders they find (ImageFolder) number "
        "the classes differently there: give --empty-classes, or take the numbers from classes.txt"
        for part, names in missing.items()
        if names
    ]
