"""The third-party package in tests/plugin, installed into a folder of its own.

It is laid out as pip lays out a package, so that no build tool and no network are needed: the files, and beside them
the folder in which Python looks for its entry points.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "plugin"
NAME = "carpet_data_plugin"


def install(folder: Path) -> dict[str, str]:
    """Install it into a folder; returns the environment in which Python finds it there."""
    shutil.copytree(SOURCE / NAME, folder / NAME)
    about = folder / f"{NAME}-0.1.0.dist-info"
    about.mkdir()
    project = (SOURCE / "pyproject.toml").read_text(encoding="utf-8")
    groups = re.findall(r'^\[project\.entry-points\."(.+)"\]\n((?:\w.*\n)+)', project, re.MULTILINE)
    points = "\n".join(f"[{group}]\n{lines.replace(chr(34), '')}" for group, lines in groups)
    (about / "entry_points.txt").write_text(points, encoding="utf-8")
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: carpet-data-plugin\nVersion: 0.1.0\n", encoding="utf-8"
    )
    paths = (str(folder), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def run(environment: dict[str, str], *arguments: object) -> str:
    """What `python ARGUMENTS` prints in that environment; it must succeed."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
