"""Frozen behavior: what the goldens record, found through the command line and the package root alone.

No inner module of the package is named here, so the goldens hold through any move of modules.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import runpy
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

import carpet_data

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
REGENERATE = "python tests/golden/freeze.py"
ONE = ("--workers", 1)

# --- calling the command line


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


def call(*arguments: object) -> Said:
    """`python -m carpet_data ARGUMENTS`, inside this process."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["carpet-data", *(str(argument) for argument in arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            runpy.run_module("carpet_data", run_name="__main__")
        code: object = 0
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.argv = before
    assert code is None or isinstance(code, int), code
    return Said(code or 0, out.getvalue(), err.getvalue())


def done(*arguments: object) -> str:
    """What a command prints that must succeed."""
    said = call(*arguments)
    assert said.code == 0, f"carpet-data {' '.join(map(str, arguments))}: {said.code}\n{said.out}\n{said.err}"
    return said.out


def table(name: str) -> Any:
    """A golden table."""
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


def save(name: str, values: Any) -> None:
    """Write a golden table anew."""
    (GOLDEN / f"{name}.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


# --- the data


def small_carpet(folder: Path, *, size: int = 128, good: int = 8) -> Path:
    """A raw sample data set with four images of each defect; returns its folder."""
    counts = [f"good={good}", f"test-good={good and 4}"]
    counts += [f"{name}=4" for name in ("color", "cut", "hole", "metal_contamination", "thread")]
    options = [part for count in counts for part in ("--count", count)]
    done("sample", folder / "carpet", "--size", size, *options, "--seed", 0, *ONE)
    return folder / "carpet"


def prepared(raw: Path, to: Path) -> Path:
    """The same prepared, half of it on the train side."""
    done("prepare", raw, "-o", to, "--fractions", 0.5, 0.5, "--seed", 0, *ONE)
    return to


# --- pixels of the methods

PLAIN = (
    "augment",
    "augment-object",
    "donor-paste",
    "nsa",
    "perlin",
    "procedural",
    "procedural-abrasion",
    "procedural-crack",
    "resynthesis",
)
"""The shipped recipes that need no fit."""
WITHOUT_GOOD = ("donor-paste", "procedural", "resynthesis")
"""Those that are frozen on a set without good images too, where hosts are plates made of defect images."""
CASES = (*PLAIN, *(f"{name} without good images" for name in WITHOUT_GOOD))
SYNTHESIZED = ("hole", "color", "metal_contamination")
CRACKED = ("hole", "metal_contamination")
"""Classes of which procedural-crack makes images on so small a carpet; of others the area gate refuses all."""
EACH = 2


def sha256(array: Any) -> str:
    """Of the shape, the kind of numbers and the values of decoded pixels."""
    digest = hashlib.sha256(f"{array.shape} {array.dtype}".encode())
    digest.update(array.tobytes())
    return digest.hexdigest()


def pixels_of(root: Path, name: str | None) -> str | None:
    """The digest of a decoded file; None without one."""
    if name is None:
        return None
    array = cv2.imread(str(root / name), cv2.IMREAD_UNCHANGED)
    assert array is not None, name
    return sha256(array)


class Carpets:
    """The prepared folders that recipes work on, each made once; recipes get copies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: dict[int, Path] = {}

    def copy(self, case: str) -> Path:
        """A prepared folder for one case alone."""
        good = 0 if case.endswith("without good images") else 8
        if good not in self.made:
            place = self.folder / f"good-{good}"
            self.made[good] = prepared(small_carpet(place, size=192, good=good), place / "prepared")
        return Path(shutil.copytree(self.made[good], self.folder / case))


def method_pixels(carpets: Carpets, case: str) -> dict[str, Any]:
    """What a recipe makes: its method and version, and of each sample id, class and the digests of its pixels."""
    recipe = case.split()[0]
    shown = json.loads(done("recipes", "show", recipe, "--json"))["recipes"][0]["recipe"]
    root = carpets.copy(case)
    names = CRACKED if recipe == "procedural-crack" else SYNTHESIZED
    classes = [part for name in names for part in ("--class", name)]
    done("synthesize", root, *classes, "--n", EACH, "--recipe", recipe, "--seed", 5, *ONE)
    made = sorted((s for s in carpet_data.read(root) if s.origin == "synthetic"), key=lambda s: s.id)
    return {
        "method": shown["method"],
        "version": shown["version"],
        "samples": [
            {"id": s.id, "class": s.class_name, "image": pixels_of(root, s.image), "mask": pixels_of(root, s.mask)}
            for s in made
        ],
    }


# --- keys of the JSON output

# Maps whose keys are data (classes, sides, ids, recipes): the structure of their first value stands for all.
DATA_MAPS = frozenset(())


def structure(value: Any, *, data: bool = False) -> Any:
    """The keys of nested values; leaves become the names of their types, lists the structure of their first element."""
    if isinstance(value, dict):
        if data:
            return {"*": structure(next(iter(value.values())))} if value else {}
        return {key: structure(inner, data=key in DATA_MAPS) for key, inner in value.items()}
    if isinstance(value, list):
        return [structure(value[0])] if value else []
    return type(value).__name__
