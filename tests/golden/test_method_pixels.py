"""Every shipped recipe that needs no fit must keep making the same pixels, until its method's version rises.

Write the table anew with: python tests/golden/freeze.py method_pixels
"""

from __future__ import annotations

import json

import pytest
from helpers import frozen

NAME = "method_pixels"
REGENERATE = f"{frozen.REGENERATE} {NAME}"
# One process makes the data that they share.
pytestmark = pytest.mark.xdist_group("method_pixels")


@pytest.fixture(scope="session")
def carpets(tmp_path_factory: pytest.TempPathFactory) -> frozen.Carpets:
    return frozen.Carpets(tmp_path_factory.mktemp("pixels"))


@pytest.mark.parametrize("case", frozen.CASES)
def test_the_pixels_stay(case: str, carpets: frozen.Carpets) -> None:
    expected = frozen.table(NAME)[case]
    found = frozen.method_pixels(carpets, case)
    method = found["method"]
    assert method == expected["method"], f"{case} has another method; regenerate with {REGENERATE}"
    if found["version"] != expected["version"]:
        pytest.fail(f"the version of {method} changed, not its golden: regenerate with {REGENERATE}")
    ids = [[sample["id"] for sample in made["samples"]] for made in (found, expected)]
    assert ids[0] == ids[1], (
        f"other images of {case} than before: the hash of the recipe, the batch or the draws changed"
    )
    changed = [
        f"{now['id']} ({part})"
        for now, before in zip(found["samples"], expected["samples"], strict=True)
        for part in ("class", "image", "mask")
        if now[part] != before[part]
    ]
    if changed:
        pytest.fail(f"pixels of {method} changed: raise its version and regenerate with {REGENERATE}\n{changed}")


def test_the_golden_covers_every_recipe_that_needs_no_fit() -> None:
    listed = json.loads(frozen.done("recipes", "list", "--json"))["recipes"]
    plain = [recipe["name"] for recipe in listed if not recipe["learned"]]
    assert sorted(plain) == sorted(frozen.PLAIN)
    assert sorted(frozen.table(NAME)) == sorted(frozen.CASES)
