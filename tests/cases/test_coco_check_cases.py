"""`check` on files of other tools and on damaged ones: one finding for one cause, and never much memory.

Public reports: cocoapi #380 (coordinates far outside) and #70 (bytes as text), label-studio #6608 (EXIF).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.coco_sets import HEIGHT, WIDTH, annotation, entry, picture, pictures, plain, square, write
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

import carpet_data as cd
from carpet_data.core.problems import Problem
from carpet_data.formats.coco.check import check

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, 1_500_000_000))
from pathlib import Path
from carpet_data.formats.coco.check import check
from carpet_data.fiftyone.coco import of_coco
found = check(Path(sys.argv[1]), workers=1)
shown = of_coco(Path(sys.argv[1]))
print("\\n".join(f"{each.severity} {each.code} {each.what}" for each in found.problems))
print("\\n".join(error.what for error in shown.problems))
sys.exit(0 if found.passed else 1)
"""


def found_in(path: Path, severity: str | None = None) -> list[Problem]:
    return [each for each in check(path, workers=1).problems if severity in (None, each.severity)]


def big(value: float) -> dict[str, Any]:
    return {"segmentation": [[2, 2, value, 2, value, 6, 2, 6]]}


DAMAGE: dict[str, dict[str, Any]] = {
    "coordinate 2e8": big(2e8),
    "coordinate 1e8": big(1e8),
    "coordinate 9e18": big(9e18),
    "coordinate -1e300": big(-1e300),
    "NaN": big(float("nan")),
    "infinity": big(float("inf")),
    "a number of 400 digits": big(10**400),
    "flat and far": {"segmentation": [2, 2, 2e8, 2, 2e8, 6]},
    "counts that exceed the image": {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [0, 10**9]}},
    "counts of 400 digits": {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [10**400]}},
    "compressed counts that exceed it": {"segmentation": {"size": [HEIGHT, WIDTH], "counts": "ooooooooooooN"}},
    "compressed counts that never end": {"segmentation": {"size": [HEIGHT, WIDTH], "counts": "o" * 200_000}},
    "a size of 10^6 x 10^6": {"segmentation": {"size": [10**6, 10**6], "counts": [10**12]}},
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_geometry_is_one_finding_in_little_memory(name: str, tmp_path: Path) -> None:
    path = plain(tmp_path)
    document = json.loads(path.read_text())
    document["annotations"][1].update(DAMAGE[name])
    path.write_text(json.dumps(document))
    [found] = found_in(path, "error")
    assert found.code == "coco-segmentation"
    assert "annotation 2" in found.where
    with pytest.raises(cd.DataError):
        cd.read(tmp_path)
    assert [sample.id for sample in cd.read(tmp_path, cd.ReadOptions(skip_faulty=True))] == ["im_1", "im_3"]


def test_all_of_it_at_once_in_a_process_with_limited_memory(tmp_path: Path) -> None:
    pictures(tmp_path / "images", *(f"im_{number}.png" for number in range(len(DAMAGE) + 3)))
    images = [entry(number) for number in range(len(DAMAGE))]
    # Images that claim to be huge: one that is there, and one that is not, so that nothing corrects the claim.
    images += [entry(100, "im_1.png", width=10**6, height=10**6), entry(101, "lost.png", width=10**6, height=10**6)]
    annotations = [annotation(n, n, change["segmentation"]) for n, change in enumerate(DAMAGE.values())]
    annotations += [annotation(n, n, [[0, 0, 9e5, 0, 9e5, 9e5]]) for n in (100, 101)]
    path = write(tmp_path / "annotations/instances_all.json", images, annotations)
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr[-2000:]
    for part in ("far outside", "not a finite number", "do not fill the image", "1000000x1000000", "was not found"):
        assert part in done.stdout


