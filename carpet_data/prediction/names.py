"""The files of a folder of predictions."""

from __future__ import annotations

__all__ = [
    "ERRORS",
    "FOLDERS",
    "HEAT_MAPS",
    "IMAGES",
    "INSTANCES",
    "MASKS",
    "OVERLAYS",
    "PREDICTIONS",
    "RESULTS",
    "RUN",
]

RUN = "predict.json"
"""The model, its classes and the options."""
PREDICTIONS = "predictions.jsonl"
"""One image a line."""
ERRORS = "errors.jsonl"
"""Files that could not be read, one a line."""
INSTANCES = "coco_instances.json"
"""Images, categories and detections as a COCO data set."""
RESULTS = "coco_results.json"
"""Detections as COCO results, for COCO's own evaluation."""
OVERLAYS, HEAT_MAPS, MASKS, IMAGES = "overlays", "heat-maps", "masks", "images"
FOLDERS = (OVERLAYS, HEAT_MAPS, MASKS, IMAGES)
