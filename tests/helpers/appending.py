"""Samples added to a prepared folder in one go."""

from __future__ import annotations

from pathlib import Path

from carpet_data import store
from carpet_data.store import Addition


def append(
    root: Path, *additions: Addition, identity: str = "1", command: str = "weave", split: str | None = "main"
) -> int:
    """Add samples; how many the appending has added then."""
    with store.appending(root, command=command, identity=identity, split=split) as appender:
        for addition in additions:
            appender.add(addition)
        return len(appender)
