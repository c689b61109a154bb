"""What an export did: with one sample, in one part, and in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data.core.results import Result
from carpet_data.core.text import counted
from carpet_data.errors import DataError
from carpet_data.formats.account.roles import Account
from carpet_data.formats.account.unread import source_lines
from carpet_data.formats.skipped import skipped_lines

__all__ = ["ExportResult", "PartCount", "Tally", "Written"]


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one sample.

    Attributes:
        present: Defect types of the instances written, sorted.
        unmasked: Whether it was skipped because it has no mask.
        unmarked: Whether it is of a defect class, but without an instance in its mask.
        record: What the format writes about it into a file that lists all samples.
        notes: Kinds of remarks, to be counted over all samples.
        shared_px: Pixels that several annotations claim; each was written once.
        hidden: Annotations of which others left no pixel, so that they were not written.
    """

    part: str
    instances: int = 0
    present: tuple[str, ...] = ()
    too_small: int = 0
    unmasked: bool = False
    unmarked: bool = False
    record: Any = None
    notes: tuple[str, ...] = ()
    shared_px: int = 0
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class PartCount:
    """What one part of an export holds.

    Attributes:
        unmasked: Defect images without a mask, skipped.
        unmarked: Defect images with an empty mask, written without instances.
        file: The file that lists the part, where the format has one.
    """

    images: int = 0
    instances: int = 0
    unmasked: int = 0
    unmarked: int = 0
    too_small: int = 0
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class ExportResult(Result):
    """What an export wrote.

    Attributes:
        format: The format's name.
        out: The folder.
        images: Images in all.
        instances: Instances in all.
        files: Number of files in the folder.
        categories: Defect types in the order of their ids.
        parts: part -> its counts.
        notes: What the reader of the export should know, one sentence each.
        skipped: Images left out because they are at fault (skip_faulty); `where` is the image.
        source: What each folder was taken for; None for a prepared folder.
    """

    format: str
    out: Path
    images: int
    instances: int
    files: int
    categories: tuple[str, ...]
    parts: Mapping[str, PartCount]
    notes: tuple[str, ...] = ()
    skipped: tuple[DataError, ...] = ()
    source: Account | None = None

    def text(self) -> str:
        """The result in words, a line per part."""
        lines = []
        for part, count in self.parts.items():
            instances = f"  {count.instances:>7} instances" if self.format != "folder" else ""
            listed = f"  {count.file}" if count.file is not None else ""
            lines.append(f"{part:<6} {count.images:>7} images{instances}{listed}")
        if self.format != "folder":
            lines.append(f"categories: {', '.join(self.categories) or 'none'}")
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(
            [*lines, *skipped_lines(self.skipped), *source_lines(self.source), f"{self.files} files in {self.out}"]
        )


class Tally:
    """Counts what became of the samples."""

    def __init__(self, names: Iterable[str]) -> None:
        self._parts = {name: Counter[str]() for name in names}
        self.remarks: Counter[str] = Counter()

    def add(self, sample: Written) -> None:
        """Count one sample."""
        self._parts[sample.part].update(
            images=int(not sample.unmasked),
            instances=sample.instances,
            unmasked=int(sample.unmasked),
            unmarked=int(sample.unmarked),
            too_small=sample.too_small,
            overlapping=int(sample.shared_px > 0),
            shared_px=sample.shared_px,
            hidden=sample.hidden,
        )
        self.remarks.update(sample.notes)

    def counts(self) -> dict[str, PartCount]:
        """The counts of each part that was asked for."""
        return {
            name: PartCount(
                images=counter["images"],
                instances=counter["instances"],
                unmasked=counter["unmasked"],
                unmarked=counter["unmarked"],
                too_small=counter["too_small"],
            )
            for name, counter in self._parts.items()
            if counter
        }

    def notes(self) -> list[str]:
        """What every format has to say about its samples."""
        total = sum(self._parts.values(), Counter[str]())
        texts = []
        if total["unmasked"]:
            texts.append(f"skipped {counted(total['unmasked'], 'image')} without a mask")
        if total["unmarked"]:
            texts.append(f"{counted(total['unmarked'], 'defect image')} with an empty mask, written without instances")
        if total["too_small"]:
            texts.append(f"skipped {counted(total['too_small'], 'instance')} below --min-area")
        if total["shared_px"]:
            texts.append(_overlaps(total))
        return texts


def _overlaps(total: Counter[str]) -> str:
    images = "1 image has" if total["overlapping"] == 1 else f"{total['overlapping']} images have"
    text = f"{images} annotations that overlap ({counted(total['shared_px'], 'pixel')}, each written once)"
    return text + (f"; {counted(total['hidden'], 'annotation')} repeated or covered" if total["hidden"] else "")
