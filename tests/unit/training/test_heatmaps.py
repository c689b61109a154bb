"""Heat maps as files: which images get one, and what it holds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import networks

from carpet_data.training import evaluate, gradcam
from carpet_data.training.evaluate import Predictions
from carpet_data.training.pictures import mistakes_first, write_heatmaps


def test_mistakes_come_first_then_what_was_nearly_one() -> None:
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.55, 0.45], [0.1, 0.9]])
    truth = np.array([0, 0, 0, 0])
    found = Predictions(("a", "b", "c", "d"), truth, probabilities, -np.log(probabilities[:, 0]))
    assert mistakes_first(found).tolist() == [3, 1, 2, 0]
    # Of three classes a right answer may lose more than a wrong one; the mistake still comes first.
    probabilities = np.array([[0.34, 0.33, 0.33], [0.45, 0.55, 0.0]])
    found = Predictions(("a", "b"), np.array([0, 0]), probabilities, -np.log(probabilities[:, 0]))
    assert mistakes_first(found).tolist() == [1, 0]


@pytest.mark.parametrize("count", [0, 3, 17, 40])
def test_the_file_is_the_heat_of_the_predicted_class(count: int, tmp_path: Path) -> None:
    network, table = networks.network(), networks.table(20)
    found = evaluate.predict(network, table)
    steps: list[tuple[int, int]] = []
    files = write_heatmaps(
        tmp_path / "heatmaps",
        network,
        table,
        found,
        count=count,
        progress=lambda step: steps.append((step.done, step.total)),
    )
    rows = mistakes_first(found)[:count].tolist()
    assert [file.stem for file in files] == [table.ids[row] for row in rows]
    assert sorted(tmp_path.rglob("*.png")) == sorted(files)
    assert steps[-1:] == ([(len(rows), len(rows))] if rows else [])
    for row, file in list(zip(rows, files, strict=True))[-2:]:
        heat = gradcam.heat(network, table.pixels[row : row + 1], found.predicted[row : row + 1])[0]
        picture = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert picture.dtype == np.uint8
        assert picture.shape == (table.size, table.size)
        # Networks give a few last bits that depend on the batch.
        np.testing.assert_allclose(picture / 255, heat, atol=0.02)
