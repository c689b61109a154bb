"""A healthy data set, and a copy of it to be damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers.cloth import write_cloth


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cloth(tmp_path_factory.mktemp("healthy") / "cloth")


@pytest.fixture
def root(healthy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(healthy, tmp_path / "cloth"))
