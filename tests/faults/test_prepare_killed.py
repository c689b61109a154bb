"""`prepare` and appending, killed for real: the same command completes them, another one is refused."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.sources import SMALL, hashes, write_source

from carpet_data import store
from carpet_data.errors import OutputError
from carpet_data.preparation.options import SplitOptions
from carpet_data.preparation.prepare import prepare

_SUPPORT = str(Path(__file__).parents[1])

# Runs `prepare` and kills its own process, as `kill -9` would, at the N-th call of one function: before or after it.
_KILLED = """
import sys
support, root, out, target, when, number, overwrite = sys.argv[1:]
sys.path.insert(0, support)
from helpers import killing
killing.arm(target, when, int(number))
from carpet_data.store import creating as create
create._CHUNK = 4
from carpet_data.preparation.options import SplitOptions
from carpet_data.preparation.prepare import prepare
prepare(root, out, SplitOptions(seed=int(overwrite)), workers=1, overwrite=overwrite == "1")
"""

POINTS = [
    ("carpet_data.store.creating:place", "before", 1),
    ("carpet_data.store.creating:place", "after", 9),
    ("carpet_data.store.files:os.link", "after", 7),
    ("carpet_data.store.journal:Journal.commit", "before", 2),
    ("carpet_data.store.journal:Journal.commit", "after", 3),
    ("carpet_data.store.journal:os.fsync", "before", 2),
    ("carpet_data.store.manifest:write", "before", 1),
    ("carpet_data.store.manifest:write", "after", 1),
    ("carpet_data.store.splits:write", "after", 1),
    ("carpet_data.store.description:write", "after", 1),
    ("carpet_data.store.journal:shutil.rmtree", "before", 1),
    ("carpet_data.store.journal:shutil.rmtree", "after", 1),
]


def killed(source: Path, out: Path, target: str, when: str, number: int, *, overwrite: bool = False) -> None:
    arguments = [str(source), str(out), target, when, str(number), str(int(overwrite))]
    done = subprocess.run([sys.executable, "-c", _KILLED, _SUPPORT, *arguments], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("killed") / "source")


@pytest.fixture(scope="module")
def whole(source: Path) -> dict[str, str]:
    out = source.parent / "whole"
    prepare(source, out, workers=1)
    return hashes(out)


@pytest.mark.parametrize(("target", "when", "number"), POINTS)
def test_the_same_command_completes_it(
    source: Path, whole: dict[str, str], tmp_path: Path, target: str, when: str, number: int
) -> None:
    out = tmp_path / "out"
    killed(source, out, target, when, number)
    assert not out.exists()
    prepare(source, out, workers=1)
    assert hashes(out) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert list(store.verify(out)) == []


def test_what_was_written_is_not_written_again(source: Path, tmp_path: Path) -> None:
    killed(source, tmp_path / "out", "carpet_data.store.journal:Journal.commit", "after", 3)
    assert prepare(source, tmp_path / "out", workers=1).resumed == 12


def test_a_recorded_file_that_vanished_is_written_again(source: Path, whole: dict[str, str], tmp_path: Path) -> None:
    # As after a power failure, when the record reached the disk and the file did not.
    killed(source, tmp_path / "out", "carpet_data.store.journal:Journal.commit", "after", 3)
    scratch = tmp_path / ".out.unfinished"
    next((scratch / "images").rglob("*.png")).unlink()
    mask = next((scratch / "masks").rglob("*.png"))
    mask.unlink()  # a hard link: writing into it would write into the source
    mask.write_bytes(b"")
    assert prepare(source, tmp_path / "out", workers=1).resumed in (10, 11)
    assert hashes(tmp_path / "out") == whole


def test_another_command_is_refused_with_the_hint(source: Path, whole: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    killed(source, out, "carpet_data.store.journal:Journal.commit", "after", 2)
    with pytest.raises(OutputError, match="interrupted here") as caught:
        prepare(source, out, SplitOptions(seed=7), workers=1)
    assert f"prepare {source} -o {out}" in caught.value.what
    assert "again" in str(caught.value.hint)
    # The refusal cost nothing: the first command still completes.
    assert prepare(source, out, workers=1).resumed == 8
    assert hashes(out) == whole


def test_overwrite_gives_up_what_another_had_written(source: Path, whole: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    killed(write_source(tmp_path / "other", seed=5), out, "carpet_data.store.manifest:write", "before", 1)
    prepare(source, out, overwrite=True, workers=1)
    assert hashes(out) == whole


def test_a_source_that_changed_meanwhile_is_noticed(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    killed(source, tmp_path / "out", "carpet_data.store.journal:Journal.commit", "after", 2)
    mask = source / "ground_truth" / "hole" / "000_mask.png"
    other = (source / "ground_truth" / "hole" / "001_mask.png").read_bytes()
    mask.unlink()
    mask.write_bytes(other)
    with pytest.raises(OutputError, match="interrupted here"):
        prepare(source, tmp_path / "out", workers=1)


@pytest.mark.parametrize(
    ("target", "number"),
    [
        ("carpet_data.store.manifest:write", 1),
        ("carpet_data.store.lock:Lock.moved", 1),
        ("carpet_data.store.lock:Lock.moved", 2),
    ],
)
def test_replacing_never_loses_the_old(source: Path, tmp_path: Path, target: str, number: int) -> None:
    out = tmp_path / "out"
    prepare(source, out, workers=1)
    old = hashes(out)
    killed(source, out, target, "after", number, overwrite=True)
    with pytest.raises(OutputError, match="not empty"):  # the old or the new is there, whole
        prepare(source, out, SplitOptions(seed=1), workers=1)
    assert list(store.verify(out)) == []
    prepare(source, out, SplitOptions(seed=1), overwrite=True, workers=1)
    new = hashes(out)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert {name for name in old if old[name] != new[name]} == {"splits/main.jsonl"}


def running(group: int) -> list[str]:
    """The processes of a group that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(path.parent.name)
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to find workers that were left behind")
@pytest.mark.parametrize("files", [0, 20, 60])
def test_killed_at_any_moment_with_workers(tmp_path: Path, files: int) -> None:
    source = write_source(tmp_path / "source", {name: 6 * count for name, count in SMALL.items()})
    out, scratch = tmp_path / "out", tmp_path / ".out.unfinished"
    code = "from carpet_data.cli import main; main()"
    command = [sys.executable, "-c", code, "prepare", str(source), "-o", str(out), "--workers", "2", "-q"]
    process = subprocess.Popen(command, start_new_session=True)
    while process.poll() is None and not (scratch.exists() and len(list(scratch.rglob("*.png"))) >= files):
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)  # the driver alone: its workers find out for themselves
    assert process.wait() == -signal.SIGKILL
    assert not out.exists()
    prepare(source, out, workers=2)
    assert list(store.verify(out)) == []
    prepare(source, tmp_path / "whole", workers=1)
    assert hashes(out) == hashes(tmp_path / "whole")
    assert not scratch.exists()
    deadline = time.monotonic() + 10
    while running(process.pid):
        assert time.monotonic() < deadline, "workers outlive their driver"
        time.sleep(0.05)


