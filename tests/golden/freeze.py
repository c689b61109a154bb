"""Write the goldens of the frozen behavior anew: python tests/golden/freeze.py [TABLE …]. Look at the diff after it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import frozen  # noqa: E402


def method_pixels(folder: Path) -> Any:
    carpets = frozen.Carpets(folder)
    return {case: frozen.method_pixels(carpets, case) for case in frozen.CASES}


TABLES: dict[str, Callable[[Path], Any]] = {"method_pixels": method_pixels}


if __name__ == "__main__":
    for name in sys.argv[1:] or TABLES:
        with tempfile.TemporaryDirectory() as scratch:
            frozen.save(name, TABLES[name](Path(scratch)))
        print(f"written: tests/golden/{name}.json")
