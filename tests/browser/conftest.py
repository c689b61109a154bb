"""FiftyOne on a real MongoDB, and a browser to look at its App with."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import Chromium

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def fiftyone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The module, connected to a MongoDB in a temporary folder."""
    from mongo import own_database

    yield own_database(tmp_path_factory.mktemp("mongo"))
    # It never closes its clients by itself, and warns of that when the process ends.
    importlib.import_module("fiftyone.core.odm.database")._disconnect()


@pytest.fixture(scope="module")
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
