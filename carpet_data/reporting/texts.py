"""Small texts of plots and pages."""

from __future__ import annotations

__all__ = ["duration", "p_text", "shortened"]


def shortened(text: str, most: int) -> str:
    """A text of at most so many letters; what is cut off is marked."""
    return text if len(text) <= most else text[: most - 1] + "…"


def p_text(p_value: float | None) -> str:
    """A p value as papers print it: `p = 0.031`, `p < 0.001`, or `no test` for None."""
    if p_value is None:
        return "no test"
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def duration(seconds: float) -> str:
    """`42 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
