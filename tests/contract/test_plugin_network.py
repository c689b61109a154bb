"""A network that another package brings is trained by its name alone."""

from __future__ import annotations

import json
from pathlib import Path

from helpers import plugin

from carpet_data.preparation.prepare import prepare
from carpet_data.weave.sample import sample


def test_train_builds_it_by_name(tmp_path: Path) -> None:
    environment = plugin.install(tmp_path)
    sample(tmp_path / "carpet", size=64, seed=1, workers=1)
    prepare(tmp_path / "carpet", tmp_path / "ready", workers=1)
    options = ("--arch", "patchnet", "--weights", "none", "--freeze", "none", "--epochs", 1, "--resize", 32)
    printed = plugin.run(environment, "-m", "carpet_data", "train", tmp_path / "ready", *options, "--json")
    result = json.loads(printed)
    assert (result["architecture"], result["weights"]) == ("patchnet", "none")
    assert json.loads((Path(result["model"]) / "model.json").read_text())["architecture"] == "patchnet"
