"""The pretrained pipeline of a fit: where it is, and whether it is still the same."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carpet_data.errors import WeightsError
from carpet_data.store import files

__all__ = ["DESCRIPTION", "Base", "find"]

DESCRIPTION = "pipeline.json"
"""The record of the pipeline that a fit writes."""
_INDEX = "model_index.json"
_ON_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_WEIGHTS = re.compile(r"[^.]+(?:\.(?P<variant>[^.-]+))?(?:-\d+-of-\d+)?\.safetensors")
_SETTINGS = (".json", ".txt", ".model")
_UNUSED = ("safety_checker", "feature_extractor")
"""Safety checks for photos of people; they would blacken textures that they mistake for skin."""
_LIBRARIES = ("diffusers", "transformers", "stable_diffusion")


@dataclass(frozen=True, slots=True)
class Base:
    """A pretrained pipeline on this machine.

    Attributes:
        name: As in the recipe.
        revision: Commit on the hub; None for a folder.
        kind: Class of the pipeline.
        sha256: Hash of its settings and the weights of the variant.
    """

    name: str
    folder: Path
    revision: str | None
    variant: str | None
    kind: str
    sha256: str

    @property
    def unused(self) -> tuple[str, ...]:
        """Parts that are not loaded."""
        return tuple(name for name in _UNUSED if name in _index(self.folder))


def find(name: str, *, revision: str | None = None, variant: str | None = None) -> Base:
    """Find a pipeline: a folder that `save_pretrained` wrote, else "owner/name" on the hub, downloaded only once.

    `revision` is a branch, tag or commit on the hub; `variant` that of the weight files.

    Raises:
        WeightsError: The pipeline is not found, the hub cannot be reached, or its weights are not safetensors.
    """
    folder = Path(name).expanduser()
    commit = None
    if not folder.exists():
        if not _ON_HUB.fullmatch(name):
            raise WeightsError(
                "no such folder",
                where=name,
                hint="give the folder of a pipeline as fit.pipeline in the recipe",
            )
        folder = _fetched(name, revision, variant)
        commit = folder.name
    index = _index(folder)
    _check_parts(folder, index)
    return Base(
        name, folder.resolve(), commit, variant, str(index["_class_name"]), _fingerprint(folder, index, variant)
    )


def _fetched(name: str, revision: str | None, variant: str | None) -> Path:
    from diffusers import DiffusionPipeline

    unused = dict.fromkeys(_UNUSED)
    try:
        return Path(
            DiffusionPipeline.download(name, revision=revision, variant=variant, use_safetensors=True, **unused)
        )
    except (
        Exception
    ) as error:  # offline, unknown name, license not accepted: each library of the hub has its own errors
        raise WeightsError(
            f"no folder has this name, and no pipeline on the hub is available under it ({_first_line(error)})",
            where=name,
            hint="copy the pipeline to this machine and give its folder as fit.pipeline in the recipe; on the hub, "
            "check the name, the revision, and that you accepted its license",
        ) from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _index(folder: Path) -> dict[str, Any]:
    path = folder / _INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(index, dict) or not isinstance(index.get("_class_name"), str):
            raise ValueError("no pipeline class")
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"not a pipeline of diffusers ({_INDEX}: {_first_line(error)})",
            where=folder,
            hint="give a folder that save_pretrained wrote; convert a single file of weights with diffusers first",
        ) from error
    return index


def _parts(index: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and library of each part that is loaded."""
    for name, value in sorted(index.items()):
        is_part = not name.startswith("_") and isinstance(value, list) and len(value) == 2 and value[0] is not None
        if is_part and name not in _UNUSED:
            yield name, str(value[0])


def _check_parts(folder: Path, index: dict[str, Any]) -> None:
    """Code beside the weights is never run."""
    own = [name for name, library in _parts(index) if library not in _LIBRARIES]
    if own:
        raise WeightsError(
            f"the part {own[0]} of the pipeline needs code outside diffusers and transformers",
            where=folder,
            hint="use a pipeline that is part of diffusers",
        )


def _fingerprint(folder: Path, index: dict[str, Any], variant: str | None) -> str:
    """Hex SHA-256 of what is loaded: settings of all parts, weights of the variant (plain ones if it has none)."""
    total = hashlib.sha256()
    weights = 0
    for name, _ in _parts(index):
        found = sorted(path for path in (folder / name).glob("*") if path.is_file())
        matched = [(path, match["variant"]) for path in found if (match := _WEIGHTS.fullmatch(path.name))]
        wanted = [path for path, own in matched if own == variant] or [path for path, own in matched if own is None]
        weights += len(wanted)
        for path in [path for path in found if path.suffix in _SETTINGS] + wanted:
            total.update(f"{name}/{path.name}\0{files.sha256(path)}\n".encode())
    if not weights:
        raise WeightsError(
            "the pipeline has no weights as safetensors",
            where=folder,
            hint="convert it: load it with diffusers and write it with save_pretrained(..., safe_serialization=True)",
        )
    total.update(str(index["_class_name"]).encode())
    return total.hexdigest()