_APPEND_KILLED = """
import os, signal, sys
from pathlib import Path
from carpet_data import store
from carpet_data.core.images import encode_png
import numpy as np
root, at = Path(sys.argv[1]), sys.argv[2]
if at == "split":
    store.splits.write = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
pixels = encode_png(np.zeros((4, 4), np.uint8))
with store.appending(root, command="weave", identity="one", split="main") as appender:
    print(sorted(f"s{n}" for n in range(5) if f"s{n}" in appender), flush=True)
    for number in range(5):
        appender.add(store.Addition(f"s{number}", "hole", pixels, mask=pixels))
        if number == 2:
            appender.commit()
        if at == str(number):
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_appending_is_completed(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "out"
    prepare(source, root, workers=1)
    before = store.read(root)
    partials = []
    for at, already in (("1", "[]"), ("3", "[]"), ("split", "['s0', 's1', 's2']")):
        done = subprocess.run([sys.executable, "-c", _APPEND_KILLED, str(root), at], capture_output=True, text=True)
        assert (done.returncode, done.stdout.strip()) == (-signal.SIGKILL, already), done.stderr
        partials.append(len(store.read(root)))
        assert next(problem.code for problem in store.verify(root)) == "unfinished-command"
        with pytest.raises(OutputError, match="weave"):
            store.drop(root, [before.samples[0].id], "blurred")
    assert partials[:2] == [len(before), len(before)]
    done = subprocess.run([sys.executable, "-c", _APPEND_KILLED, str(root), ""], capture_output=True, text=True)
    assert done.stdout.strip() == "['s0', 's1', 's2', 's3', 's4']", done.stderr
    after = store.read(root)
    assert [s.id for s in after if s.origin == "synthetic"] == ["s0", "s1", "s2", "s3", "s4"]
    assert set(after.splits["main"].ids("train")) == {*before.splits["main"].ids("train"), *(f"s{n}" for n in range(5))}
    assert list(store.verify(root)) == []
    assert not any(path.name.startswith(".") for path in root.rglob("*"))


def test_stopped_appending_can_be_given_up(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "out"
    prepare(source, root, workers=1)
    before = hashes(root)
    done = subprocess.run([sys.executable, "-c", _APPEND_KILLED, str(root), "2"], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    shutil.copytree(root, tmp_path / "copy")
    assert store.abandon(root) == 3
    assert hashes(root) == before
    assert store.abandon(root) == 0
