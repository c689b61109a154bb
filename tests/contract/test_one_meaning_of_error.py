"""An error in `doctor` is what makes `prepare` and the exports refuse, and what `--skip-faulty` leaves out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.damage import DAMAGE

from carpet_data.diagnosis.doctor import doctor
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.formats import ReadOptions
from carpet_data.formats.export import export
from carpet_data.preparation.prepare import prepare

EXPORTS = ("coco", "yolo", "masks", "mvtec")


def _verbs(root: Path, out: Path, skip: bool) -> Iterator[tuple[str, Callable[[], tuple[DataError, ...]]]]:
    """Each verb, as a call that gives the images it leaves out."""
    options = ReadOptions(skip_faulty=skip)
    split = {"fractions": (0.5, 0.5), "near_duplicates": False}
    yield (
        "prepare",
        lambda: prepare(root, out / "prepared", read_options=options, workers=1, dry_run=True, **split).skipped,
    )
    for to in EXPORTS:
        yield to, lambda to=to: export(root, to, out / to, read_options=options, workers=1).skipped


def _refuses(verb: Callable[[], tuple[DataError, ...]]) -> bool:
    try:
        assert verb() == ()
    except CarpetDataError:
        return True
    return False


@pytest.mark.parametrize("kind", DAMAGE)
def test_an_error_of_doctor_is_what_the_others_refuse(kind: str, tmp_path: Path) -> None:
    damage, root = DAMAGE[kind], tmp_path / "set"
    damage.make(root)
    try:
        found = doctor(root, workers=1, near_duplicates=False).exit_code == 1
    except DataError:
        found = True  # nothing could be examined, which the command ends with exit code 1 too
    refusals = {name: _refuses(verb) for name, verb in _verbs(root, tmp_path, skip=False)}
    wanted = bool(damage.at_fault) or damage.whole
    if kind == "no masks at all":
        # A data set for classification: nothing is wrong with it, but formats that hold masks cannot hold it.
        assert (found, refusals.pop("prepare")) == (False, False)
        assert set(refusals.values()) == {True}
        return
    assert found == wanted, doctor(root, workers=1, near_duplicates=False).problems
    assert refusals == dict.fromkeys(refusals, wanted)
    assert not [path.name for path in tmp_path.iterdir() if path.name != "set" and wanted]


@pytest.mark.parametrize("kind", [kind for kind, damage in DAMAGE.items() if damage.at_fault or damage.whole])
def test_what_is_left_out_is_what_is_at_fault(kind: str, tmp_path: Path) -> None:
    damage, root = DAMAGE[kind], tmp_path / "set"
    damage.make(root)
    for name, verb in _verbs(root, tmp_path, skip=True):
        if damage.whole and not (kind == "no masks at all" and name == "prepare"):
            with pytest.raises(CarpetDataError):
                verb()
        else:
            left_out = sorted(str(Path(error.where or "").relative_to(root)) for error in verb())
            assert left_out == sorted(damage.at_fault), name
        shutil.rmtree(tmp_path / name, ignore_errors=True)
