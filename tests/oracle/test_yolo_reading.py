"""Reading YOLO beside Ultralytics: the same label file for an image, the same classes and polygons of its lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carpet_data.core.images import write_png
from carpet_data.dataset import Sample, Shapes
from carpet_data.formats import ReadOptions, read

pytestmark = pytest.mark.oracle

WIDTH, HEIGHT = 32, 24
NAMES = ("hole", "cut", "dent")
SETS, IMAGES = 40, 6


def _polygon(random: np.random.Generator) -> str:
    corners = int(random.integers(3, 9))
    points = random.uniform(0, 1, (corners, 2))
    edge = random.random(points.shape) < 0.1
    points[edge] = np.rint(points[edge])  # drawing tools stop at the edge
    return f"{random.integers(0, len(NAMES))} " + " ".join(f"{value:.6f}" for value in points.ravel())


def _write(root: Path, random: np.random.Generator) -> None:
    """A set in one of the places that Ultralytics knows, with the line ends and remarks of some tool."""
    side_first = bool(random.integers(0, 2))
    end = ("\n", "\r\n", " \n")[int(random.integers(0, 3))]
    for side in ("train", "val"):
        images, labels = (
            (root / side / "images", root / side / "labels")
            if side_first
            else (root / "images" / side, root / "labels" / side)
        )
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for number in range(IMAGES):
            write_png(images / f"{side}{number}.png", random.integers(0, 255, (HEIGHT, WIDTH)).astype(np.uint8))
            lines = [_polygon(random) for _ in range(int(random.integers(0, 4)))]
            lines += lines[: int(random.integers(0, 2))]  # a repeated line
            if lines or number != 1:
                mark = "\ufeff" if random.random() < 0.2 else ""
                (labels / f"{side}{number}.txt").write_bytes((mark + end.join(lines) + end).encode())
        (labels / f"{side}0.txt").write_text(f"{_polygon(random)}\n")
    (root / "data.yaml").write_text(f"names: [{', '.join(NAMES)}]\n")


def _lines_of(sample: Sample) -> list[tuple[str, list[tuple[float, float]]]]:
    shapes = sample.annotation.shapes if isinstance(sample.annotation, Shapes) else ()
    size = np.array([WIDTH, HEIGHT])
    return sorted(
        (shape.class_name, [tuple(point) for point in (np.reshape(polygon, (-1, 2)) / size).round(5).tolist()])
        for shape in shapes
        for polygon in shape.polygons or ()
    )


def test_the_same_labels_and_lines(ultralytics: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(12)
    compared = 0
    for number in range(SETS):
        root = tmp_path / f"set{number}"
        _write(root, random)
        dataset = read(root)
        assert len(dataset) == 2 * IMAGES
        for sample in dataset:
            image = root / sample.image_path
            (label,) = ultralytics.img2label_paths([str(image)])
            job = (str(image), label, "", False, len(NAMES), 0, 0, False)
            _, labels, _, polygons, _, missing, _, _, corrupt, message = ultralytics.verify_image_label(job)
            assert not corrupt, message
            theirs = sorted(
                (NAMES[int(row[0])], [tuple(point) for point in polygon.astype(float).round(5).tolist()])
                for row, polygon in zip(labels, polygons, strict=True)
            )
            assert [name for name, _ in theirs] == [name for name, _ in _lines_of(sample)]
            for (_, one), (_, other) in zip(theirs, _lines_of(sample), strict=True):
                np.testing.assert_allclose(one, other, atol=2e-5)
            assert (Path(label).relative_to(root).as_posix() in dataset.documents) == (not missing)
            compared += len(theirs)
    assert compared > 500


@pytest.mark.parametrize(
    "line",
    [
        "0 0.5 0.5 0.2 0.2 0.9",
        "7 0.1 0.1 0.5 0.1 0.5 0.5",
        "0.5 0.1 0.1 0.5 0.1 0.5 0.5",
        "0 3 3 9 3 9 9",
        "-1 0.1 0.1 0.5 0.1 0.5 0.5",
        "hole 0.1 0.1 0.5 0.1 0.5 0.5",
        "0 0.1 0.1 0.5 0.1 0.5 0.5 0.9",
        "0 0.1 0.1 nan 0.1 0.5 0.5",
    ],
)
def test_what_it_calls_corrupt_is_left_out(line: str, ultralytics: Any, tmp_path: Path) -> None:
    _write(tmp_path, np.random.default_rng(3))
    label = next(tmp_path.glob("**/train0.txt"))
    label.write_text(f"{line}\n")
    image = next(tmp_path.glob("**/train0.png"))
    job = (str(image), str(label), "", False, len(NAMES), 0, 0, False)
    corrupt = ultralytics.verify_image_label(job)[8]
    dataset = read(tmp_path, ReadOptions(skip_faulty=True))
    left_out = {Path(str(error.where)).name for error in dataset.skipped}
    assert left_out == {"train0.png"}
    # It lets a NaN pass; all else it refuses too.
    assert corrupt or "nan" in line
