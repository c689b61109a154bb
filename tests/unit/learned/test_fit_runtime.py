"""Where a fit runs."""

from __future__ import annotations

import pytest
import torch

from carpet_data.errors import UsageError
from carpet_data.learned.fit_runtime import Runtime
from carpet_data.networks import devices


def test_another_device_in_the_same_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the look, what was asked for one device would have been computed on the other."""
    Runtime.at("cpu", precision="full")
    monkeypatch.setattr(devices, "resolve", lambda name: torch.device(name))
    with pytest.raises(UsageError, match="already computes on cpu and cannot change to cuda") as caught:
        Runtime.at("cuda", precision="full")
    assert "another process" in str(caught.value.hint)
    assert Runtime.at("cpu", precision="full").device.type == "cpu"
