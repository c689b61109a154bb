"""Curation and its undo, killed for real at every step: readers see one state or the other, the next run repairs it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import synthesis
from helpers.sources import hashes

from carpet_data import store
from carpet_data.dataset import GOOD
from carpet_data.errors import DataError, OutputError
from carpet_data.fiftyone.curate import curate, undo_curation
from carpet_data.store.choices import Choices, save

# Kills its own process, as `kill -9` would, at the N-th call of one function: before or after it.
_KILLED = """
import sys
from pathlib import Path
support, root, choices, target, when, number = sys.argv[1:]
sys.path.insert(0, support)
from helpers import killing
from carpet_data.fiftyone.curate import curate, undo_curation
killing.arm(target, when, int(number))
undo_curation(Path(root)) if choices == "undo" else curate(Path(root), Path(choices))
"""

_OWN = "carpet_data.store.curation:"
POINTS = [
    ("carpet_data.store.journal:Journal.open", "after", 1),
    (_OWN + "link_or_copy", "after", 1),
    (_OWN + "link_or_copy", "before", 3),
    ("carpet_data.store.manifest:write", "before", 1),
    ("carpet_data.store.manifest:write", "after", 1),
    # The old names are removed one by one, then the folders that are empty now.
    ("pathlib:Path.unlink", "after", 1),
    ("pathlib:Path.unlink", "before", 4),
    ("pathlib:Path.rmdir", "before", 1),
    ("carpet_data.store.journal:Journal.remove", "before", 1),
]
# First the record of the changes is written, second the log.
ONLY_APPLYING = [
    (_OWN + "sync_folder", "after", 1),
    (_OWN + "write_lines", "before", 2),
    (_OWN + "write_lines", "after", 2),
]
# The first removes what an earlier journal left, the second the undo folder.
ONLY_UNDOING = [("shutil:rmtree", "before", 2), ("shutil:rmtree", "after", 2)]


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The data set before and after a curation, and its choices."""
    folder = tmp_path_factory.mktemp("states")
    before = synthesis.dataset(folder / "before")
    dataset = store.read(before)
    holes, threads = (dataset.of_class(name) for name in ("hole", "thread"))
    choices = Choices(
        (holes[0].id, threads[0].id),
        {holes[1].id: "thread", threads[1].id: GOOD},
        fingerprint=dataset.fingerprint("main"),
        split="main",
    )
    save(folder / "choices.json", choices)
    after = Path(shutil.copytree(before, folder / "after"))
    curate(after, choices)
    return before, after, folder / "choices.json"


