"""`tile` and `untile`, killed for real: nothing half-done is left in place, and the same command completes them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.sources import hashes, write_source

import carpet_data as cd
from carpet_data.store.creating import scratch_of

_SUPPORT = str(Path(__file__).parents[1])
_CUT = {"size": 24, "overlap": 8, "near_duplicates": False, "protocol": "source"}

_KILLED = """
import json, sys
support, verb, source, out, options, target, when, number = sys.argv[1:]
sys.path.insert(0, support)
from helpers import killing
killing.arm(target, when, int(number))
from carpet_data.store import creating
creating._CHUNK = 4
import carpet_data as cd
getattr(cd, verb)(source, out, workers=1, **json.loads(options))
"""


def _killed(
    verb: str, source: Path, out: Path, options: dict[str, object], target: str, when: str, number: int
) -> None:
    arguments = [_SUPPORT, verb, str(source), str(out), json.dumps(options), target, when, str(number)]
    done = subprocess.run([sys.executable, "-c", _KILLED, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("killed") / "source", {"train/good": 3, "test/hole": 3})


@pytest.fixture(scope="module")
def whole(source: Path) -> Path:
    return cd.tile(source, source.parent / "whole", workers=1, **_CUT).out


@pytest.mark.parametrize(
    ("target", "when", "number"),
    [
        ("carpet_data.tiling.cut:write_bytes", "before", 3),
        ("carpet_data.store.journal:Journal.commit", "after", 2),
        ("carpet_data.store.manifest:write", "before", 1),
        ("carpet_data.tiling.document:write", "after", 1),
        ("carpet_data.store.description:write", "after", 1),
    ],
)
def test_tile_completes(source: Path, whole: Path, tmp_path: Path, target: str, when: str, number: int) -> None:
    out = tmp_path / "out"
    _killed("tile", source, out, _CUT, target, when, number)
    assert not out.exists()
    assert scratch_of(out).is_dir()
    done = cd.tile(source, out, workers=1, **_CUT)
    assert hashes(out) == hashes(whole)
    assert not scratch_of(out).exists()
    assert done.resumed % 4 == 0
    assert (done.resumed > 0) == (target != "carpet_data.tiling.cut:write_bytes")


def test_another_size_is_refused_until_it_is_completed(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _killed("tile", source, out, _CUT, "carpet_data.store.journal:Journal.commit", "after", 1)
    with pytest.raises(cd.OutputError, match="another command was interrupted here: tile"):
        cd.tile(source, out, workers=1, **{**_CUT, "size": 16})
    assert cd.tile(source, out, workers=1, overwrite=True, **{**_CUT, "size": 16}).resumed == 0


def test_untile_completes(whole: Path, tmp_path: Path) -> None:
    cd.untile(whole, tmp_path / "at once", workers=1)
    _killed("untile", whole, tmp_path / "out", {}, "carpet_data.store.journal:Journal.commit", "after", 1)
    assert not (tmp_path / "out").exists()
    assert cd.untile(whole, tmp_path / "out", workers=1).resumed == 4
    assert hashes(tmp_path / "out") == hashes(tmp_path / "at once")
