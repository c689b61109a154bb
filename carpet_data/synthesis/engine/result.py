"""What `synthesize` answers, for programs and for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carpet_data.synthesis.engine.plan import Job

__all__ = ["ClassReport", "SynthesizeResult"]

_SHOWN_JOBS = 5


@dataclass(frozen=True, slots=True)
class ClassReport:
    """How one class went.

    Attributes:
        class_name: The class.
        asked: Images wanted of this recipe, split and seed.
        existed: Of these, there before.
        made: Added now.
        nulls: Null samples added now, labelled good.
        draws: Candidates drawn for the images made now.
        refused: Gate -> draws that it refused.
        given_up: Images of which every draw was refused; others took their places.
        donors: Train images that defects were taken from.
        hosts: Images to put them on.
        plates: Of these, defect images with their defect taken out.
    """

    class_name: str
    asked: int
    existed: int
    made: int
    nulls: int
    draws: int
    refused: Mapping[str, int]
    given_up: int
    donors: int
    hosts: int
    plates: int

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "asked": self.asked,
            "existed": self.existed,
            "made": self.made,
            "nulls": self.nulls,
            "draws": self.draws,
            "refused": dict(self.refused),
            "given_up": self.given_up,
            "donors": self.donors,
            "hosts": self.hosts,
            "plates": self.plates,
        }

    def text(self) -> str:
        """The report in words."""
        line = f"{self.class_name}: {self.made} made"
        if self.existed:
            line += f", {self.existed} were there"
        if self.nulls:
            line += f", {self.nulls} null samples"
        plates = f", {self.plates} of them clean plates" if self.plates else ""
        line += f" (from {self.donors} donors on {self.hosts} hosts{plates})"
        if self.refused:
            counts = ", ".join(f"{name} {times}" for name, times in self.refused.items())
            line += f"\n  drawn again: {counts}; {self.draws} draws in all"
        if self.given_up:
            line += f"\n  {self.given_up} images found no draw that passes; others took their places"
        return line


@dataclass(frozen=True, slots=True)
class SynthesizeResult:
    """What `synthesize` made, or with dry_run would make.

    Attributes:
        root: The prepared folder.
        split: Whose train side was used.
        recipe: Name of the recipe.
        recipe_hash: Its identity.
        method: Its method.
        seed: As given.
        classes: A report for each class.
        sheets: Contact sheets written.
        notes: What the user should know.
        jobs: With dry_run, the plan: class -> its jobs.
        dry_run: Nothing was written.
        model: Name of the fitted model that a learned recipe sampled from; None for other recipes.
    """

    root: Path
    split: str
    recipe: str
    recipe_hash: str
    method: str
    seed: int
    classes: tuple[ClassReport, ...]
    sheets: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    jobs: Mapping[str, tuple[Job, ...]] = field(default_factory=dict)
    dry_run: bool = False
    model: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "root": str(self.root),
            "split": self.split,
            "recipe": self.recipe,
            "recipe_hash": self.recipe_hash,
            "method": self.method,
            "model": self.model,
            "seed": self.seed,
            "classes": {report.class_name: report.to_json() for report in self.classes},
            "sheets": [str(path) for path in self.sheets],
            "notes": list(self.notes),
            "jobs": {name: [job.to_json() for job in jobs] for name, jobs in self.jobs.items()},
            "dry_run": self.dry_run,
        }

    def text(self) -> str:
        """The result in words."""
        lines = [f"note: {note}" for note in self.notes]
        if self.dry_run:
            for report in self.classes:
                jobs = self.jobs[report.class_name]
                lines.append(
                    f"{report.class_name}: {len(jobs)} would be made, {report.existed} are there"
                    f" (from {report.donors} donors on {report.hosts} hosts)"
                )
                lines += [f"  {_job_text(job)}" for job in jobs[:_SHOWN_JOBS]]
                if len(jobs) > _SHOWN_JOBS:
                    lines.append(f"  … and {len(jobs) - _SHOWN_JOBS} more; --json names them")
        else:
            lines += [report.text() for report in self.classes]
        lines += [f"look at them: {path}" for path in self.sheets]
        model = "" if self.model is None else f"model {self.model}, "
        lines.append(f"recipe {self.recipe} ({self.recipe_hash[:8]}), {model}split {self.split}, in {self.root}")
        return "\n".join(lines)


def _job_text(job: Job) -> str:
    donors = ", ".join(dict.fromkeys(donor.sample.id for donor in job.donors)) or "no donor"
    return f"{'null ' if job.null else ''}{job.k}: {donors} on {'the plate of ' * job.host.plate}{job.host.sample.id}"
