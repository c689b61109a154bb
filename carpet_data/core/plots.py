"""The one look of all figures: drawn once with matplotlib, saved as PNG or as SVG inside a page.

A figure is drawn without a window and without the clock: equal data give equal bytes. The SVG takes the page's own
colors, so that it follows the reader's choice of light or dark, and its text stays text.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Literal, ParamSpec

import matplotlib as mpl
from matplotlib.figure import Figure

from carpet_data.core.colors import SERIES

__all__ = ["ACCENT", "EMPTY", "GRID", "INK", "MUTED", "SURFACE", "color_of", "figure", "styled", "to_png", "to_svg"]

P = ParamSpec("P")

INK, MUTED, GRID, EMPTY, SURFACE = "#1b1f24", "#565f69", "#dfe2e6", "#e4e4e4", "#ffffff"
"""Text; axes and small text; lines of a grid; areas without data; the paper."""
ACCENT = "#0b62a8"
"""Areas whose opacity says how much."""

_STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "axes.unicode_minus": False,
    # Names of classes are text: a $ in one does not start a formula.
    "text.parse_math": False,
    "svg.fonttype": "none",
}

# Color of a figure -> variable of the pages' style sheet.
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--line",
    EMPTY: "--line",
    SURFACE: "--surface",
    ACCENT: "--accent",
    **{color.lower(): f"--s{number}" for number, color in enumerate(SERIES)},
}
_COLOR = re.compile("|".join(map(re.escape, _VARIABLES)))
_SIZE = re.compile(r'<svg[^>]* width="([\d.]+)pt"[^>]*?( viewBox="[^"]*")[^>]*')
_PIXELS_PER_POINT = 96 / 72
_PARED = tuple(
    (re.compile(pattern, re.DOTALL), replacement)
    for pattern, replacement in (
        (r"<defs>\s*<style.*?</style>\s*</defs>", ""),  # it would hold for the whole page
        (r'<g id="[^"]*"', "<g"),  # the same in every figure
        (r" font-family: [^;\"]*;", ""),  # the page's own
        (r' transform="rotate\(-0 [^"]*"', ""),
        ("xlink:href", "href"),
        (r">\s+<", "><"),
        (r"\s*\n\s*", " "),
    )
)


def color_of(number: int) -> str:
    """The color of a series; after the last one they start over."""
    return SERIES[number % len(SERIES)]


@contextmanager
def _style() -> Iterator[None]:
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; that is not a problem of the data.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """A decorator for functions that draw a figure: they draw in the one style, and no setting is left changed."""

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with _style():
            return draw(*args, **kwargs)

    return inside


def figure(width: float, height: float, *, layout: Literal["constrained", "compressed"] = "constrained") -> Figure:
    """An empty figure of a size in inches; no label of it is cut off, nor a legend outside the axes."""
    made = Figure(figsize=(width, height), dpi=120)
    made.set_layout_engine(layout, w_pad=0.1, h_pad=0.08)
    return made


def to_png(drawn: Figure) -> bytes:
    """A figure as a PNG file."""
    buffer = io.BytesIO()
    with _style():
        drawn.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def to_svg(drawn: Figure, name: str) -> str:
    """A figure as an SVG element for a page that has the variables --ink, --muted, --line, --surface, --accent, --s0 ….

    Text in it is escaped by matplotlib; the identifiers inside are derived from `name`, which is unique on the page.
    """
    buffer = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with _style(), mpl.rc_context({"svg.hashsalt": name}):
        drawn.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = _SIZE.sub(lambda found: f'<svg style="--w: {float(found[1]) * _PIXELS_PER_POINT:.0f}px"{found[2]}', text, 1)
    for pattern, replacement in _PARED:
        text = pattern.sub(replacement, text)
    return _COLOR.sub(lambda found: f"var({_VARIABLES[found[0]]})", text)
