"""Every format of the package keeps the contract that a format of your own is held to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from carpet_data.errors import CarpetDataError, UsageError
from carpet_data.formats import FORMATS, Format, ReadOptions, read
from carpet_data.formats.export import export
from carpet_data.formats.options import CocoOptions, MasksOptions, MvtecOptions
from carpet_data.testing import check_format

# What a format keeps, where it is not every instance.
CASES: dict[str, dict[str, Any]] = {
    "mvtec": {"keeps": "pixels", "options": MvtecOptions(sides="keep")},
    "folder": {"keeps": "classes"},
    "voc": {"keeps": "pixels"},
    "masks": {"options": MasksOptions(instances=True)},
}


@pytest.mark.parametrize("name", [name for name in FORMATS.builtin if name != "anomalib"])
def test_the_contract(name: str, tmp_path: Path) -> None:
    check_format(FORMATS.load(name), tmp_path, **CASES.get(name, {}))


def test_the_contract_for_anomalib_which_leaves_out_defects_of_train(tmp_path: Path) -> None:
    anomalib = FORMATS.load("anomalib")

    def without_split(export: Any) -> Any:
        return anomalib.write(replace(export, split=None, parts={"all": export.dataset.samples}))

    check_format(replace(anomalib, write=without_split), tmp_path)


def test_the_contract_for_masks_without_instances(tmp_path: Path) -> None:
    check_format(FORMATS.load("masks"), tmp_path, keeps="pixels")


def test_the_contract_for_run_lengths(tmp_path: Path) -> None:
    check_format(FORMATS.load("coco"), tmp_path, options=CocoOptions(segmentation="rle"))


@pytest.mark.parametrize("name", FORMATS.builtin)
def test_the_registry_and_the_objects_agree(name: str) -> None:
    found = FORMATS.load(name)
    assert isinstance(found, Format)
    assert (found.name, found.summary) == (name, FORMATS.builtin[name][1])
    if found.read is not None:
        assert name in ReadOptions.__dataclass_fields__["format"].metadata["option"]["help"]


def test_a_format_that_loses_pixels_is_found(tmp_path: Path) -> None:
    coco = FORMATS.load("coco")

    def simplified(export: Any) -> Any:
        return coco.write(replace(export, options=export.options.but(tolerance_px=3.0)))

    with pytest.raises(AssertionError, match=r"pixels of .* differ"):
        check_format(Format("coco", "", read=coco.read, write=simplified, options=CocoOptions), tmp_path)


def test_a_format_without_a_side_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only_written = Format("packed", "written alone", write=FORMATS.load("coco").write)
    with monkeypatch.context() as patched:
        patched.setattr(type(FORMATS), "load", lambda *_: only_written)
        with pytest.raises(UsageError, match="can be written but not read"):
            read(tmp_path, ReadOptions(format="packed"))
    with pytest.raises(UsageError, match="can be read but not written"):
        export(tmp_path, "mvtec-loco", tmp_path / "out")
    with pytest.raises(UsageError, match="unknown format 'coca'") as caught:
        export(tmp_path, "coca", tmp_path / "out")
    assert "did you mean 'coco'" in str(caught.value.hint)
    with pytest.raises(UsageError, match="does not take MvtecOptions"):
        export(tmp_path, "coco", tmp_path / "out", MvtecOptions())
    with pytest.raises(TypeError, match="unexpected option 'segmentations'"):
        export(tmp_path, "coco", tmp_path / "out", segmentations="rle")
    with pytest.raises(CarpetDataError):
        export(tmp_path / "missing", "coco", tmp_path / "out")
