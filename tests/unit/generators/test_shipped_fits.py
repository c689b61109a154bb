"""Each shipped learned recipe, much smaller: fitted, kept, found and opened through the same doors as a user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from carpet_data import layout
from carpet_data.generators import fitting, memorisation, store
from carpet_data.synthesis import recipes, registry

SMALL = {
    "ddpm-inpaint": "crop_px: 32, batch_size: 2, widths: [16, 24]",
    "joint-ddpm": "crop_px: 32, batch_size: 2, widths: [16, 24], patch_width: 16, patch_blocks: 1",
    "gan": "crop_px: 32, batch_size: 2, width: 16, latent: 8",
}


@pytest.mark.parametrize("name", SMALL)
def test_a_small_fit_is_found_and_opened(
    name: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memorisation, "_installed", lambda device: None)
    file = tmp_path / "small.yaml"
    file.write_text(f"extends: {name}\nparameters:\n  fit: {{steps: 3, precision: full, {SMALL[name]}}}\n")
    recipe, dataset = recipes.load(file), layout.read(root)
    fitted = fitting.fit(dataset, "main", recipe, device="cpu")
    assert fitted == store.find(dataset, "main", recipe)
    assert (fitted.method, fitted.steps, fitted.classes) == (name, 3, ("hole", "thread"))
    assert [one["class_name"] for one in fitted.memorisation["classes"]] == ["hole", "thread"]
    assert (fitted.folder / "samples-000003.png").is_file()
    method: Any = registry.load(recipe.target)
    method.open(fitted.weights, "cpu")
