"""The package as an import: light, typed, and refusing wrong paths with its own errors."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import carpet_data
from carpet_data.errors import CarpetDataError


def test_the_import_is_light() -> None:
    code = (
        "import sys, time\nstart = time.process_time()\nimport carpet_data\ntook = time.process_time() - start\n"
        "print(took)\nassert not {'numpy', 'cv2', 'click', 'yaml', 'PIL'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.1


def test_nothing_needs_posix_to_read_and_export(hostile_shapes: Path, tmp_path: Path) -> None:
    code = """
import importlib, pkgutil, sys
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
import carpet_data as cd
for room in ("core", "formats", "store", "statistics", "preparation", "grouping"):
    package = importlib.import_module(f"carpet_data.{room}")
    for module in pkgutil.walk_packages(package.__path__, f"carpet_data.{room}."):
        importlib.import_module(module.name)
dataset = cd.read(sys.argv[1])
dataset.to_coco(sys.argv[2], workers=1)
assert len(cd.read(sys.argv[2])) == len(dataset)
"""
    out = str(tmp_path / "coco")
    subprocess.run([sys.executable, "-c", code, str(hostile_shapes), out], check=True)


def _takes_a_folder() -> list[str]:
    """The public functions whose first argument is a path."""
    names = []
    for name in carpet_data.__all__:
        value = getattr(carpet_data, name)
        if inspect.isfunction(value):
            first = next(iter(inspect.signature(value).parameters.values()))
            if first.name in ("root", "exported", "folder", "source"):
                names.append(name)
    return names


def test_what_public_functions_take_and_return_is_public() -> None:
    named = re.compile(r"\b[A-Z]\w+(?:Options|Result)\b|\bProgress\b")
    for name in carpet_data.__all__:
        value = getattr(carpet_data, name)
        if inspect.isfunction(value):
            wanted = set(named.findall(str(inspect.signature(value))))
            assert wanted <= set(carpet_data.__all__), f"{name} needs names that are not public"


@pytest.mark.parametrize("name", _takes_a_folder())
def test_a_wrong_path_as_text_is_an_error_of_ours(name: str, tmp_path: Path) -> None:
    function = getattr(carpet_data, name)
    needed = [
        parameter
        for parameter in list(inspect.signature(function).parameters.values())[1:]
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    ]
    # Where a number is wanted, a number; elsewhere text, which is a path or a name.
    values = {each.name: 1 if each.annotation == "int" else str(tmp_path / "other") for each in needed}
    with pytest.raises(CarpetDataError):
        function(str(tmp_path / "nothing"), **values)
