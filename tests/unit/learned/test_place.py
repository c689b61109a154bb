"""Where a fit runs."""

from __future__ import annotations

import pytest
import torch

from carpet_data.errors import UsageError
from carpet_data.learned.fit_runtime import Place
from carpet_data.networks import devices


def test_another_device_in_the_same_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the look, what was asked for one device would have been computed on the other."""
    Place.at("cpu", precision="full")
    monkeypatch.setattr(devices, "resolve", lambda name: torch.device(name))
    with pytest.raises(UsageError, match="computes on cpu already, now asked for cuda") as caught:
        Place.at("cuda", precision="full")
    assert "another process" in str(caught.value.hint)
    assert Place.at("cpu", precision="full").device.type == "cpu"


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(UsageError, match="-1 is negative"):
        Place.at("cpu", precision="full", seed=-1)
