"""An error in `doctor` is what makes `prepare` and the exports refuse, and what `--skip-faulty` leaves out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.cloth import picture, save, spot
from helpers.damage import DAMAGE, write_mvtec

from carpet_data.diagnosis.doctor import doctor
from carpet_data.errors import CarpetDataError, DataError
from carpet_data.formats import ReadOptions, read
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
    wanted = damage.error
    if kind == "no masks at all":
        # A data set for classification: nothing is wrong with it, but formats that hold masks cannot hold it.
        assert (found, refusals.pop("prepare")) == (False, False)
        assert set(refusals.values()) == {True}
        return
    assert found == wanted, doctor(root, workers=1, near_duplicates=False).problems
    assert refusals == dict.fromkeys(refusals, wanted)
    assert not [path.name for path in tmp_path.iterdir() if path.name != "set" and wanted]


@pytest.mark.parametrize("kind", [kind for kind, damage in DAMAGE.items() if damage.error])
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


def _prepared(tmp_path: Path) -> Path:
    write_mvtec(tmp_path / "raw")
    return prepare(tmp_path / "raw", tmp_path / "set", fractions=(0.5, 0.5), near_duplicates=False, workers=1).out


def _a_hole(root: Path) -> str:
    return read(root).of_class("hole")[0].image_path


def _copy(root: Path, relative: str) -> Path:
    """A file of its own instead of a hard link to the source."""
    path = root / relative
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    return path


def _changed_image(root: Path) -> tuple[str, ...]:
    save(_copy(root, _a_hole(root)), picture(500))
    return (_a_hole(root),)


def _changed_mask(root: Path) -> tuple[str, ...]:
    sample = read(root).of_class("hole")[0]
    save(_copy(root, sample.mask_path or ""), spot()[::-1])
    return (sample.image_path,)


def _missing_image(root: Path) -> tuple[str, ...]:
    path = _a_hole(root)
    (root / path).unlink()
    return (path,)


def _unknown_id(root: Path) -> None:
    with (root / "splits/main.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"id": "nobody", "side": "train"}\n')


def _torn_group(root: Path) -> None:
    manifest = root / "manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["group"] = "one"
    manifest.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def _cut_manifest(root: Path) -> None:
    data = (root / "manifest.jsonl").read_bytes()
    (root / "manifest.jsonl").write_bytes(data[: len(data) // 2])


PREPARED: dict[str, Callable[[Path], tuple[str, ...] | None]] = {
    "a changed image": _changed_image,
    "a changed mask": _changed_mask,
    "a missing image": _missing_image,
    "an unknown id in a split": _unknown_id,
    "a group on two sides": _torn_group,
    "half a manifest": _cut_manifest,
}


@pytest.mark.parametrize("kind", PREPARED)
def test_damage_to_a_prepared_folder_stops_its_exports(kind: str, tmp_path: Path) -> None:
    root = _prepared(tmp_path)
    assert doctor(root, workers=1, near_duplicates=False).exit_code == 0
    at_fault = PREPARED[kind](root)
    assert doctor(root, workers=1, near_duplicates=False).exit_code == 1
    skip = ReadOptions(skip_faulty=True)
    for to in EXPORTS:
        with pytest.raises(CarpetDataError):
            export(root, to, tmp_path / to, workers=1)
        if at_fault is None:
            with pytest.raises(CarpetDataError):
                export(root, to, tmp_path / to, read_options=skip, workers=1)
        else:
            done = export(root, to, tmp_path / to, read_options=skip, workers=1)
            assert [error.where for error in done.skipped] == [str(root / path) for path in at_fault]
