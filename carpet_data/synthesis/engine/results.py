"""What `synthesize` and `rebalance` return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from carpet_data.core.results import Result
from carpet_data.synthesis.engine.plan import ImagePlan

if TYPE_CHECKING:
    from carpet_data.synthesis.engine.failures import ClassFailure

__all__ = ["ClassReport", "RebalanceResult", "SynthesisResult"]

_SHOWN_PLANS = 5


@dataclass(frozen=True, slots=True)
class ClassReport(Result):
    """How one class went.

    Attributes:
        asked: Total number of images asked of this recipe, split and seed.
        existed: Of these, there before.
        made: Added now.
        nulls: Null samples added now, labeled good.
        draws: Attempts for the images made now.
        refused: Gate -> number of attempts that it refused.
        given_up: Images that failed all attempts; others took their places.
        donors: Training images that defects were taken from.
        hosts: Images to put them on.
        plates: Of these, defect images with their defect removed (clean plates).
        plates_tried: Defect images that a clean plate was tried of, because good images are few.
        plates_refused: Reason -> number of clean plates that were refused for it.
    """

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
    plates_tried: int = 0
    plates_refused: Mapping[str, int] = field(default_factory=dict)

    def text(self, class_name: str) -> str:
        """The report in words."""
        line = f"{class_name}: {self.made} made"
        if self.existed:
            line += f", {self.existed} already existed"
        if self.nulls:
            line += f", {self.nulls} null samples"
        plates = f", {self.plates} of them defect images with the defect removed" if self.plates else ""
        line += f" (from {self.donors} donors on {self.hosts} hosts{plates})"
        if self.plates_tried:
            counts = ", ".join(f"{name} {times}" for name, times in self.plates_refused.items())
            refused = f" (refused: {counts})" if counts else ""
            line += f"\n  clean backgrounds: {self.plates} of {self.plates_tried} defect images gave one{refused}"
        if self.refused:
            counts = ", ".join(f"{name} {times}" for name, times in self.refused.items())
            line += f"\n  retries: {counts} ({self.draws} attempts)"
        if self.given_up:
            line += f"\n  {self.given_up} images failed all attempts and were replaced"
        return line


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisResult(Result):
    """What `synthesize` made, or with dry_run would make.

    Attributes:
        root: The prepared folder.
        split: Whose training images were used.
        recipe: Name of the recipe.
        recipe_hash: Its identity.
        method: Its method.
        model: Name of the fitted model that a learned recipe sampled from; None for other recipes.
        seed: As given.
        classes: class -> how it went.
        failed: class -> why it could not be made, or not in full, and what works for it.
        sheets: Contact sheets written.
        notes: What the user should know.
        plans: With dry_run: class -> the plans of its images.
        dry_run: Nothing was written.
    """

    root: Path
    split: str
    recipe: str
    recipe_hash: str
    method: str
    model: str | None = None
    seed: int
    classes: Mapping[str, ClassReport]
    failed: Mapping[str, ClassFailure] = field(default_factory=dict)
    sheets: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    plans: Mapping[str, tuple[ImagePlan, ...]] = field(default_factory=dict)
    dry_run: bool = False

    @property
    def exit_code(self) -> int:
        """1 if a class failed, else 0."""
        return int(bool(self.failed))

    def text(self) -> str:
        """The result in words."""
        lines = [f"note: {note}" for note in self.notes]
        for name, report in self.classes.items():
            if not self.dry_run:
                lines.append(report.text(name))
                continue
            plans = self.plans[name]
            lines.append(
                f"{name}: {len(plans)} would be made, {report.existed} already exist"
                f" (from {report.donors} donors on {report.hosts} hosts)"
            )
            lines += [f"  {plan.text()}" for plan in plans[:_SHOWN_PLANS]]
            if len(plans) > _SHOWN_PLANS:
                lines.append(f"  … and {len(plans) - _SHOWN_PLANS} more; --json lists them")
        lines += [failure.text(name) for name, failure in self.failed.items()]
        lines += [f"contact sheet: {path}" for path in self.sheets]
        model = "" if self.model is None else f"model {self.model}, "
        lines.append(f"recipe {self.recipe} ({self.recipe_hash[:8]}), {model}split {self.split}, in {self.root}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class RebalanceResult(Result):
    """What `rebalance` did.

    Attributes:
        root: The prepared folder.
        split: Whose training images were counted.
        target: Minimum number of training images of each defect class.
        before: class -> training images, synthetic ones included.
        after: class -> the same, afterwards (with dry_run: as it would be).
        synthesis: What was made; None where nothing was missing.
        notes: What the user should know.
        dry_run: Nothing was written.
    """

    root: Path
    split: str
    target: int
    before: Mapping[str, int]
    after: Mapping[str, int]
    synthesis: SynthesisResult | None
    notes: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def exit_code(self) -> int:
        """1 if a class failed, else 0."""
        return 0 if self.synthesis is None else self.synthesis.exit_code

    def text(self) -> str:
        """The result in words."""
        width = max(len(name) for name in (*self.after, "class"))
        lines = [f"note: {note}" for note in self.notes]
        lines.append(f"{'class'.ljust(width)}  before   after")
        lines += [f"{name.ljust(width)}  {self.before[name]:>6}  {self.after[name]:>6}" for name in self.after]
        if self.synthesis is None:
            lines.append(f"every class has at least {self.target} training images: nothing to make")
        else:
            lines.append(self.synthesis.text())
        return "\n".join(lines)
