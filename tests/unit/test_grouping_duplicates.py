from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from carpet_data.errors import ImageError
from carpet_data.grouping import descriptors, duplicates, evidence, neighbors
from carpet_data.grouping.groups import Link


def scene(seed: int, height: int = 300, width: int = 400) -> np.ndarray:
    """A random scene with structure at several scales, uint8 HxW, the same for a seed."""
    random = np.random.default_rng(seed)
    total = np.zeros((height, width))
    for sigma, weight in ((2, 12.0), (5, 20.0), (15, 25.0)):
        layer = cv2.GaussianBlur(random.normal(size=(height, width)), (0, 0), sigma)
        total += weight * layer / layer.std()
    return np.clip(120 + total, 0, 255).astype(np.uint8)


def woven(seed: int, size: int = 320) -> np.ndarray:
    """A plain weave with irregular yarns: different seeds are different pieces of the same carpet."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size].astype(float)
    for axis, grid in ((0, y), (1, x)):
        wander = cv2.GaussianBlur(random.normal(size=(size, size)), (0, 0), 6)
        grid += 1.2 * wander / wander.std() + axis * 0
    weave = np.sin(2 * np.pi * y / 10) * np.sin(2 * np.pi * x / 10)
    yarns = cv2.GaussianBlur(random.normal(size=(size, size)), (0, 0), 2)
    return np.clip(110 + 45 * weave + 12 * yarns / yarns.std(), 0, 255).astype(np.uint8)


def save(folder: Path, images: dict[str, np.ndarray]) -> dict[str, Path]:
    for name, pixels in images.items():
        assert cv2.imwrite(str(folder / name), pixels)
    return {name: folder / name for name in images}


def find(folder: Path, images: dict[str, np.ndarray]) -> list[Link]:
    return list(duplicates.find(save(folder, images), workers=1).links)


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_UNCHANGED)


def rotated(pixels: np.ndarray, degrees: float) -> np.ndarray:
    height, width = pixels.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return cv2.warpAffine(pixels, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)


CHANGES = {
    "recompressed": lambda p: jpeg(p, 50),
    "half the size": lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "twice the size": lambda p: cv2.resize(p, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR),
    "darker": lambda p: (p * 0.5).astype(np.uint8),
    "brighter": lambda p: np.clip(p * 1.2 + 10, 0, 255).astype(np.uint8),
    "uneven light": lambda p: np.clip(p * np.linspace(0.5, 1.3, p.shape[1]), 0, 255).astype(np.uint8),
    "cropped": lambda p: p[15:, 25:],
    "shifted": lambda p: np.roll(p, (12, -17), (0, 1)),
    "slightly turned": lambda p: rotated(p, 2.0),
    "noisy": lambda p: np.clip(p + np.random.default_rng(9).normal(0, 6, p.shape), 0, 255).astype(np.uint8),
    "turned by 180°": lambda p: p[::-1, ::-1],
    "turned by 90°": lambda p: np.rot90(p).copy(),
    "turned by 270°": lambda p: np.rot90(p, 3).copy(),
    "mirrored left to right": lambda p: p[:, ::-1].copy(),
    "mirrored top to bottom": lambda p: p[::-1].copy(),
    "transposed": lambda p: p.T.copy(),
    "another spot of dirt": lambda p: cv2.circle(p.copy(), (200, 150), 40, 0, -1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_scene_is_found_among_others(tmp_path: Path, change: str) -> None:
    images = {f"other{n}.png": scene(100 + n) for n in range(8)} | {
        "a.png": scene(1),
        "b.png": CHANGES[change](scene(1)),
    }
    links = find(tmp_path, images)
    assert [(found.a, found.b, found.reason) for found in links] == [("a.png", "b.png", "near")]
    assert links[0].score >= evidence.LIKELY
    if change.startswith(("turned by", "mirrored", "transposed")):
        turned = links[0].detail
        pair = {"turned by 90°", "turned by 270°"}
        assert turned == change or {turned, change} == pair


def test_pieces_of_one_weave_are_not_duplicates(tmp_path: Path) -> None:
    assert find(tmp_path, {f"{n}.png": woven(n) for n in range(12)}) == []


def test_the_same_piece_of_a_weave_is(tmp_path: Path) -> None:
    images = {f"{n}.png": woven(n) for n in range(6)} | {"again.jpg": woven(3)[14:, 9:]}
    assert [(found.a, found.b) for found in find(tmp_path, images)] == [("3.png", "again.jpg")]


def test_alike_objects_on_a_textured_ground_are_not_duplicates(tmp_path: Path) -> None:
    images = {}
    for n in range(6):
        ground = 200 + 4 * np.random.default_rng(n).normal(size=(256, 256))
        pixels = np.clip(cv2.GaussianBlur(ground, (0, 0), 1), 0, 255).astype(np.uint8)
        cv2.line(pixels, (60, 200), (190, 50), 40, 22)
        cv2.circle(pixels, (190, 50), 30, 70, -1)
        images[f"{n}.png"] = pixels
    assert find(tmp_path, images) == []


def test_two_images_alone_are_compared(tmp_path: Path) -> None:
    assert len(find(tmp_path, {"a.png": scene(1), "b.png": CHANGES["turned by 90°"](scene(1))})) == 1


def test_same_bytes_and_same_pixels(tmp_path: Path) -> None:
    grey = scene(1)
    files = save(tmp_path, {"a.png": grey, "b.bmp": grey, "c.png": np.dstack([grey] * 3), "z.png": scene(2)})
    (tmp_path / "d.png").write_bytes(files["a.png"].read_bytes())
    files["d.png"] = tmp_path / "d.png"
    links = duplicates.find(files, workers=1).links
    assert [(found.a, found.b, found.reason) for found in links] == [
        ("a.png", "b.bmp", "pixels"),
        ("a.png", "c.png", "pixels"),
        ("a.png", "d.png", "file"),
    ]


def test_the_same_numbers_in_another_shape_are_another_picture(tmp_path: Path) -> None:
    files = save(tmp_path, {"a.png": np.full((20, 30), 7, np.uint8), "b.png": np.full((30, 20), 7, np.uint8)})
    assert duplicates.find(files, workers=1).links == ()


def test_constant_images_are_only_exact_duplicates(tmp_path: Path) -> None:
    images = {f"{value}.png": np.full((64, 64), value, np.uint8) for value in (0, 10, 255)}
    assert find(tmp_path, images) == []


def test_without_near_only_exact(tmp_path: Path) -> None:
    files = save(tmp_path, {"a.png": scene(1), "b.png": jpeg(scene(1), 80)})
    assert duplicates.find(files, near=False, workers=1).links == ()


def test_unreadable_images_are_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    files = save(tmp_path, {"a.png": scene(1), "c.png": jpeg(scene(1), 80)})
    (tmp_path / "b.png").write_bytes(b"not an image")
    files |= {"b.png": tmp_path / "b.png", "gone.png": tmp_path / "gone.png"}
    found = duplicates.find(files, workers=1)
    assert len(found.links) == 1
    assert [Path(str(fault.where)).name for fault in found.problems] == ["b.png", "gone.png"]
    assert set(found.file_sha256) == {"a.png", "c.png"}
    with pytest.raises(ImageError):
        descriptors.describe(tmp_path / "b.png")


def test_order_and_workers_change_nothing(tmp_path: Path) -> None:
    images = {f"{n:02}.png": scene(n, 80, 90) for n in range(14)} | {
        f"x{n}.png": jpeg(scene(n, 80, 90), 70) for n in (2, 5)
    }
    files = save(tmp_path, images)
    steps: list[tuple[int, int | None]] = []
    once = duplicates.find(files, workers=2, progress=lambda step: steps.append((step.done, step.total)))
    again = duplicates.find(dict(reversed(files.items())), workers=1)
    assert once == again
    assert len(once.links) == 2
    assert steps == [(n, 16) for n in range(1, 17)]


def test_no_images_and_one_image(tmp_path: Path) -> None:
    assert duplicates.find({}).links == ()
    assert duplicates.find(save(tmp_path, {"a.png": scene(1)}), workers=1).links == ()


def test_planes_on_disk_give_the_same(tmp_path: Path) -> None:
    files = save(tmp_path, {"a.png": scene(1), "b.png": jpeg(scene(1), 80), "c.png": scene(2)})
    in_memory = duplicates.find(files, workers=1)
    assert duplicates.find(files, in_memory=1, workers=1) == in_memory


@pytest.mark.parametrize("cells", [neighbors.CELLS, 90])
def test_every_close_pair_is_a_candidate(cells: int) -> None:
    planes = [descriptors.plane_of(scene(n // 2, 90, 90)) for n in range(40)]
    found = neighbors.candidates(np.stack([descriptors.signature(plane) for plane in planes]), cells=cells)
    plain = {(pair.a, pair.b) for pair in found if not pair.turn}
    assert {(n, n + 1) for n in range(0, 40, 2)} <= plain
    assert len(found) == len(set(found))


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3, 7), (2000, 5)])
def test_odd_sizes_are_described(tmp_path: Path, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    found = find(tmp_path, {"a.png": pixels, "b.png": scene(3)})
    assert found == []
