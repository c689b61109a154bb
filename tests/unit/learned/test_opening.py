"""Opening a fitted model: what is missing or damaged is an error with its hint, for every method alike."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from carpet_data.errors import DataError
from carpet_data.learned.load_fitted import label_of, opened, reading

METHODS = {
    "ddpm_inpaint": "DdpmInpaint",
    "gan": "Gan",
    "pretrained_inpaint": "PretrainedInpaint",
}


@pytest.mark.parametrize(
    "fault", [FileNotFoundError("gone"), ValueError("no JSON"), KeyError("classes"), RuntimeError("size mismatch")]
)
def test_files_that_cannot_be_read_are_an_error_of_the_data(fault: Exception, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read") as caught, reading(tmp_path):
        raise fault
    assert caught.value.where == str(tmp_path)
    assert "--overwrite" in str(caught.value.hint)


def test_what_is_read_well_stays() -> None:
    with reading(Path()):
        found = 3
    assert found == 3


def test_an_index_is_the_label_and_an_unknown_class_is_told() -> None:
    assert label_of("hole", ("cut", "hole")) == 1
    with pytest.raises(DataError, match="'stain'") as caught:
        label_of("stain", ("cut", "hole"))
    assert "cut, hole" in str(caught.value.hint)


def test_a_model_that_was_not_opened_is_told() -> None:
    assert opened("model") == "model"
    with pytest.raises(DataError, match="no fitted model was opened") as caught:
        opened(None)
    assert "carpet-data fit" in str(caught.value.hint)


def without_torch(code: str) -> str:
    """What a program prints that cannot import torch."""
    whole = (
        "import sys\nsys.modules['torch'] = None\n"
        "from pathlib import Path\nfrom carpet_data.errors import MissingExtraError\n"
        f"try:\n    {code}\nexcept MissingExtraError as error:\n    print(error)\n"
    )
    return subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("package", METHODS)
def test_opening_without_torch_names_the_extra(package: str) -> None:
    name = METHODS[package]
    found = without_torch(f"from carpet_data.learned.{package}.method import {name}; {name}().open(Path(), 'cpu')")
    assert "carpet-data[generate]" in found


def test_fitting_without_torch_names_the_extra() -> None:
    assert "carpet-data[generate]" in without_torch("from carpet_data.learned import fit_loop")
