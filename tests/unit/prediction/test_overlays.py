"""Pictures of predictions: which detections are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import painted_model

from carpet_data.core import images
from carpet_data.prediction.overlays import draw_overlay
from carpet_data.prediction.predict import predict
from carpet_data.training.contract import Detection, ImagePrediction

COLORS = {"good": "#009E73", "hole": "#D55E00"}
IMAGE = np.full((500, 500, 3), 90, np.uint8)
BOXES = ((100, 100, 50, 40), (300, 300, 80, 80))


def _drawn(name: str, scores: tuple[float, ...], **more: float) -> list[bool]:
    """Whether each box is drawn."""
    found = tuple(Detection("hole", score, box) for score, box in zip(scores, BOXES, strict=False))
    picture = draw_overlay(IMAGE, ImagePrediction(name, None, max(scores), detections=found), COLORS, **more)
    below_the_bar = picture[-500:]
    return [bool((below_the_bar[y + h - 1, x : x + w] != 90).any()) for x, y, w, h in BOXES[: len(scores)]]


@pytest.mark.parametrize(
    ("name", "scores", "drawn"),
    [
        ("good", (0.3, 0.2), [False, False]),
        ("hole", (0.9, 0.2), [True, False]),
        ("hole", (0.9, 0.8), [True, True]),
        ("hole", (0.3, 0.2), [True, False]),
    ],
)
def test_what_a_model_hardly_believes_in_does_not_hide_the_image(
    name: str, scores: tuple[float, ...], drawn: list[bool]
) -> None:
    assert _drawn(name, scores) == drawn


def test_a_threshold_that_was_asked_for_decides() -> None:
    assert _drawn("good", (0.3, 0.2), threshold=0.25) == [True, False]


def test_predict_draws_by_its_threshold(model: Path, tmp_path: Path) -> None:
    photo = tmp_path / "small hole.png"
    images.write_png(photo, painted_model.picture((10, 20, 15, 12, 250), (60, 40, 10, 10, 250)))
    pictures = []
    for number, threshold in enumerate((None, 0.01)):
        out = predict(model, photo, tmp_path / str(number), overlays=True, threshold=threshold).out
        pictures.append(images.read(next((out / "overlays").iterdir())))
    assert not np.array_equal(*pictures), "two small holes of score 0.18 and 0.1: the surest alone, and both"
