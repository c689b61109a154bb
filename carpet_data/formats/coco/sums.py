"""What was found in the images of one COCO file, summed up: one cause is one problem, however often it occurs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from carpet_data.core.problems import Problem, Severity
from carpet_data.core.text import counted
from carpet_data.formats.annotated import Fault
from carpet_data.formats.coco.look import Difference, Seen

__all__ = ["Sums"]

_KINDS = {"coco-area": "area", "coco-box": "bbox"}
_EXPORT = "export the file again"


@dataclass(slots=True)
class Sums:
    """The findings of one file.

    Attributes:
        where: The file.
        exact: Whether its areas and boxes must be the masks', since carpet-data wrote them.
    """

    where: str
    exact: bool
    faults: defaultdict[Fault, list[str]] = field(default_factory=lambda: defaultdict(list))
    differences: list[Difference] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)

    def add(self, seen: Seen) -> None:
        """Add what was found in one image."""
        for fault, place in seen.faults:
            self.faults[fault].append(place)
        self.differences += seen.differences
        self.seen.lacking += seen.lacking
        self.seen.empty += seen.empty
        self.seen.overlaps += seen.overlaps
        self.seen.repeats += seen.repeats

    def problems(self) -> Iterator[Problem]:
        """All of it, each cause once."""
        for fault, places in self.faults.items():
            more = f" ({counted(len(places) - 1, 'more annotation')} alike)" if len(places) > 1 else ""
            yield Problem("error", "coco-segmentation", fault.what + more, places[0], fault.hint)
        if self.exact:
            for each in self.differences:
                yield Problem("error", each.kind, each.what, each.where, _EXPORT)
        else:
            for kind in _KINDS:
                yield from self._summed(kind, [each for each in self.differences if each.kind == kind])
        strict: Severity = "error" if self.exact else "warning"
        seen = self.seen
        yield from self._counted(
            strict, "coco-area", seen.lacking, "without area or bbox", "many readers need both: export them too"
        )
        yield from self._counted(
            strict, "coco-empty", seen.empty, "whose segmentation has no pixel", "redraw or remove them"
        )
        hint = "remove the overlap, or read the file with --overlap first, last or smaller-on-top"
        images = len({place for _, place in seen.overlaps})
        if seen.overlaps:
            what, where = seen.overlaps[0]
            more = f"; in all {counted(len(seen.overlaps), 'pair')} in {counted(images, 'image')}"
            yield Problem("warning", "coco-overlap", what + (more if len(seen.overlaps) > 1 else ""), where, hint)
        if seen.repeats:
            more = f" (and {len(seen.repeats) - 1} more)" if len(seen.repeats) > 1 else ""
            yield Problem("warning", "coco-repeated", seen.repeats[0] + more, self.where, "remove the repetition")

    def _summed(self, kind: str, found: Sequence[Difference]) -> Iterator[Problem]:
        if not found:
            return
        largest = max(found, key=lambda each: each.amount)
        of = counted(len(found), "annotation")
        what = f"{of} with another {_KINDS[kind]} than the mask's; the largest difference: {largest.what}"
        hint = "no action needed for small differences: carpet-data takes both from the masks"
        yield Problem("warning", kind, what, largest.where, hint)

    def _counted(self, severity: Severity, code: str, places: Sequence[str], what: str, hint: str) -> Iterator[Problem]:
        if places:
            yield Problem(severity, code, f"{counted(len(places), 'annotation')} {what}", places[0], hint)
