"""The table of one set of benchmarks/anomaly.py, from the scores that it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def table(values: Mapping[str, Any]) -> str:
    """The Markdown of one set."""
    rows = values["models"]
    lines = [
        f"### {values['title']}",
        "",
        "| model | good images | size | image AUROC | published | pixel AUROC | published | pixel AP | published | PRO "
        "| false alarms at full recall | good / defects beyond the threshold | fit, CPU s | CPU ms per image |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        image, pixel, ap = (_figure(each) for each in row["published"])
        name = row["model"] if row["steps"] is None else f"{row['model']}, {row['steps']} steps"
        lines.append(
            f"| {name} | {row['good']} | {row['size']} | {_figure(row['image_auroc'])} | {image} "
            f"| {_figure(row['pixel_auroc'])} | {pixel} | {_figure(row['pixel_ap'])} | {ap} | {_figure(row['pro'])} "
            f"| {_figure(row['false_alarms_at_full_recall'])} "
            f"| {row['good_beyond_threshold']:.2f} / {row['defects_beyond_threshold']:.2f} "
            f"| {_whole(row['fit_cpu_s'])} | {_whole(row['cpu_ms_per_image'])} |"
        )
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"
