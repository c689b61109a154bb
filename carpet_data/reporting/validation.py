"""The pages of a validation: report.html by itself, report.md to read anywhere, metrics.json for programs."""

from __future__ import annotations

import json
from pathlib import Path

from carpet_data.reporting import figures
from carpet_data.reporting.pages import ValidationPage
from carpet_data.reporting.render import render
from carpet_data.store import runs
from carpet_data.store.files import write_bytes

__all__ = ["write"]

PLOTS = "plots"


def write(folder: Path, page: ValidationPage) -> tuple[Path, Path]:
    """Write what a validation found into the run folder; what comes back are report.md and report.html.

    Beside them lie metrics.json, plots/comparison.png, plots/recall.png, and one plots/confusion-N.png per condition
    whose confusion is known.
    """
    drawn = _draw(folder, page)
    markdown, html = folder / "report.md", folder / "report.html"
    write_bytes(html, render("validation.html", page=page).encode(errors="backslashreplace"))
    write_bytes(markdown, render("validation.md", page=page, drawn=drawn).encode(errors="backslashreplace"))
    text = json.dumps(page.to_json(), ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    write_bytes(folder / runs.METRICS, text.encode(errors="backslashreplace"))
    return markdown, html


def _draw(folder: Path, page: ValidationPage) -> list[tuple[str, str]]:
    """Draw the PNGs that report.md shows; (file, what it shows) of each."""
    found = page.comparison
    recalls = found.recalls()
    drawn = {"comparison": figures.comparison(found.conditions, found.baseline)}
    captions = {"comparison": "; ".join(f"{n} {row.balanced_accuracy.text()}" for n, row in found.conditions.items())}
    if recalls:
        drawn["recall"] = figures.recalls(recalls)
        captions["recall"] = "Recall of each class under each condition"
    for number, (name, row) in enumerate(found.conditions.items()):
        if row.confusion is not None:
            captions[f"confusion-{number}"] = f"Confusion: {name}"
            drawn[f"confusion-{number}"] = figures.confusion(row.confusion, found.classes, title=f"Confusion: {name}")
    for name, figure in drawn.items():
        figures.save(figure, folder / PLOTS / f"{name}.png")
    return [(f"{PLOTS}/{name}.png", captions[name]) for name in drawn]
