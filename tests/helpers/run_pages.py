"""A prepared data set with synthetic images, runs and a score, as the report finds it."""

from __future__ import annotations

from pathlib import Path

from carpet_data import read
from carpet_data.reporting import validation
from carpet_data.store import runs
from carpet_data.store.runs import Prediction
from carpet_data.synthesis.engine.synthesize import synthesize
from helpers.synthesis import dataset, recipe, register
from helpers.validation_pages import history, page


def prepared(root: Path) -> Path:
    """A data set of noise with two synthetic holes."""
    register()
    dataset(root)
    made = recipe(root.parent / "recipes")
    synthesize(root, ["hole"], 2, recipe=str(made), workers=1)
    return root


def add_validation(root: Path) -> Path:
    """A finished validation."""
    found = read(root)
    values = {"root": str(root), "name": found.name, "fingerprint": found.fingerprint("main"), "split": "main"}
    run, _ = runs.create(root, "validate", dataset=values, settings={"resize": 128})
    validation.write(run.folder, page(found.classes))
    runs.finish(run, 400.0)
    return run.folder


def add_training(root: Path) -> Path:
    """A finished training that takes every real test image for `good`, and an interrupted one after it."""
    found = read(root)
    values = {"root": str(root), "name": found.name, "fingerprint": found.fingerprint("main"), "split": "main"}
    run, _ = runs.create(root, "train", dataset=values, settings={"resize": 64}, facts={"classes": list(found.classes)})
    runs.write_history(run.folder, history())
    rows = (
        Prediction(each.id, "train", "main", 0, "test", each.class_name, "good", (1.0, 0.0, 0.0), 0.5)
        for each in found.on_side("test", "main")
    )
    runs.write_predictions(run.folder, rows)
    runs.finish(run, 30.0)
    runs.create(root, "train", dataset=values, settings={"resize": 96})
    return run.folder
