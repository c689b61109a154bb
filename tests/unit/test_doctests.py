"""The examples in the docstrings run, each module's in an empty folder."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import carpet_data
from carpet_data.errors import MissingExtraError

PACKAGE = Path(carpet_data.__file__).parent
# Importing these rooms imports torch.
TORCH = ("networks", "training", "learned", "experiments")


def _modules() -> list[object]:
    """The modules with an example, found by their text: to import all of them would need every extra."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            parts = path.relative_to(PACKAGE).with_suffix("").parts
            name = ".".join(("carpet_data", *parts)).removesuffix(".__init__")
            found.append(pytest.param(name, marks=pytest.mark.torch if parts[0] in TORCH else ()))
    return found


@pytest.mark.parametrize("name", _modules())
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        module = importlib.import_module(name)
    except MissingExtraError as error:
        pytest.skip(str(error))
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
