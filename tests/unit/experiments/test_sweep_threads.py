"""Small heads are trained by one thread, and the caller's threads are as they were."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from carpet_data.networks.devices import one_thread
from carpet_data.training.features import FeatureTable
from carpet_data.training.head import fit_head
from carpet_data.training.options import TrainOptions


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("size", "threads"), [(8, 1), (2**20, 2)])
def test_only_small_heads_are_trained_by_one_thread(size: int, threads: int) -> None:
    seen: list[int] = []
    values, labels = np.zeros((1, 4, size), np.float32), np.array([0, 1, 0, 1])
    features = FeatureTable(values, labels, tuple("abcd"), ("x", "y"), ("real",) * 4)
    settings = TrainOptions(epochs=1, device="cpu")
    fit_head(features, None, settings, progress=lambda step: seen.append(torch.get_num_threads()))
    assert seen == [threads]
    assert torch.get_num_threads() == 2


def test_threads_are_given_back_after_an_error() -> None:
    def interrupted() -> None:
        with one_thread(torch.device("cpu")):
            assert torch.get_num_threads() == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert torch.get_num_threads() == 2
    with one_thread(None), one_thread(torch.device("meta")):
        assert torch.get_num_threads() == 2