def _kill(root: Path, choices: Path | str, target: str, when: str, number: int) -> None:
    arguments = [str(Path(synthesis.__file__).parents[1]), str(root), str(choices), target, when, str(number)]
    done = subprocess.run([sys.executable, "-c", _KILLED, *arguments], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def _readable(root: Path, *states: Path) -> None:
    """Whatever the kill left: the data set is one of the states, and every file of it is there."""
    found = store.read(root)
    assert any(found.samples == store.read(state).samples for state in states)
    assert not [each for each in store.verify(root) if each.severity == "error"]
    with pytest.raises(OutputError, match="interrupted here: curate"):
        store.drop(root, [found.samples[0].id], "other")


@pytest.mark.parametrize(("target", "when", "number"), POINTS + ONLY_APPLYING)
def test_a_killed_curation_is_completed_by_running_it_again(
    states: tuple[Path, Path, Path], tmp_path: Path, target: str, when: str, number: int
) -> None:
    before, after, choices = states
    root = Path(shutil.copytree(before, tmp_path / "set"))
    _kill(root, choices, target, when, number)
    _readable(root, before, after)
    other = Path(shutil.copytree(root, tmp_path / "other"))
    result = curate(root, choices)
    assert (len(result.dropped), len(result.relabelled), result.curation) == (2, 2, 1)
    assert hashes(root) == hashes(after)
    assert list(store.verify(root)) == []
    # Undo instead gives the curation up, wherever the kill fell.
    undo_curation(other)
    assert hashes(other) == hashes(before)


@pytest.mark.parametrize(("target", "when", "number"), POINTS + ONLY_UNDOING)
def test_a_killed_undo_is_completed_by_running_it_again(
    states: tuple[Path, Path, Path], tmp_path: Path, target: str, when: str, number: int
) -> None:
    before, after, choices = states
    root = Path(shutil.copytree(after, tmp_path / "set"))
    _kill(root, "undo", target, when, number)
    _readable(root, before, after)
    assert undo_curation(root).undone
    assert hashes(root) == hashes(before)
    curate(root, choices)
    assert hashes(root) == hashes(after)


def test_a_killed_undo_leaves_the_curation_before(states: tuple[Path, Path, Path], tmp_path: Path) -> None:
    _, after, _ = states
    root = Path(shutil.copytree(after, tmp_path / "set"))
    curate(root, Choices((store.read(root).samples[0].id,)))
    _kill(root, "undo", "carpet_data.store.manifest:write", "after", 1)
    undo_curation(root)
    assert hashes(root) == hashes(after)


def test_an_error_in_the_middle_rolls_back(
    states: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after, choices = states
    root = Path(shutil.copytree(before, tmp_path / "set"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("carpet_data.store.manifest.write", full)
        with pytest.raises(OSError, match="No space"):
            curate(root, choices)
        assert hashes(root) == hashes(before)
    curate(root, choices)
    with monkeypatch.context() as patched:
        patched.setattr("carpet_data.store.manifest.write", full)
        with pytest.raises(OSError, match="No space"):
            undo_curation(root)
    assert hashes(root) == hashes(after)


def test_a_file_system_without_links_gets_copies(
    states: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after, choices = states
    root = Path(shutil.copytree(before, tmp_path / "set"))

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("os.link", refuse)
    curate(root, choices)
    assert hashes(root) == hashes(after)
    undo_curation(root)
    assert hashes(root) == hashes(before)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_journal_that_was_removed_to_give_it_up(states: tuple[Path, Path, Path], tmp_path: Path, when: str) -> None:
    before, after, choices = states
    root = Path(shutil.copytree(before, tmp_path / "set"))
    _kill(root, choices, "carpet_data.store.manifest:write", when, 1)
    shutil.rmtree(root / ".journal")
    # The data set is whole, with files left over at most, so other commands go on.
    assert {each.code for each in store.verify(root)} <= {"file-unknown"}
    curate(root, choices)
    assert hashes(root) == hashes(after)
    assert list(store.verify(root)) == []


def test_files_that_were_put_in_the_way_or_taken_away_stop_the_undo(
    states: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    _, after, _ = states
    root = Path(shutil.copytree(after, tmp_path / "set"))
    kept = next((root / "undo").rglob("*.png"))
    old = root / kept.relative_to(root / "undo" / "001")
    old.parent.mkdir(exist_ok=True)
    old.write_bytes(b"mine")
    whole = hashes(root)
    with pytest.raises(DataError, match="in the way"):
        undo_curation(root)
    old.unlink()
    kept.rename(tmp_path / "away.png")
    with pytest.raises(DataError, match="missing, so the curation cannot be undone"):
        undo_curation(root)
    old.write_bytes(b"mine")
    (tmp_path / "away.png").rename(kept)
    assert hashes(root) == whole


@pytest.mark.parametrize("damage", ["not json\n", '{"before": {}, "after": {}}\n', "[]\n"])
def test_a_damaged_record_is_an_error_that_names_it(
    states: tuple[Path, Path, Path], tmp_path: Path, damage: str
) -> None:
    root = Path(shutil.copytree(states[1], tmp_path / "set"))
    record = root / "undo" / "001" / "changes.jsonl"
    record.write_text(record.read_text() + damage)
    whole = hashes(root)
    with pytest.raises(DataError, match=r"changes\.jsonl"):
        undo_curation(root)
    log = root / "curations.jsonl"
    log.write_text(damage)
    with pytest.raises(DataError, match=r"curations\.jsonl"):
        undo_curation(root)
    log.write_text((states[1] / "curations.jsonl").read_text())
    assert hashes(root) == whole
