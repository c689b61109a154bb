"""A file of a published layout is lost, renamed or added: a defect becomes good only with an error."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.published import LAYOUTS, Right, blot, drawn

from carpet_data.diagnosis.doctor import doctor
from carpet_data.errors import CarpetDataError
from carpet_data.formats import read
from carpet_data.formats.listing import is_image


def _became_good(root: Path, right: dict[str, Right]) -> list[str]:
    """The defect images that are read as good, without an error."""
    try:
        found = {sample.image_path: sample.class_name for sample in read(root)}
    except CarpetDataError:
        return []
    return [path for path, truth in right.items() if truth.class_name != "good" and found.get(path) == "good"]


def _changes(root: Path, change: Callable[[Path], None]) -> Iterator[str]:
    """The set after a change of each of its files in turn, and the file's name."""
    whole = root.with_name("whole")
    root.rename(whole)
    for path in sorted(path for path in whole.rglob("*") if path.is_file()):
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(whole, root)
        change(root / path.relative_to(whole))
        yield path.relative_to(whole).as_posix()


def _lose(path: Path) -> None:
    path.unlink()


def _misspell(path: Path) -> None:
    path.rename(path.with_name(f"x{path.name}"))


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("change", [_lose, _misspell, _truncate])
def test_no_defect_becomes_good_by_one_file(name: str, change: Callable[[Path], None], tmp_path: Path) -> None:
    right = LAYOUTS[name](tmp_path / "set")
    assert {
        file: lost for file in _changes(tmp_path / "set", change) if (lost := _became_good(tmp_path / "set", right))
    } == {}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_mask_of_no_image_is_refused(name: str, tmp_path: Path) -> None:
    LAYOUTS[name](tmp_path / "set")
    sample = next(each for each in read(tmp_path / "set") if each.mask_path and each.class_name != "good")
    assert sample.mask_path is not None
    mask = tmp_path / "set" / sample.mask_path
    stem = Path(sample.image_path).stem
    drawn(mask.with_name(mask.name.replace(stem, "9999", 1)), blot())
    with pytest.raises(CarpetDataError):
        read(tmp_path / "set")
    assert doctor(tmp_path / "set", workers=1).of("mask-orphan")


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_file_has_one_role(name: str, tmp_path: Path) -> None:
    LAYOUTS[name](tmp_path / "set")
    (tmp_path / "set/readme.txt").write_text("As published.")
    account = read(tmp_path / "set").account
    assert account is not None
    files = [path for path in (tmp_path / "set").rglob("*") if path.is_file()]
    assert sum(row.files for row in account.roles) == len(files)
    assert account.not_read == ()
    assert account.explained == 1
    assert sum(is_image(path.name) for path in files) == sum(
        account.count(role) for role in ("images", "masks", "left out")
    )
