from __future__ import annotations

from pathlib import Path

import pytest
from helpers import painted_model

from carpet_data.core.images import write_png


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return painted_model.write(tmp_path / "model", monkeypatch)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four images: a hole, two threads, one of both, and a good one in a folder of its own."""
    folder = tmp_path / "phötos of line 3"
    (folder / "good ones").mkdir(parents=True)
    write_png(folder / "a hole.png", painted_model.picture((10, 20, 30, 12, 250)))
    write_png(folder / "b thread.png", painted_model.picture((5, 5, 90, 3, 5), (40, 40, 8, 8, 2)))
    write_png(folder / "c both.png", painted_model.picture((0, 0, 9, 9, 255), (100, 60, 20, 20, 0)))
    write_png(folder / "good ones" / "d.png", painted_model.picture())
    return folder
