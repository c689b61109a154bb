"""The pages of a validation: report.html by itself, report.md to read anywhere, metrics.json for programs."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from carpet_data.reporting import figures
from carpet_data.reporting.pages import ComparisonMetrics, ValidationPage, titled
from carpet_data.reporting.render import render
from carpet_data.store import runs
from carpet_data.store.files import write_bytes

__all__ = ["write"]

PLOTS = "plots"


def write(folder: Path, page: ValidationPage) -> tuple[Path, Path]:
    """Write what a validation found into the run folder; what comes back are report.md and report.html.

    Beside them lie metrics.json and, in plots/, figures of each comparison: NAME-comparison.png, NAME-classes.png,
    and one NAME-confusion-N.png per condition whose confusion is known. The pictures that the page names must be there.
    """
    drawn = _draw(folder, page)
    markdown, html = folder / "report.md", folder / "report.html"
    pictures = [(_address(folder / each.file), each.caption) for each in page.pictures]
    write_bytes(html, render("validation.html", page=page, pictures=pictures).encode(errors="backslashreplace"))
    write_bytes(markdown, render("validation.md", page=page, drawn=drawn).encode(errors="backslashreplace"))
    text = json.dumps(page.to_json(), ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    write_bytes(folder / runs.METRICS, text.encode(errors="backslashreplace"))
    return markdown, html


def _address(path: Path) -> str:
    """A picture as an address that holds it, so that the page stands alone."""
    kind = "png" if path.suffix == ".png" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def _draw(folder: Path, page: ValidationPage) -> dict[str, list[tuple[str, str]]]:
    """Draw the PNGs that report.md shows; (file, what it shows) of each, by the key of the comparison."""
    return {found.key: _drawn(folder, found) for found in page.comparisons}


def _drawn(folder: Path, found: ComparisonMetrics) -> list[tuple[str, str]]:
    rows = found.by_class()
    drawn = {"comparison": figures.comparison(found.conditions, found.baseline, measure=found.measure)}
    captions = {"comparison": "; ".join(f"{n} {row.first.text()}" for n, row in found.conditions.items())}
    if rows:
        drawn["classes"] = figures.recalls(rows, measure=found.class_measure)
        captions["classes"] = f"{titled(found.class_measure)} of each class under each condition"
    for number, (name, row) in enumerate(found.conditions.items()):
        if row.confusion is not None:
            captions[f"confusion-{number}"] = f"Confusion: {name}"
            drawn[f"confusion-{number}"] = figures.confusion(row.confusion, found.classes, title=f"Confusion: {name}")
    for name, figure in drawn.items():
        figures.save(figure, folder / PLOTS / f"{found.key}-{name}.png")
    return [(f"{PLOTS}/{found.key}-{name}.png", captions[name]) for name in drawn]
