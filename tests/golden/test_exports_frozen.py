"""Exports must keep every byte and every file name.

Write the table anew, with the real data at hand, by: python tests/golden/freeze.py exports_frozen
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import frozen

NAME = "exports_frozen"
REGENERATE = f"where that is meant, regenerate with {frozen.REGENERATE} {NAME}"


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return frozen.sample_sets(tmp_path_factory.mktemp("exports"))


@pytest.mark.xdist_group("exports_frozen")
@pytest.mark.parametrize("kind", frozen.SAMPLE_EXPORTS)
@pytest.mark.parametrize("name", frozen.SAMPLE_SETS)
def test_exports_of_the_sample_stay(name: str, kind: str, sets: dict[str, Path], tmp_path: Path) -> None:
    found = frozen.exported(sets[name], tmp_path / "out", frozen.SAMPLE_EXPORTS[kind])
    assert found == frozen.table(NAME)[name][kind], REGENERATE


@pytest.mark.real
@pytest.mark.parametrize("kind", frozen.EXPORTS)
@pytest.mark.parametrize("name", frozen.REAL_SETS)
def test_exports_of_real_data_stay(name: str, kind: str, real_data: Callable[[str], Path], tmp_path: Path) -> None:
    found = frozen.exported(real_data(name), tmp_path / "out", frozen.EXPORTS[kind], *frozen.unmasked(name, kind))
    assert found == frozen.table(NAME)[name][kind], REGENERATE
