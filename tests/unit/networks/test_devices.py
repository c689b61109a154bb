"""Devices are found or refused, generators lent, full memory explained."""

from __future__ import annotations

import contextlib

import pytest
import torch
from helpers import networks
from torch import nn

from carpet_data.errors import DeviceMemoryError, UsageError
from carpet_data.networks import devices
from carpet_data.training import features

CPU = torch.device("cpu")


def test_auto_is_a_gpu_where_there_is_one() -> None:
    found = devices.resolve("auto")
    assert found.type == ("cuda" if torch.cuda.is_available() else found.type)
    assert devices.resolve("cpu") == CPU


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", ""])
def test_devices_that_are_not_there(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        devices.resolve(name)
    assert "auto" in (caught.value.hint or "")


def test_generators_have_streams_of_their_own() -> None:
    def draw(*keys: int) -> list[float]:
        return torch.rand(3, generator=devices.generator(*keys)).tolist()

    assert draw(1, 2) == draw(1, 2)
    assert len({tuple(draw(*keys)) for keys in ((1,), (2,), (1, 2), (1, 3), (1, 2, 0))}) == 5


def test_layers_draw_from_a_lent_generator() -> None:
    drop, ones = nn.Dropout(0.5), torch.ones(64)
    before = torch.get_rng_state()
    with devices.seeded(3, 1):
        one = drop(ones)
    with devices.seeded(3, 1, device=CPU):
        same = drop(ones)
    with devices.seeded(3, 2):
        other = drop(ones)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_deterministic_ends_as_it_began() -> None:
    assert not torch.are_deterministic_algorithms_enabled()
    seen = []
    with contextlib.suppress(ValueError), devices.deterministic(CPU):
        seen.append(torch.are_deterministic_algorithms_enabled())
        raise ValueError
    assert seen == [True]
    assert not torch.are_deterministic_algorithms_enabled()


def test_full_precision_on_a_cpu() -> None:
    with devices.amp(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    assert not devices.scaler(CPU).is_enabled()
    devices.synchronize(CPU)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried …"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes."),
        MemoryError("Unable to allocate 4 GiB"),
    ],
)
def test_full_memory_says_what_to_do(error: Exception) -> None:
    with (
        pytest.raises(DeviceMemoryError, match="64 images of 256x256") as caught,
        devices.memory_guard(64, CPU, size=256),
    ):
        raise error
    assert "--batch-size 32" in (caught.value.hint or "")
    with pytest.raises(DeviceMemoryError) as caught, devices.memory_guard(1, CPU):
        raise error
    assert "--resize" in (caught.value.hint or "")


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shapes"), devices.memory_guard(8, CPU):
        raise RuntimeError("shapes do not agree")


def test_a_real_allocation_that_fails() -> None:
    """The text that torch's own allocator gives is among those that are known."""
    with pytest.raises(DeviceMemoryError), devices.memory_guard(8, CPU):
        torch.empty(2**60, dtype=torch.uint8)


def test_extraction_is_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    network = networks.network()

    def fail(x: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(network, "features", fail)
    with pytest.raises(DeviceMemoryError, match="16 images of 32x32"):
        features.extract(network, networks.table(2), batch_size=16)
