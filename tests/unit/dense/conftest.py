"""One thread for torch, a small network, and a small data set whose defects even random features show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.cloth import save
from helpers.networks import network
from numpy.typing import NDArray

from carpet_data.dataset import Dataset
from carpet_data.formats.reading import read
from carpet_data.training.dense.bank import MapBank

SIDE = 64
COLORS = {"red": (40, 40, 220), "dark": (10, 10, 10)}


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def picture(seed: int, color: tuple[int, int, int] | None = None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Gray noise with a square of a color on it, BGR, and the mask of the square."""
    rng = np.random.default_rng(seed)
    image = np.clip(rng.normal(140, 8, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    if color is not None:
        y, x = 16 + 8 * rng.integers(0, 3, 2)
        image[y : y + 16, x : x + 16] = color
        mask[y : y + 16, x : x + 16] = 255
    return image, mask


def write_squares(root: Path, *, good: int = 5, defects: int = 4, masks: bool = True) -> Path:
    """An MVTec folder: good images, and two classes of squares."""
    for number in range(good):
        save(root / f"train/good/{number:03}.png", picture(number)[0])
    for base, (name, color) in enumerate(COLORS.items(), start=1):
        for number in range(defects):
            image, mask = picture(100 * base + number, color)
            save(root / f"test/{name}/{number:03}.png", image)
            if masks:
                save(root / f"ground_truth/{name}/{number:03}_mask.png", mask)
    return root


@pytest.fixture(scope="package")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return read(write_squares(tmp_path_factory.mktemp("squares")))


@pytest.fixture(scope="package")
def bank() -> MapBank:
    return MapBank(network(), torch.device("cpu"), memory_bytes=2**27)
