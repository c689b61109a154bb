"""A method that another package brings is used by its name alone, and keeps the contract."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import plugin, synthesis

from carpet_data.weave.sample import sample


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return plugin.install(tmp_path_factory.mktemp("plugin"))


def test_it_keeps_the_contract(environment: dict[str, str]) -> None:
    code = "from carpet_data.testing import check_method; check_method('carpet_data_plugin.dent:Dent')"
    plugin.run(environment, "-c", code)


def test_a_recipe_names_it_and_synthesize_uses_it(environment: dict[str, str], tmp_path: Path) -> None:
    sample(tmp_path / "carpet", size=128, seed=1, workers=1)
    recipe = synthesis.recipe(tmp_path / "recipes", "dent", "parameters: {depth: 0.8}\n")
    command = ("-m", "carpet_data")
    plugin.run(environment, *command, "prepare", tmp_path / "carpet", "-o", tmp_path / "ready", "--workers", 1)
    printed = plugin.run(
        environment,
        *command,
        "synthesize",
        tmp_path / "ready",
        "--class",
        "hole",
        "--n",
        3,
        "--recipe",
        recipe,
        "--json",
    )
    result = json.loads(printed)
    assert (result["method"], result["classes"]["hole"]["made"]) == ("dent", 3)
    listed = sorted((tmp_path / "ready" / "images" / "hole").glob("hole_dent_*.png"))
    assert len(listed) == 3
    plugin.run(environment, *command, "recipes", "check", recipe)
