"""Find every problem of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data.core.problems import SEVERITIES, Problem, Severity
from carpet_data.core.progress import Progress
from carpet_data.diagnosis.examine import examine
from carpet_data.diagnosis.subjects import open_subject
from carpet_data.formats import ReadOptions


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the doctor found.

    Attributes:
        root: The folder that was examined.
        name: The data set's name.
        format: The reader's name.
        images: How many images were examined.
        masks: How many mask files were examined.
        classes: Image class -> images, `good` first, then sorted.
        problems: Errors first, then in the order of the table of codes.
    """

    root: Path
    name: str
    format: str
    images: int
    masks: int
    classes: dict[str, int]
    problems: tuple[Problem, ...]

    def counts(self) -> dict[Severity, int]:
        """How many problems of each severity."""
        severities = [problem.severity for problem in self.problems]
        return {severity: severities.count(severity) for severity in SEVERITIES}

    def of(self, code: str) -> tuple[Problem, ...]:
        """The problems of one code."""
        return tuple(problem for problem in self.problems if problem.code == code)

    @property
    def exit_code(self) -> int:
        """1 where errors stand, else 0."""
        return 1 if any(problem.severity == "error" for problem in self.problems) else 0

    def to_json(self) -> dict[str, Any]:
        """The diagnosis as plain values."""
        return {
            "root": str(self.root),
            "name": self.name,
            "format": self.format,
            "images": self.images,
            "masks": self.masks,
            "classes": self.classes,
            "counts": self.counts(),
            "problems": [problem.to_json() for problem in self.problems],
        }


def doctor(
    root: Path | str,
    read_options: ReadOptions | None = None,
    *,
    near_duplicates: bool = True,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """Examine a data set, raw or prepared; nothing in it is changed.

    Args:
        root: The folder (for COCO also the JSON file itself).
        read_options: How to read it; by default the layout is recognized.
        near_duplicates: Also look for images that show the same thing.
        workers: Processes; None for one per core.
        progress: Called with (images done, all images).

    Raises:
        DataError: The folder is missing, or no reader knows it.
        UsageError: Options that do not exist.
    """
    root = Path(root)
    subject = open_subject(root, read_options or ReadOptions())
    problems = examine(subject, root, near=near_duplicates, workers=workers, progress=progress)
    names = [job.class_name for job in subject.jobs]
    classes = {name: names.count(name) for name in sorted(set(names), key=lambda name: (name != "good", name))}
    return Diagnosis(
        root=root,
        name=subject.name,
        format=subject.format,
        images=len(subject.jobs),
        masks=sum(len(job.masks) for job in subject.jobs),
        classes=classes,
        problems=tuple(problems),
    )
