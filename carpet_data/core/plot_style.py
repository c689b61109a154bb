"""How all plots look, for matplotlib's `rc_context`."""

from __future__ import annotations

from typing import Any

__all__ = ["STYLE"]

STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "axes.unicode_minus": False,
    # Names of classes are text: a $ in one is no formula.
    "text.parse_math": False,
}
