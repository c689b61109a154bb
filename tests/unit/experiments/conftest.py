"""Fixtures of the tests of experiments."""

from __future__ import annotations

from pathlib import Path

import pytest
from carpets import prepared_carpet


@pytest.fixture(scope="session")
def carpet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small prepared carpet with synthetic holes and threads; not to be changed."""
    return prepared_carpet(tmp_path_factory.mktemp("carpet"))
