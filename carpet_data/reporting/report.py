"""Report: one self-contained HTML file about a data set."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data import formats, store
from carpet_data.core.progress import Progress
from carpet_data.core.results import Result
from carpet_data.core.text import counted
from carpet_data.dataset import DataFolder, Dataset, folder_of
from carpet_data.errors import CarpetDataError, DataError, UsageError
from carpet_data.formats import ReadOptions
from carpet_data.formats.account.roles import Account
from carpet_data.formats.account.unread import source_lines
from carpet_data.formats.export import default_out
from carpet_data.formats.skipped import skipped_lines
from carpet_data.reporting import contents
from carpet_data.reporting.dataset_page import DatasetPage, ScoreTable
from carpet_data.reporting.evidence import gather, read_score
from carpet_data.reporting.render import render
from carpet_data.statistics.stats import Stats, stats
from carpet_data.store import description, names, runs
from carpet_data.store.files import making, sha256, write_bytes
from carpet_data.store.output import check_file

__all__ = ["SCORE", "ReportResult", "report"]

SCORE = "score.json"
"""Where the page looks for a score file, in the data set's folder."""

_SHOWN_PROBLEMS = 5


@dataclass(frozen=True, slots=True)
class ReportResult(Result):
    """What `report` wrote.

    Attributes:
        out: The page.
        size: Its size in bytes.
        real: Real images that take part.
        synthetic: Synthetic ones.
        verdict: Of the last validation; None without one.
        notes: What the page warns of.
        skipped: One error for each image left out (skip_faulty); `where` is the image file.
        source: What each folder was taken for; None for a prepared folder.
    """

    out: Path
    size: int
    real: int
    synthetic: int
    verdict: str | None
    notes: tuple[str, ...]
    skipped: tuple[DataError, ...] = ()
    source: Account | None = None

    def text(self) -> str:
        """The result in words."""
        verdict = "no validation" if self.verdict is None else f"validation: {self.verdict}"
        lines = [f"{self.out} ({self.size / 1e6:.1f} MB): {self.real} real, {self.synthetic} synthetic; {verdict}"]
        return "\n".join(
            [
                *lines,
                *(f"note: {note}" for note in self.notes),
                *skipped_lines(self.skipped),
                *source_lines(self.source),
            ]
        )


def report(
    root: DataFolder,
    out: str | os.PathLike[str] | None = None,
    *,
    split: str | None = None,
    score: str | os.PathLike[str] | None = None,
    skip_faulty: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ReportResult:
    """Write one HTML file about a data set: its contents, how it was made, and whether the synthetic images help.

    The page contains its pictures and its style, needs no network, and follows the reader's choice of light or dark. A
    few thumbnails of each class are shown, 3.5 MB at most.

    Args:
        root: A prepared folder, its Dataset, or a raw folder, which has neither runs nor provenance.
        out: The HTML file; None for `NAME-report.html` beside the data set.
        split: The split that is shown; None for "main", else the source's own, else none.
        score: Output of `carpet-data score --json`; None for score.json in the data set's folder, if it exists.
        skip_faulty: Skip images with errors instead of failing; the page names them.
        overwrite: Replace the file.
        workers: Number of processes; None for one per core.
        progress: Called with each step.

    Raises:
        DataError: The data set or the score file cannot be read; ProblemsError: images or masks with problems.
        UsageError: The split is unknown, or `out` is not an HTML file or lies among the data.
        OutputError: The file exists, or cannot be written.
    """
    root = folder_of(root)
    out = default_out(root, "report.html") if out is None else Path(out)
    _check_out(out, root, overwrite=overwrite)
    options = ReadOptions(skip_faulty=skip_faulty)
    dataset = formats.read(root, options)
    score_file = dataset.root / SCORE if score is None else Path(score)
    table = read_score(score_file) if score is not None or score_file.is_file() else None
    split = dataset.split_name(split)
    measured = stats(dataset, options, split=split, workers=workers, progress=progress)
    left_out = {error.where for error in measured.skipped}
    shown = dataset.where(lambda sample: str(dataset.path(sample.image_path)) not in left_out)
    page = _page(shown if left_out else dataset, measured, table)
    data = render("dataset.html", page=page).encode(errors="backslashreplace")
    with making(out):
        write_bytes(out, data)
    found = page.evidence.validation
    verdict = None if found is None else found.verdict
    return ReportResult(
        out, len(data), page.real, page.synthetic, verdict, page.notes, measured.skipped, measured.source
    )


def _check_out(out: Path, root: Path, *, overwrite: bool) -> None:
    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError("the report must be an HTML file", where=out, hint="use a name such as report.html")
    inside = out.resolve().parent
    kept = (
        [root.resolve()] if not store.is_prepared(root) else [(root / part).resolve() for part in ("images", "masks")]
    )
    if any(folder == inside or folder in inside.parents for folder in kept):
        raise UsageError("the report would lie among the data", where=out, hint="write it elsewhere")
    check_file(out, overwrite=overwrite)


def _page(dataset: Dataset, measured: Stats, score: ScoreTable | None) -> DatasetPage:
    split = measured.split
    classes = contents.classes(dataset, split)
    sheets, problems = contents.sheets(dataset)
    prepared = store.is_prepared(dataset.root)
    evidence, damaged = gather(dataset)
    return DatasetPage(
        name=dataset.name,
        format=dataset.format,
        split=split,
        fingerprint=dataset.fingerprint(split),
        license=dataset.license,
        classes=classes,
        tail=contents.tail(classes, split),
        defects=measured.defects,
        sizes=measured.image_sizes,
        sheets=sheets,
        score=score,
        evidence=evidence,
        recipes=contents.made_by(dataset),
        provenance=_provenance(dataset, split) if prepared else {"Read from": dataset.format},
        splits={name: each.counts() for name, each in sorted(dataset.splits.items())},
        notes=_notes([*measured.skipped, *problems, *damaged]),
        versions={"python": platform.python_version(), **runs.versions()},
    )


def _notes(problems: list[CarpetDataError]) -> tuple[str, ...]:
    """Each problem once: what cannot be measured cannot be shown either."""
    texts = list(
        dict.fromkeys(
            f"{Path(problem.where).name}: {problem.what}" if problem.where else problem.what for problem in problems
        )
    )
    if len(texts) <= _SHOWN_PROBLEMS:
        return tuple(texts)
    more = counted(len(texts) - _SHOWN_PROBLEMS, "more problem")
    return (*texts[:_SHOWN_PROBLEMS], f"{more}; carpet-data doctor names them all")


def _provenance(dataset: Dataset, split: str | None) -> Mapping[str, Any]:
    prepared = description.read(dataset.root).prepared
    facts: dict[str, Any] = {
        "Read from": prepared.get("reader", "–"),
        **{name.replace("_", " ").capitalize(): _plain(value) for name, value in prepared.items() if name != "reader"},
    }
    if split is not None:
        made = dataset.splits[split].made
        facts.update({f"Split {split}: {name}": _plain(value) for name, value in made.items() if value not in ([], {})})
    facts["SHA-256 of the manifest"] = sha256(dataset.root / names.MANIFEST)
    return facts


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', ' ')} {_plain(each)}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(str(_plain(each)) for each in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, int | float | str) or value is None else json.dumps(value, ensure_ascii=False)
