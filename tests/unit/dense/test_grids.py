"""Maps of cells as fields over the image."""

from __future__ import annotations

import numpy as np
import pytest

from carpet_data.training.dense.cells import moved, scaled_size
from carpet_data.training.dense.grids import aligned, bands, smoothed


def _field(y: np.ndarray, x: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Something linear, which interpolation gives exactly."""
    return 3 * y - 2 * x


@pytest.mark.parametrize("view", range(8))
@pytest.mark.parametrize(("height", "width"), [(64, 96), (50, 77), (9, 70)])
def test_the_map_of_a_view_is_turned_back_to_the_pixel(view: int, height: int, width: int) -> None:
    stride = 8
    plain = _field(*np.mgrid[:height, :width].astype(float) + 0.5)
    shown = moved(plain, view)
    rows, columns = -(-shown.shape[0] // stride), -(-shown.shape[1] // stride)
    # The field at the centers of the view's cells, also of those that reach beyond it.
    slope_y = shown[1, 0] - shown[0, 0]
    slope_x = shown[0, 1] - shown[0, 0]
    y, x = np.mgrid[:rows, :columns] * stride + stride / 2 - 0.5
    cells = (shown[0, 0] + slope_y * y + slope_x * x)[None].astype(np.float32)
    back = aligned(cells, view, height, width, 1.0, stride)
    inner_y, inner_x = height // stride, width // stride
    expected = _field(*(np.mgrid[:inner_y, :inner_x] * stride + stride / 2))
    # Beyond the last center nothing is known, so what lies there keeps the last value.
    part = (slice(1, max(inner_y - 1, 1)), slice(1, max(inner_x - 1, 1)))
    assert back.shape[1:] == (-(-height // stride), -(-width // stride))
    np.testing.assert_allclose(back[0][part], expected[part], atol=1e-3)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_a_map_at_every_pixel(scale: float) -> None:
    height, width, stride = 40, 56, 8
    rows, columns = (-(-side // stride) for side in scaled_size(height, width, scale))
    centers = (np.mgrid[:rows, :columns] + 0.5) * stride / scale
    values = np.stack([_field(*centers)]).astype(np.float32)
    found = np.concatenate([part[0] for _, part in bands(values, height, width, scale, stride)])
    assert found.shape == (height, width)
    margin = int(stride / scale / 2) + 1
    inner = slice(margin, -margin)
    expected = _field(*(np.mgrid[:height, :width] + 0.5))
    np.testing.assert_allclose(found[inner, inner], expected[inner, inner], atol=1e-3)


def test_bands_do_not_depend_on_their_height(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(2, 5, 7)).astype(np.float32)
    whole = np.concatenate([part for _, part in bands(values, 37, 50, 1.0, 8)], axis=1)
    monkeypatch.setattr("carpet_data.training.dense.grids._BAND_VALUES", 2 * 50 * 3)
    parts = list(bands(values, 37, 50, 1.0, 8))
    assert len(parts) == 13
    np.testing.assert_array_equal(np.concatenate([part for _, part in parts], axis=1), whole)


def test_smoothing_keeps_the_mean_and_nothing_else() -> None:
    spot = np.zeros((1, 9, 9), np.float32)
    spot[0, 4, 4] = 1
    blurred = smoothed(spot, 1.0)
    assert blurred.sum() == pytest.approx(1, abs=1e-3)
    assert blurred[0, 4, 4] < 0.3
    assert smoothed(spot, 0) is spot
