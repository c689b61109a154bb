"""The pages of a validation: report.md to read anywhere, report.html by itself, page.json for `carpet-data report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from carpet_data.reporting import plots
from carpet_data.reporting.pages import PAGE, Condition, Picture, ValidationPage
from carpet_data.reporting.render import data_uri, render
from carpet_data.store.files import write_bytes

__all__ = ["write"]

PLOTS = "plots"


def write(folder: Path, page: ValidationPage) -> tuple[Path, Path]:
    """Write the pages of a validation and the plots they show.

    Args:
        folder: The run folder; `page.pictures` lie in it.
        page: What they say.

    Returns:
        report.md and report.html. Beside them page.json and, as far as there are figures for them,
        plots/comparison.png, plots/recall.png, plots/curves.png and one plots/confusion-N.png a condition.

    Raises:
        ImageError: A picture of the page is missing.
    """
    drawn = _draw(folder, page)
    markdown, html = folder / "report.md", folder / "report.html"
    # In the HTML page the figures are part of it; only the further pictures are embedded.
    embedded = [(picture, data_uri(folder / picture.file)) for picture in page.pictures]
    write_bytes(html, render("validation.html", page=page, pictures=embedded).encode(errors="backslashreplace"))
    text = render("validation.md", page=page, drawn=drawn)
    write_bytes(markdown, text.encode(errors="backslashreplace"))
    write_bytes(folder / PAGE, page.to_bytes())
    return markdown, html


def _draw(folder: Path, page: ValidationPage) -> list[Picture]:
    drawn = []
    places = folder / PLOTS
    if page.conditions:
        plots.comparison(page.conditions, places / "comparison.png")
        drawn.append(
            Picture(f"{PLOTS}/comparison.png", "Balanced accuracy of each condition", _in_words(page.conditions))
        )
    if any(condition.recalls for condition in page.conditions):
        plots.recalls(page.conditions, places / "recall.png")
        what = "Recall of each class under each condition"
        drawn.append(Picture(f"{PLOTS}/recall.png", "Recall of each class", what))
    for number, condition in enumerate(page.conditions):
        if condition.confusion is not None:
            name = f"confusion-{number}.png"
            title = f"Confusion: {condition.name}"
            plots.confusion(condition.confusion, page.classes, places / name, title=title)
            drawn.append(Picture(f"{PLOTS}/{name}", title))
    if page.history:
        plots.curves(page.history, places / "curves.png")
        drawn.append(Picture(f"{PLOTS}/curves.png", "Learning curves, mean over partitions and seeds"))
    return drawn


def _in_words(conditions: Sequence[Condition]) -> str:
    return "; ".join(f"{each.name} {each.balanced_accuracy.text()}" for each in conditions)
