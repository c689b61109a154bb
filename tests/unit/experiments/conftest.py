"""Fixtures of the tests of experiments."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def carpet(synthesized_carpet: Path) -> Path:
    """A small prepared carpet with synthetic holes and threads; not to be changed."""
    return synthesized_carpet
