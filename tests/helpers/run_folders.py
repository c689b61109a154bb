"""Run folders as train and validate leave them, written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from carpet_data.store import runs
from carpet_data.store.runs import RunInfo


def write_run(
    root: Path,
    lines: Iterable[Mapping[str, Any]],
    *,
    name: str = "validate-001",
    command: str = "validate",
    finished: bool = True,
    heatmaps: Iterable[str] = (),
) -> Path:
    """A run of a data set with these predictions, and a heat map for each of these file stems."""
    folder = root / "runs" / name
    folder.mkdir(parents=True, exist_ok=True)
    run = RunInfo(
        folder=folder,
        command=command,
        dataset={},
        settings={},
        versions={},
        finished=finished,
        seconds=0.0,
        started="2025-01-01T00:00:00+00:00",
    )
    runs.write_json(folder / runs.RUN_JSON, run.to_json())
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "predictions.jsonl").write_text(text, encoding="utf-8")
    for stem in heatmaps:
        (folder / "heatmaps").mkdir(exist_ok=True)
        values = np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8)
        assert cv2.imwrite(str(folder / "heatmaps" / f"{stem}.png"), values)
    return folder


def line(
    sample_id: str,
    truth: str,
    probabilities: Mapping[str, float],
    *,
    condition: str = "real+synthetic",
    seed: int = 0,
    side: str = "test",
    loss: float = 1.0,
) -> dict[str, Any]:
    """One prediction, the classes named in the order of `probabilities`."""
    return {
        "id": sample_id,
        "condition": condition,
        "partition": "main",
        "seed": seed,
        "side": side,
        "truth": truth,
        "predicted": max(probabilities, key=lambda name: probabilities[name]),
        "probabilities": list(probabilities.values()),
        "loss": loss,
    }
