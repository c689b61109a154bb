"""Write the goldens of the frozen behavior anew: python tests/golden/freeze.py [TABLE …]. Look at the diff after it."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from helpers import frozen  # noqa: E402


def method_pixels(folder: Path) -> Any:
    carpets = frozen.Carpets(folder)
    return {case: frozen.method_pixels(carpets, case) for case in frozen.CASES}


def exports_frozen(folder: Path) -> Any:
    found: dict[str, dict[str, str]] = {}
    for name, root in frozen.sample_sets(folder).items():
        found[name] = {
            kind: frozen.exported(root, folder / f"{name} {kind}", arguments)
            for kind, arguments in frozen.SAMPLE_EXPORTS.items()
        }
    data = Path(os.environ.get("CARPET_DATA_TEST_DATA", ROOT.parent / "shared" / "data"))
    for name in frozen.REAL_SETS:
        found[name] = {}
        for kind, arguments in frozen.EXPORTS.items():
            more = frozen.unmasked(name, kind)
            found[name][kind] = frozen.exported(data / name, folder / f"{Path(name).name} {kind}", arguments, *more)
    return found


TABLES: dict[str, Callable[[Path], Any]] = {
    "method_pixels": method_pixels,
    "json_keys": frozen.json_keys,
    "exports_frozen": exports_frozen,
}


if __name__ == "__main__":
    scratch = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, scratch)  # after the database in it has ended
    for name in sys.argv[1:] or TABLES:
        (scratch / name).mkdir()
        frozen.save(name, TABLES[name](scratch / name))
        print(f"written: tests/golden/{name}.json")