def test_a_claimed_size_is_not_decoded_where_the_file_is_missing(tmp_path: Path) -> None:
    path = write(
        tmp_path / "set.json",
        [entry(1, "lost.png", width=10**6, height=10**6)],
        [annotation(1, 1, [[0, 0, 9e5, 0, 9e5, 9e5]])],
    )
    assert [each.code for each in found_in(path, "error")] == ["coco-image-missing", "coco-size"]


def test_areas_and_boxes_of_other_tools_are_one_warning_each(tmp_path: Path) -> None:
    pictures(tmp_path / "images", *(f"im_{number}.png" for number in range(30)))
    shape = [[2.3, 2.2, 11.6, 2.4, 9.7, 9.1, 3.2, 8.8]]
    annotations = [
        annotation(n, n, shape, area=55.25 + (40 if n == 7 else 0), bbox=[2.3, 2.2, 9.3, 6.9]) for n in range(30)
    ]
    path = write(tmp_path / "annotations/instances_all.json", [entry(n) for n in range(30)], annotations)
    area, box = found_in(path, "warning")[-2:]
    assert (area.code, box.code) == ("coco-area", "coco-box")
    assert area.what.startswith(
        "30 annotations with another area than the mask's; the largest difference: area is 95.25"
    )
    assert "annotation 7" in area.where
    assert found_in(path, "error") == []


def test_areas_of_our_own_files_must_be_exact(tmp_path: Path) -> None:
    plain(tmp_path / "set")
    cd.to_coco(tmp_path / "set", tmp_path / "out", workers=1)
    path = tmp_path / "out/annotations/instances_train.json"
    document = json.loads(path.read_text())
    document["annotations"][0]["area"] += 0.5
    path.write_text(json.dumps(document))
    assert [each.code for each in found_in(path, "error")] == ["coco-area"]


@pytest.mark.parametrize("tolerance", [0.5, 1.5, 4])
def test_simplified_polygons_carry_what_pycocotools_computes_of_them(
    tolerance: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    y, x = np.mgrid[:64, :64]
    for number, radius in enumerate((1, 3, 12, 25), start=1):
        picture(tmp_path / f"set/test/hole/{number}.png", number, width=64, height=64)
        mask = (((y - 31) ** 2 + (x - 33) ** 2) <= radius**2) & ~(((y - 31) ** 2 + (x - 33) ** 2) <= (radius // 3) ** 2)
        target = tmp_path / f"set/ground_truth/hole/{number}_mask.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask.astype(np.uint8) * 255).save(target)
    cd.to_coco(tmp_path / "set", tmp_path / "out", tolerance_px=tolerance, workers=1)
    coco = COCO(str(tmp_path / "out/annotations/instances_test.json"))
    capsys.readouterr()
    for each in coco.dataset["annotations"]:
        encoded = coco.annToRLE(each)
        assert each["area"] == int(coco_mask.area(encoded)) > 0
        assert each["bbox"] == coco_mask.toBbox(encoded).astype(int).tolist()
    assert check(tmp_path / "out", workers=1).problems == ()
    against = check(tmp_path / "out", tmp_path / "set", workers=1)
    assert against.passed, against.problems
    coarse = check(tmp_path / "out", tmp_path / "set", workers=1).differing_pixels
    assert (coarse > 0) == (tolerance > 0.5)


def test_more_than_the_tolerance_is_an_error(tmp_path: Path) -> None:
    plain(tmp_path / "set")
    cd.to_coco(tmp_path / "set", tmp_path / "out", tolerance_px=1.0, workers=1)
    path = tmp_path / "out/annotations/instances_train.json"
    document = json.loads(path.read_text())
    moved = document["annotations"][0]
    moved["segmentation"], moved["bbox"], moved["area"] = square(20, 15), [20, 15, 4, 4], 16
    path.write_text(json.dumps(document))
    [found] = check(tmp_path / "out", tmp_path / "set", workers=1).problems
    assert (found.code, "tolerance of 1 pixels" in found.what) == ("coco-pixels", True)


def test_files_are_found_as_the_reader_finds_them(tmp_path: Path) -> None:
    pictures(tmp_path / "images/sub", "im_1.png", "im_2.png")
    images = [entry(n, f"images\\sub\\im_{n}.png") for n in (1, 2)]
    path = write(tmp_path / "result.json", images, [annotation(n, n, square(3, 3)) for n in (1, 2)])
    assert len(cd.read(tmp_path)) == 2
    [names] = [each for each in found_in(path) if each.code == "coco-file-name"]
    assert (names.severity, names.what.startswith("2 file names with backslashes")) == ("warning", True)
    assert found_in(path, "error") == []


def test_sizes_from_before_exif_are_explained(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "images").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT), (90, 80, 70)).save(tmp_path / "images/im_1.jpg", exif=exif)
    path = write(tmp_path / "set.json", [entry(1, "im_1.jpg")], [annotation(1, 1, square(3, 3))])
    [found] = found_in(path, "error")
    assert (found.code, "EXIF orientation (6)" in found.what) == ("coco-size", True)
    with pytest.raises(cd.DataError, match="EXIF orientation"):
        cd.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: [image.update(width=None, height=-1) for image in d["images"]], "coco-size"),
        (lambda d: [each.update(id=float(each["id"])) for each in d["annotations"]], "coco-id"),
        (lambda d: [each.pop("area", None) for each in d["annotations"]], "coco-area"),
        (lambda d: d["annotations"].append({**d["annotations"][0], "id": 9}), "coco-repeated"),
        (lambda d: d["annotations"].append({**d["annotations"][0], "id": 9, "category_id": 2}), "coco-overlap"),
        (lambda d: d["annotations"][0].update(segmentation=[[1, 1, 1, 1, 1, 1]]), "coco-empty"),
    ],
)
def test_what_other_readers_stumble_over_is_a_warning(
    change: Callable[[dict[str, Any]], object], code: str, tmp_path: Path
) -> None:
    path = plain(tmp_path)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    found = found_in(path)
    assert code in {each.code for each in found}
    assert {each.severity for each in found} == {"warning"}


