"""A score file, as `carpet-data score --json` prints it, for the page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from carpet_data.errors import DataError
from carpet_data.reporting.dataset_page import ScoreRow, ScoreTable

__all__ = ["load"]

# column -> (key, key of the same among the real defects)
_FIGURES = {
    "Diversity": ("diversity", "real_diversity"),
    "Nearest real": ("nearest_real", "real_nearest_real"),
    "Texture": ("frechet_texture", "real_frechet_texture"),
    "Area, decades": ("area_emd", ""),
}


def load(path: Path) -> ScoreTable:
    """Read a score file.

    Raises:
        DataError: It is missing, or no output of `carpet-data score --json`.
    """
    hint = f"make it again: carpet-data score DATASET --json > {path.name}"
    try:
        values = json.loads(path.read_bytes())
        groups = values["groups"]
        rows = tuple(_row(group, bool(values["backbone"])) for group in groups)
        network = values["backbone"]
        columns = (*_FIGURES, *(("Network",) if network else ()))
        return ScoreTable(columns, rows, str(values["against"]), None if network is None else str(network))
    except FileNotFoundError as error:
        raise DataError("there is no such score file", where=path, hint=hint) from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"this is no score file ({error})", where=path, hint=hint) from error


def _row(group: Mapping[str, Any], network: bool) -> ScoreRow:
    figures = [(_text(group[key]), _text(group[real]) if real else "") for key, real in _FIGURES.values()]
    if network:
        figures.append((_text(group["feature_distance"], 4), ""))
    accepted = f"{float(group['acceptance']['share']):.0%}"
    return ScoreRow(str(group["class"]), str(group["recipe"]), int(group["images"]), accepted, tuple(figures))


def _text(value: float | None, digits: int = 2) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"
