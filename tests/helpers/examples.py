"""How many examples hypothesis tries: all of them in the whole suite, a few in `make fast`."""

from __future__ import annotations

import os

_FEW = 20


def examples(count: int) -> int:
    """`count`, or a few of them under HYPOTHESIS_PROFILE=dev."""
    return min(count, _FEW) if os.environ.get("HYPOTHESIS_PROFILE") == "dev" else count
