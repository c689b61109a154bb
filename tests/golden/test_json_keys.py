"""What the commands print under --json must keep its keys and its types.

Write the table anew with: python tests/golden/freeze.py json_keys
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from helpers import frozen

NAME = "json_keys"
# One process makes them all: later commands work on what earlier ones made.
pytestmark = pytest.mark.xdist_group("json_keys")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return frozen.json_keys(tmp_path_factory.mktemp("json"))


@pytest.mark.parametrize("command", frozen.table(NAME))
def test_the_keys_stay(command: str, found: dict[str, Any]) -> None:
    assert found[command] == frozen.table(NAME)[command], f"regenerate with {frozen.REGENERATE} {NAME}"


def test_no_command_is_missing_from_the_golden(found: dict[str, Any]) -> None:
    assert list(found) == list(frozen.table(NAME))
    shown = frozen.done("--help").partition("Commands:")[2]
    listed = set(re.findall(r"^  (\S+)  ", shown, re.MULTILINE))
    assert len(listed) > 20
    assert listed == {name.split()[0] for name in found if not name.startswith("error ")}
