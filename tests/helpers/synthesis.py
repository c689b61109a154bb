"""Small prepared data sets and recipes for tests of synthesis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from carpet_data.learned.fit import fit
from carpet_data.preparation.options import GroupOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.synthesis.engine.model_store import Fitted
from carpet_data.synthesis.recipe import registry
from carpet_data.synthesis.recipe.model import Recipe
from helpers.sources import write_source

LENIENT = "gates: {visible: 0, area_slack: 100, border: allow, outside_frac: 1}\n"
METHODS = {
    "disc": "helpers.disc_method:Disc",
    "donor-disc": "helpers.disc_method:DonorDisc",
    "whole-disc": "helpers.disc_method:WholeDisc",
    "texture-disc": "helpers.disc_method:TextureDisc",
    "mean": "helpers.mean_learner:Mean",
}


def register() -> None:
    """Make the methods of `disc_method` known to this process."""
    for name, target in METHODS.items():
        registry.METHODS.builtin[name] = (target, "of the tests")


def recipe(folder: Path, method: str = "donor-disc", more: str = LENIENT) -> Path:
    """Write a recipe file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{method}.yaml"
    path.write_text(f"schema: 1\nmethod: {method}\nversion: 1\n{more}", encoding="utf-8")
    return path


def fitted(root: Path, recipe: Path | Recipe, **options: Any) -> Fitted:
    """The model of a learned recipe, trained on the CPU."""
    model = fit(root, recipe, **{"device": "cpu", **options}).fitted
    assert model is not None
    return model


def dataset(root: Path, counts: dict[str, int] | None = None, *, size: int = 40) -> Path:
    """A prepared data set of noise images; its raw one lies beside it as `source`."""
    write_source(root.parent / "source", counts, size=size)
    prepare(root.parent / "source", root, group_options=GroupOptions(near_duplicates=False), workers=1)
    return root
