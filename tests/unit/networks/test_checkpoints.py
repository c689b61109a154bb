"""Checkpoints: whole or not there, and of no other training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from carpet_data.errors import DataError
from carpet_data.networks import checkpoints
from carpet_data.networks.checkpoints import Checkpoint, Keeper

SETTINGS = {"epochs": 3, "architecture": "resnet18"}
IDENTITY = {"settings": SETTINGS, "classes": ["good", "löch"]}


def made(value: float = 1.0) -> Checkpoint:
    return Checkpoint({"weights.w": torch.full((2, 3), value)}, {"history": [], "note": "ü"})


def test_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "c.safetensors"
    checkpoints.write(path, made(), IDENTITY)
    found = checkpoints.read(path, IDENTITY)
    assert torch.equal(found.tensors["weights.w"], torch.ones(2, 3))
    assert found.facts == {"history": [], "note": "ü"}
    assert [each.name for each in path.parent.iterdir()] == ["c.safetensors"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"settings": {"epochs": 4, "architecture": "resnet18"}}, "its epochs is 3, now asked for 4"),
        ({"settings": {"epochs": 3, "architecture": "resnet50"}}, "its architecture is 'resnet18', now asked"),
        ({"classes": ["good"]}, "its classes is"),
        ({"settings": {"epochs": 3}}, "its architecture is 'resnet18', now it is not asked for"),
        ({"settings": {**SETTINGS, "steps": None}}, "it has no steps, now asked for None"),
        ({"settings": {**SETTINGS, "steps": 2}}, "it has no steps, now asked for 2"),
        ({"weights": None}, "it has no weights, now asked for None"),
    ],
)
def test_another_training_is_refused_and_the_difference_named(
    changes: dict[str, object], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "c.safetensors"
    checkpoints.write(path, made(), IDENTITY)
    with pytest.raises(DataError) as refused:
        checkpoints.read(path, {**IDENTITY, **changes})
    assert words in str(refused.value)
    assert "--overwrite" in str(refused.value)


def test_a_setting_that_only_the_checkpoint_has_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    checkpoints.write(path, made(), {**IDENTITY, "settings": {**SETTINGS, "views": None}, "lmr": None})
    with pytest.raises(DataError, match="its views is None, now it is not asked for"):
        checkpoints.read(path, {**IDENTITY, "lmr": None})
    with pytest.raises(DataError, match="its lmr is None, now it is not asked for"):
        checkpoints.read(path, {**IDENTITY, "settings": {**SETTINGS, "views": None}})


@pytest.mark.parametrize("content", [b"", b"no safetensors", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_damaged_checkpoint_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read") as refused:
        checkpoints.read(path, IDENTITY)
    assert refused.value.where == str(path)


def test_a_keeper_writes_at_intervals_and_when_told(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    keeper = Keeper(path, IDENTITY, every_s=3600)
    keeper.keep(lambda: made(1))
    keeper.keep(lambda: made(2))
    assert not path.exists()
    keeper.flush()
    assert checkpoints.read(path, IDENTITY).tensors["weights.w"][0, 0] == 2
    assert Keeper(path, IDENTITY).found(resume=False) is None
    assert Keeper(None, IDENTITY).found(resume=True) is None


def test_the_state_of_an_optimiser_comes_back() -> None:
    def optimizer(weight: torch.nn.Parameter) -> torch.optim.Adam:
        return torch.optim.Adam([weight], lr=0.1)

    one, other = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    first, second = optimizer(one), optimizer(other)
    one.grad = torch.tensor([1.0, -2.0, 3.0])
    first.step()
    with torch.no_grad():
        other.copy_(one)
    checkpoints.restore_optimizer(second, checkpoints.optimizer_tensors(first))
    for weight, each in ((one, first), (other, second)):
        weight.grad = torch.tensor([0.5, 0.5, 0.5])
        each.step()
    assert torch.equal(one, other)
