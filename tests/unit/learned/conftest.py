"""One thread for torch, the learned methods of the tests, and a small prepared data set."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers import synthesis, tiny_learner

from carpet_data.synthesis.recipe import registry


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The method `tiny` is known."""
    monkeypatch.setitem(registry.METHODS.builtin, tiny_learner.NAME, (tiny_learner.TARGET, "of the tests"))


@pytest.fixture(scope="session")
def noise_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared data set of good, hole and thread; not to be changed."""
    return synthesis.dataset(tmp_path_factory.mktemp("generators") / "set")


@pytest.fixture
def root(noise_images: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(noise_images, tmp_path / "set"))
