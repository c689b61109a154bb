"""Grouping that is right or silent: things that look alike stay apart, one thing shown again is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.look_alikes import (
    Pixels,
    bottle,
    broken,
    lattice,
    photographed_again,
    printed_board,
    tile,
    twill,
)

from carpet_data.diagnosis import similar
from carpet_data.diagnosis.doctor import doctor
from carpet_data.errors import ProblemsError
from carpet_data.formats import read
from carpet_data.grouping import duplicates, groups
from carpet_data.grouping.descriptors import describe
from carpet_data.preparation.prepare import prepare
from carpet_data.synthesis.engine.synthesize import synthesize

LOOK_ALIKES: dict[str, Callable[[int], Pixels]] = {
    "a lattice with defects": lambda seed: broken(lattice(seed), seed),
    "a lattice without": lattice,
    "aligned objects": bottle,
    "printed boards": printed_board,
    "a fine twill": twill,
    "ground surfaces": tile,
}


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_UNCHANGED)


COPIES: dict[str, Callable[[Pixels], Pixels]] = {
    "compressed": lambda p: jpeg(p, 60),
    "darker": lambda p: (p * 0.6).astype(np.uint8),
    "half the size": lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "mirrored": lambda p: p[:, ::-1].copy(),
    "turned": lambda p: np.rot90(p).copy(),
    "turned by half": lambda p: p[::-1, ::-1].copy(),
    "cropped": lambda p: p[12:, 9:].copy(),
}


def search(folder: Path, images: dict[str, Pixels]) -> list[groups.Link]:
    found = duplicates.Search(len(images))
    for name in sorted(images):
        assert cv2.imwrite(str(folder / name), images[name])
        found.add(name, describe(folder / name))
    return found.links()


def groups_of(images: dict[str, Pixels], links: list[groups.Link]) -> set[tuple[str, ...]]:
    return set(groups.join(images, links).shared().values())


@pytest.mark.parametrize("kind", LOOK_ALIKES)
@pytest.mark.parametrize("count", [6, 24])
def test_things_that_look_alike_are_not_one_thing(tmp_path: Path, kind: str, count: int) -> None:
    assert search(tmp_path, {f"{n:02}.png": LOOK_ALIKES[kind](n) for n in range(count)}) == []


@pytest.mark.parametrize("kind", LOOK_ALIKES)
@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_among_things_that_look_alike_is_found(tmp_path: Path, kind: str, copy: str) -> None:
    images = {f"{n:02}.png": LOOK_ALIKES[kind](n) for n in range(16)}
    images["copy.png"] = COPIES[copy](images["05.png"])
    found = groups_of(images, search(tmp_path, images))
    # Boards agree by 0.9 among themselves, so that a changed copy need not stand out; then nothing is said.
    assert found == {("05.png", "copy.png")} or (kind == "printed boards" and not found)


@pytest.mark.parametrize("kind", ["a fine twill", "ground surfaces"])
def test_a_part_photographed_again_is_found(tmp_path: Path, kind: str) -> None:
    images = {f"{n:02}.png": LOOK_ALIKES[kind](n) for n in range(16)}
    for n in (3, 7):
        images[f"{n:02} again.png"] = photographed_again(images[f"{n:02}.png"], n)
    assert groups_of(images, search(tmp_path, images)) == {(f"{n:02} again.png", f"{n:02}.png") for n in (3, 7)}


def test_tiles_under_several_exposures_are_grouped_by_tile(tmp_path: Path) -> None:
    exposures = (0.5, 0.8, 1.0, 1.4)
    images = {f"{seed}-{exposure}.png": tile(seed, exposure) for seed in range(7) for exposure in exposures}
    wanted = {tuple(f"{seed}-{exposure}.png" for exposure in exposures) for seed in range(7)}
    assert groups_of(images, search(tmp_path, images)) == wanted


def test_the_same_piece_with_another_spot_on_it_is_found(tmp_path: Path) -> None:
    images = {f"{n:02}.png": twill(n) for n in range(12)}
    spotted = images["04.png"].copy()
    cv2.circle(spotted, (150, 110), 26, 15, -1)
    images["spotted.png"] = spotted
    assert groups_of(images, search(tmp_path, images)) == {("04.png", "spotted.png")}


def test_byte_twins_are_found_whatever_they_look_like(tmp_path: Path) -> None:
    images = {f"{n:02}.png": lattice(n) for n in range(20)}
    images |= {f"twin of {name}": pixels for name, pixels in list(images.items())[:15]}
    links = search(tmp_path, images)
    assert {link.reason for link in links} == {"file"}
    assert len(groups_of(images, links)) == 15


def write_mvtec(root: Path, images: dict[str, Pixels]) -> Path:
    for name, pixels in images.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), pixels)
        if path.parent.name != "good":
            mask = np.zeros(pixels.shape, np.uint8)
            mask[20:40, 30:50] = 255
            truth = root / "ground_truth" / path.parent.name / f"{path.stem}_mask.png"
            truth.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(truth), mask)
    return root


@pytest.fixture
def one_scratch(tmp_path: Path) -> Path:
    """Six good tiles, six of a defect, and another defect of which all images are one tile."""
    images = {f"train/good/{n}.png": tile(n) for n in range(6)}
    images |= {f"test/hole/{n}.png": tile(20 + n) for n in range(6)}
    images |= {f"test/scratch/{n}.png": tile(50, 0.6 + 0.2 * n) for n in range(5)}
    return write_mvtec(tmp_path / "tiles", images)


def test_a_split_that_a_group_starves_is_refused_with_the_way_out(one_scratch: Path, tmp_path: Path) -> None:
    with pytest.raises(ProblemsError) as caught:
        prepare(one_scratch, tmp_path / "out", workers=1)
    (problem,) = caught.value.problems
    assert "scratch: test gets 0 of 5 images instead of 1: all of them are one group" in problem.what
    assert "test/scratch/0.png and test/scratch/4.png" in problem.what
    for option in ("--no-near-duplicates", "--k-shot", "--protocol", "--allow-starved"):
        assert option in (problem.hint or "")
    assert not (tmp_path / "out").exists()


def test_doctor_says_beforehand_that_a_group_starves_a_class(one_scratch: Path) -> None:
    (problem,) = doctor(one_scratch, workers=1).of("split-starved")
    assert problem.severity == "warning"
    assert problem.where == "test/scratch/0.png"
    assert len(problem.files) == 4
    assert "scratch: test gets 0 of 5 images" in problem.what


@pytest.mark.parametrize(
    "way_out", [{"near_duplicates": False}, {"allow_starved": True}, {"k_shot": 1}, {"protocol": "source"}]
)
def test_every_way_out_works(one_scratch: Path, tmp_path: Path, way_out: dict[str, Any]) -> None:
    assert prepare(one_scratch, tmp_path / "out", workers=1, **way_out).samples == 17


def test_a_class_of_one_image_is_not_starved(tmp_path: Path) -> None:
    images = {f"train/good/{n}.png": tile(n) for n in range(4)} | {"test/cut/0.png": tile(30)}
    done = prepare(write_mvtec(tmp_path / "tiles", images), tmp_path / "out", workers=1)
    assert done.splits["main"]["cut"] == {"train": 1, "test": 0}


def test_aligned_objects_and_lattices_give_usable_splits_by_default(tmp_path: Path) -> None:
    images = {f"train/good/{n}.png": bottle(n) for n in range(10)}
    images |= {f"test/mesh/{n}.png": broken(lattice(n), n) for n in range(5)}
    done = prepare(write_mvtec(tmp_path / "mixed", images), tmp_path / "out", workers=1)
    assert done.splits["main"] == {"good": {"train": 8, "test": 2}, "mesh": {"train": 4, "test": 1}}
    assert done.groups == 0


def test_a_synthetic_image_and_its_host_are_no_near_duplicates(tmp_path: Path) -> None:
    images = {f"train/good/{n}.png": tile(n) for n in range(8)}
    images |= {f"test/hole/{n}.png": cv2.circle(tile(40 + n), (40, 30), 9, 20, -1) for n in range(3)}
    ready = prepare(write_mvtec(tmp_path / "tiles", images), tmp_path / "ready", workers=1)
    synthesize(ready, ["hole"], n=6, workers=1)
    found = {sample.id: sample for sample in read(tmp_path / "ready") if sample.origin == "synthetic"}
    assert len(found) == 6
    assert doctor(tmp_path / "ready", workers=1).of("near-duplicates") == ()


def test_a_synthetic_image_like_an_image_it_was_not_made_from_is_said() -> None:
    class_of = {"child": "hole", "host": "good", "other": "good", "sister": "hole"}
    kin = {
        "child": frozenset({"child", "host", "donor"}),
        "sister": frozenset({"sister", "host", "donor2"}),
        "host": frozenset({"host"}),
        "other": frozenset({"other"}),
    }
    links = [groups.link("child", name, "near", 0.9) for name in ("host", "other", "sister")]
    assert list(similar.near_duplicates(links[::2], class_of, kin)) == []
    (problem,) = similar.near_duplicates(links, class_of, kin)
    assert (problem.where, problem.files) == ("child", ("other",))
