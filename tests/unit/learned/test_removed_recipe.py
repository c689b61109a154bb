"""A prepared folder whose samples came from a recipe that is gone (joint-ddpm) still opens, exports and reports."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import synthesis

import carpet_data
from carpet_data import store
from carpet_data.errors import UsageError
from carpet_data.synthesis.engine import model_store
from carpet_data.synthesis.engine.synthesize import synthesize
from carpet_data.synthesis.recipe import files, registry


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two images by a learned recipe, which then gets the name of the one that was removed."""
    monkeypatch.setattr(registry.METHODS, "builtin", dict(registry.METHODS.builtin))
    synthesis.register()
    root = synthesis.dataset(tmp_path / "set")
    recipe = files.load(synthesis.recipe(tmp_path, "mean"))
    fitted = synthesis.fitted(root, recipe)
    synthesize(root, ["hole"], 2, recipe=recipe, workers=1, device="cpu")
    fitted.folder.rename(root / "models" / fitted.folder.name.replace("mean", "joint-ddpm"))
    for path in (root / "manifest.jsonl", *root.glob("recipes/*.json"), *root.glob("models/*/card.json")):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace('"mean', '"joint-ddpm').replace("_mean_", "_joint-ddpm_"), encoding="utf-8")
    for path in [*root.rglob("*_mean_*"), root / "splits/main.jsonl"]:
        if "_mean_" in path.name:
            path.rename(path.with_name(path.name.replace("_mean_", "_joint-ddpm_")))
        else:
            path.write_text(path.read_text(encoding="utf-8").replace("_mean_", "_joint-ddpm_"), encoding="utf-8")
    return root


def test_it_opens_exports_and_reports(root: Path, tmp_path: Path) -> None:
    made = [sample for sample in store.read(root) if sample.origin == "synthetic"]
    assert [str((sample.provenance or {})["method"]) for sample in made] == ["joint-ddpm"] * 2
    assert list(store.verify(root)) == []
    assert [model.method for model in model_store.listing(root)] == ["joint-ddpm"]
    carpet_data.to_coco(root, tmp_path / "coco", workers=1)
    exported = {path.stem for path in (tmp_path / "coco").rglob("*.png")}
    assert {sample.id for sample in made} <= exported
    carpet_data.stats(root)
    carpet_data.report(root, tmp_path / "report.html")
    assert "joint-ddpm" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_recipe_itself_is_unknown() -> None:
    with pytest.raises(UsageError, match="joint-ddpm"):
        files.load("joint-ddpm")