def test_one_cause_is_one_finding(tmp_path: Path) -> None:
    pictures(tmp_path / "images", *(f"im_{number}.png" for number in range(20)))
    annotations = [annotation(n, n, [], bbox=[1, 1, 4, 4]) for n in range(20)]
    path = write(tmp_path / "set.json", [entry(n) for n in range(20)], annotations)
    [found] = found_in(path, "error")
    assert "a box does not tell which pixels are defect (19 more annotations alike)" in found.what


def test_bytes_written_as_text_are_called_so(tmp_path: Path) -> None:
    path = plain(tmp_path, 1)
    document = json.loads(path.read_text())
    encoded = coco_mask.encode(np.asfortranarray(np.eye(HEIGHT, WIDTH, dtype=np.uint8)))
    document["annotations"][0]["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": str(encoded["counts"])}
    path.write_text(json.dumps(document))
    [found] = found_in(path, "error")
    assert "Python bytes written as text" in found.what
    with pytest.raises(cd.DataError, match="Python bytes written as text"):
        cd.read(tmp_path)


def test_images_that_are_missing_are_one_finding(tmp_path: Path) -> None:
    path = plain(tmp_path)
    for number in (1, 3):
        (tmp_path / f"images/im_{number}.png").unlink()
    [found] = found_in(path, "error")
    assert (found.code, found.what.endswith("(1 more image alike)")) == ("coco-image-missing", True)


def test_an_image_in_two_files_is_found(tmp_path: Path) -> None:
    path = plain(tmp_path)
    write(path.with_name("instances_val.json"), [entry(2)], [annotation(1, 2, square(1, 1))])
    [found] = found_in(tmp_path, "error")
    assert found.code == "coco-image-twice"
    assert found.what == "the image is listed 2 times, in instances_train.json and instances_val.json"
