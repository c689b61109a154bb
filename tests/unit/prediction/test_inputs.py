"""Which images the arguments of `predict` mean."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from carpet_data.core.images import write_png
from carpet_data.errors import DataError, UsageError
from carpet_data.prediction.inputs import find, not_regular

PIXEL = np.zeros((2, 2, 3), np.uint8)


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_png(folder / name, PIXEL)


def names(*arguments: object) -> list[str]:
    return [file.name for file in find([str(argument) for argument in arguments]).images]


def test_folders_are_searched_to_any_depth_in_order(tmp_path: Path) -> None:
    put(tmp_path, "b.png", "a/z.png", "a/b/c/ü ß.png", "a b.png", ".hidden.png", ".git/x.png")
    (tmp_path / "UPPER.JPG").touch()
    (tmp_path / "notes.txt").touch()
    assert names(tmp_path) == ["UPPER.JPG", "a b.png", "a/b/c/ü ß.png", "a/z.png", "b.png"]
    found = find([tmp_path])
    assert "1 file skipped: not an image by their suffix" in found.notes


def test_every_file_is_taken_once(tmp_path: Path) -> None:
    put(tmp_path, "in/a.png", "in/b.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "in" / "a.png")
    found = find([tmp_path / "in" / "b.png", tmp_path / "in", tmp_path / "link.png", tmp_path / "in" / "." / "b.png"])
    assert [file.path.name for file in found.images] == ["b.png", "a.png"]
    assert found.notes == ("3 files named twice, predicted once",)


def test_patterns_and_names_that_look_like_patterns(tmp_path: Path) -> None:
    put(tmp_path, "1/a.png", "2/b.png", "2/c.jpg", "deep/er/d.png")
    assert names(tmp_path / "?" / "*.png") == ["a.png", "b.png"]
    assert names(tmp_path / "**" / "d.png") == ["d.png"]
    put(tmp_path, "odd/[a].png", "odd/a.png")
    assert names(tmp_path / "odd" / "[a].png") == ["[a].png"]


def test_masks_and_earlier_predictions_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "test/hole/0.png", "ground_truth/hole/0_mask.png", "out/overlays/0.png")
    (tmp_path / "out" / "predictions.jsonl").touch()
    (tmp_path / "out" / ".carpet-data").touch()
    found = find([tmp_path])
    assert [file.name for file in found.images] == ["test/hole/0.png"]
    assert found.notes == ("1 file skipped: masks in a folder ground_truth",)


def test_a_folder_with_a_pipe_and_a_broken_link(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "round").symlink_to(tmp_path)
    found = find([tmp_path])
    assert [file.name for file in found.images] == ["a.png"]
    assert found.notes == ("2 files skipped: neither a regular file nor a link to one",)
    assert not_regular(tmp_path / "pipe.png") == not_regular(Path("/dev/null")) == "not a regular file"
    assert not_regular(tmp_path / "broken.png") == "the file is missing"


@pytest.mark.parametrize("kind", ["nothing", "no_images", "empty_path", "missing"])
def test_nothing_found(tmp_path: Path, kind: str) -> None:
    (tmp_path / "notes.txt").touch()
    arguments = {"nothing": [], "no_images": [tmp_path], "empty_path": [""], "missing": [tmp_path / "x"]}[kind]
    with pytest.raises(UsageError if kind == "empty_path" else DataError) as told:
        find(arguments)
    assert told.value.hint


def test_a_folder_that_cannot_be_listed(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    if os.access(tmp_path / "closed", os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(DataError, match="cannot be listed"):
        find([tmp_path])
