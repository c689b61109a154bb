"""What cannot work is refused before torch, OpenCV or FiftyOne are loaded, which takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.carpets import prepared_carpet

CODE = """
import json, sys
from carpet_data.cli.app import main
for arguments in json.loads(sys.argv[1]):
    try:
        main(arguments)
    except SystemExit as stop:
        loaded = sorted(set(json.loads(sys.argv[2])) & set(sys.modules))
        print(json.dumps([arguments[0], stop.code, loaded]), flush=True)
"""
NOTHING = "nowhere/at/all"
WRONG_PATHS: list[list[str]] = [
    *([name, NOTHING] for name in ("train", "validate", "score", "browse", "report", "curate", "doctor", "stats")),
    *([name, NOTHING] for name in ("prepare", "preview", "groups", "to-coco", "to-yolo", "check")),
    ["fit", NOTHING, "--recipe", "gan"],
    ["sweep", NOTHING, "--table", "homework"],
    ["synthesize", NOTHING, "--class", "hole", "--n", "2"],
    ["rebalance", NOTHING, "--to", "max"],
    ["split", NOTHING, "--name", "x"],
    ["drop", NOTHING, "--where", "class=hole"],
    ["export", NOTHING, "--to", "coco"],
    ["browse", "--coco", "nowhere.json"],
]
HERE = "."
WRONG_VALUES: list[list[str]] = [
    ["train", HERE, "--epochs", "0"],
    ["train", HERE, "--split", "other"],
    ["train", HERE, "--device", "quantum"],
    ["train", HERE, "--augment", "nonsense"],
    ["validate", HERE, "--split", "other"],
    ["validate", HERE, "--seeds", "0"],
    ["validate", HERE, "--device", "quantum"],
    ["fit", HERE, "--recipe", "nonsense"],
    ["fit", HERE, "--recipe", "gan", "--split", "other"],
    ["fit", HERE, "--recipe", "gan", "--device", "quantum"],
    ["sweep", HERE, "--table", "nonsense"],
    ["sweep", HERE, "--table", "homework", "--split", "other"],
    ["score", HERE, "--split", "other"],
    ["synthesize", HERE, "--class", "nonsense", "--n", "2"],
    ["synthesize", HERE, "--class", "hole", "--n", "0"],
    ["synthesize", HERE, "--class", "hole", "--n", "2", "--recipe", "nonsense"],
    ["rebalance", HERE, "--to", "nonsense"],
    ["browse", HERE, "--split", "other"],
    ["browse", HERE, "--port", "0"],
    ["report", HERE, "-o", "page.txt"],
]


def _called(calls: list[list[str]], heavy: list[str], folder: Path) -> list[tuple[str, int, list[str]]]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(calls), json.dumps(heavy)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(rows) == len(calls), done.stderr
    return [tuple(row) for row in rows]


def test_wrong_paths(tmp_path: Path) -> None:
    heavy = ["torch", "cv2", "fiftyone", "numpy"]
    assert _called(WRONG_PATHS, heavy, tmp_path) == [(call[0], 1, []) for call in WRONG_PATHS]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared_carpet(tmp_path_factory.mktemp("carpet"), to=None)


def test_wrong_values(prepared: Path) -> None:
    called = _called(WRONG_VALUES, ["torch", "fiftyone"], prepared)
    assert called == [(call[0], 2, []) for call in WRONG_VALUES]
