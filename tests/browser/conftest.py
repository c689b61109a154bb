"""FiftyOne on a real MongoDB, and a browser to look at its App with: one of each for all these tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.chromium import Chromium

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def fiftyone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The module, connected to a MongoDB in a temporary folder."""
    from helpers.mongo import own_database

    return own_database(tmp_path_factory.mktemp("mongo"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A headless Chromium."""
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where screenshots are kept for people to look at; git ignores it."""
    folder = PROJECT / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
