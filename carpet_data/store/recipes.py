"""The recipes that synthetic samples of a prepared folder were made by, each once, named by its hash."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from carpet_data.errors import DataError
from carpet_data.store.files import write_bytes
from carpet_data.store.json_files import read_json
from carpet_data.store.names import RECIPES

_HASH = re.compile(r"[0-9a-f]{8,64}")


def save(root: Path, recipe_hash: str, document: Mapping[str, Any]) -> Path:
    """Keep a recipe under its hash; one that exists already stays.

    Raises:
        DataError: Another recipe has this hash.
        ValueError: The hash is not a hex digest.
    """
    path = _path(root, recipe_hash)
    text = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"
    if path.exists():
        if load(root, recipe_hash) != json.loads(text):
            raise DataError(
                "another recipe is kept under this hash", where=path, hint="prepare the data set again from its source"
            )
        return path
    write_bytes(path, text.encode(), durable=True)
    return path


def load(root: Path, recipe_hash: str) -> dict[str, Any]:
    """Read a recipe.

    Raises:
        DataError: It is missing or damaged.
        ValueError: The hash is not a hex digest.
    """
    return read_json(_path(root, recipe_hash), hint="restore the file", what="the recipe")


def _path(root: Path, recipe_hash: str) -> Path:
    if not _HASH.fullmatch(recipe_hash):
        raise ValueError(f"{recipe_hash!r} is not a hex digest")
    return root / RECIPES / f"{recipe_hash}.json"
