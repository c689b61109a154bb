"""Regular expressions that users write."""

from __future__ import annotations

import re

from carpet_data.errors import UsageError

__all__ = ["capturing"]


def capturing(pattern: str, option: str, hint: str) -> re.Pattern[str]:
    """The regular expression of an option, which has to capture something; `hint` says what.

    Raises:
        UsageError: It is invalid, or captures nothing.
    """
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"invalid {option} value {pattern!r} ({error})") from error
    if found.groups == 0:
        raise UsageError(f"{option} {pattern!r} captures nothing", hint=hint)
    return found
