"""Small texts: counts, durations, p-values, and names that any stream can print."""

from __future__ import annotations

__all__ = ["counted", "duration", "p_text", "printable", "sentence", "shortened"]


def counted(count: int, noun: str) -> str:
    """`1 image`, `2 images`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def printable(text: str) -> str:
    """Text that any stream can print: file names may hold bytes that are not UTF-8, and control characters."""
    safe = text.encode("utf-8", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in safe)


def shortened(text: str, most: int) -> str:
    """A text of at most this number of letters; a cut is marked with `…`."""
    return text if len(text) <= most else text[: most - 1] + "…"


def p_text(p_value: float | None) -> str:
    """A p-value as papers print it: `p = 0.031`, `p < 0.001`, or `no test` for None."""
    if p_value is None:
        return "no test"
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def reason(error: BaseException) -> str:
    """What an exception says, in words for people; a bare key is named as missing.

    Examples:
        >>> reason(KeyError("classes")), reason(ValueError("two heads")), reason(TypeError())
        ("'classes' is missing", 'two heads', 'TypeError')
    """
    if isinstance(error, KeyError) and error.args:
        return f"{error.args[0]!r} is missing"
    return str(error) or type(error).__name__


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


def sentence(text: str) -> str:
    """A note as a sentence of a page: those of the command line begin small and end without a period."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
