"""Kinds of damage to a small data set, each with the images that it puts at fault."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from helpers.cloth import picture, save, spot

HOLE, HOLE_MASK = "test/hole/001.png", "ground_truth/hole/001_mask.png"
GOOD = "train/good/000.png"
COUNTS = {"train/good": 3, "test/good": 2, "test/hole": 4, "test/cut": 4}


@dataclass(frozen=True)
class Damage:
    """One kind of damage.

    Attributes:
        make: Writes the damaged data set into a folder.
        at_fault: The images that it puts at fault, relative to the root; none for damage that commands carry on with.
        whole: Whether it concerns the whole data set, so that leaving out images does not help.
        of_no_image: Whether it is refused, but by no fault of an image: with `--skip-faulty` all images stay.
    """

    make: Callable[[Path], None]
    at_fault: tuple[str, ...] = ()
    whole: bool = False
    of_no_image: bool = False

    @property
    def error(self) -> bool:
        """Whether commands refuse it."""
        return bool(self.at_fault) or self.whole or self.of_no_image


def write_mvtec(root: Path) -> None:
    """13 images of 64x64 pixels, all different, with a mask for each of the 8 defects."""
    seed = 0
    for folder, count in COUNTS.items():
        for number in range(count):
            seed += 1
            save(root / folder / f"{number:03}.png", picture(seed))
            if not folder.endswith("good"):
                save(root / f"ground_truth/{Path(folder).name}/{number:03}_mask.png", spot())


def _mvtec(change: Callable[[Path], object]) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        write_mvtec(root)
        change(root)

    return make


def _one(change: Callable[[Path], object], *at_fault: str, whole: bool = False) -> Damage:
    return Damage(_mvtec(change), at_fault, whole)


def _cut(path: Path, share: float = 0.6) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def _flip(path: Path, share: float = 0.5, count: int = 8) -> None:
    data = bytearray(path.read_bytes())
    for at in range(int(len(data) * share), int(len(data) * share) + count):
        data[at] ^= 0x5A
    path.write_bytes(bytes(data))


def _as(root: Path, suffix: str, change: Callable[[Path], object] = lambda path: None) -> None:
    path = (root / HOLE).with_suffix(suffix)
    (root / HOLE).unlink()
    Image.fromarray(picture(77)).save(path)
    change(path)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(path: Path, width: int, height: int, data: bytes) -> None:
    """A PNG with right checksums, whatever its pixels."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", data) + _chunk(b"IEND", b""))


def _wrong_text(path: Path) -> None:
    """A chunk of text with a wrong checksum, before the end."""
    data = path.read_bytes()
    text = bytearray(_chunk(b"tEXt", b"Comment\0hello"))
    text[-1] ^= 0xFF
    path.write_bytes(data[:33] + bytes(text) + data[33:])


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "gone.png")


def _mask(root: Path, pixels: NDArray[Any]) -> None:
    save(root / HOLE_MASK, pixels)


def _alpha_mask(root: Path) -> None:
    Image.fromarray(np.dstack([np.zeros((64, 64, 3), np.uint8), spot()]).astype(np.uint8), "RGBA").save(
        root / HOLE_MASK
    )


def _turned(root: Path) -> None:
    """An image that EXIF turns, wider than high, and its mask drawn on the stored pixels."""
    image = Image.fromarray(picture(77)[:32])
    exif = image.getexif()
    exif[0x0112] = 6
    (root / HOLE).unlink()
    image.save((root / HOLE).with_suffix(".jpg"), exif=exif, quality=95)
    _mask(root, spot()[:32])


def _two_sizes(root: Path) -> None:
    save(root / HOLE, picture(77, side=48))
    _mask(root, spot()[:48, :48])


MVTEC: dict[str, Damage] = {
    "nothing": _one(lambda root: None),
    "image: empty": _one(lambda root: (root / HOLE).write_bytes(b""), HOLE),
    "image: text": _one(lambda root: (root / HOLE).write_text("no picture"), HOLE),
    "image: Git LFS pointer": _one(
        lambda root: (root / GOOD).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        GOOD,
    ),
    "image: cut PNG": _one(lambda root: _cut(root / HOLE), HOLE),
    "image: PNG without its last bytes": _one(lambda root: _cut(root / HOLE, 0.999), HOLE),
    "image: header of a PNG": _one(lambda root: (root / HOLE).write_bytes((root / HOLE).read_bytes()[:40]), HOLE),
    "image: flipped bytes in a PNG": _one(lambda root: _flip(root / HOLE), HOLE),
    "image: garbage in a PNG whose checksums are right": _one(lambda root: _png(root / HOLE, 64, 64, b"junk"), HOLE),
    "image: cut JPEG": _one(lambda root: _as(root, ".jpg", _cut), "test/hole/001.jpg"),
    "image: JPEG without its end": _one(lambda root: _as(root, ".jpg", lambda p: _cut(p, 0.99)), "test/hole/001.jpg"),
    "image: cut BMP": _one(lambda root: _as(root, ".bmp", _cut), "test/hole/001.bmp"),
    "image: cut TIFF": _one(lambda root: _as(root, ".tif", _cut), "test/hole/001.tif"),
    "image: cut WebP": _one(lambda root: _as(root, ".webp", _cut), "test/hole/001.webp"),
    "image: too large": _one(lambda root: _png(root / HOLE, 60000, 60000, zlib.compress(bytes(99))), HOLE),
    "image: broken link": _one(lambda root: _link(root / HOLE), HOLE),
    "image: flipped bytes in a JPEG": _one(lambda root: _as(root, ".jpg", lambda p: _flip(p, 0.6, 40))),
    "image: wrong checksum of a text": _one(lambda root: _wrong_text(root / HOLE), HOLE),
    "image: PNG named .jpg": _one(lambda root: (root / HOLE).rename((root / HOLE).with_suffix(".jpg"))),
    "image: another size": _one(_two_sizes),
    "image: gray": _one(lambda root: save(root / HOLE, picture(77)[..., 0])),
    "image: 16 bit": _one(lambda root: save(root / HOLE, picture(77).astype(np.uint16) * 257)),
    "image: blank": _one(lambda root: save(root / HOLE, np.full((64, 64, 3), 90, np.uint8))),
    "image: a copy of another": _one(lambda root: (root / HOLE).write_bytes((root / "test/hole/000.png").read_bytes())),
    "image: a copy in another class": _one(
        lambda root: (root / HOLE).write_bytes((root / "test/cut/000.png").read_bytes())
    ),
    "mask: empty file": _one(lambda root: (root / HOLE_MASK).write_bytes(b""), HOLE),
    "mask: text": _one(lambda root: (root / HOLE_MASK).write_text("no picture"), HOLE),
    "mask: cut PNG": _one(lambda root: _cut(root / HOLE_MASK), HOLE),
    "mask: flipped bytes": _one(lambda root: _flip(root / HOLE_MASK, 0.6, 2), HOLE),
    "mask: broken link": _one(lambda root: _link(root / HOLE_MASK), HOLE),
    "mask: another size": _one(lambda root: _mask(root, spot(side=63)), HOLE),
    "mask: drawn on the stored pixels of a turned image": _one(_turned, "test/hole/001.jpg"),
    "mask: 0 and 1": _one(lambda root: _mask(root, spot(1)), HOLE),
    "mask: 16 bit up to 255": _one(lambda root: _mask(root, spot(255, kind=np.uint16)), HOLE),
    "mask: shape in the alpha channel": _one(_alpha_mask, HOLE),
    "mask: missing": _one(lambda root: (root / HOLE_MASK).unlink(), HOLE),
    "mask: on a good image": _one(
        lambda root: save(root / "ground_truth/good/001_mask.png", spot()), "test/good/001.png", "train/good/001.png"
    ),
    "mask: fits two images": _one(
        lambda root: save(root / "train/hole/001.png", picture(78)), HOLE, "train/hole/001.png"
    ),
    "mask: named with another sign than its image": _one(
        lambda root: [
            (root / HOLE).rename(root / "test/hole/im-001.png"),
            (root / HOLE_MASK).rename(root / "ground_truth/hole/im_001_mask.png"),
        ],
        "test/hole/im-001.png",
    ),
    "mask: of no image": Damage(
        _mvtec(lambda root: save(root / "ground_truth/hole/999_mask.png", spot())), of_no_image=True
    ),
    "mask: gray edges": _one(lambda root: _mask(root, cv2.GaussianBlur(spot(), (0, 0), 1.5))),
    "mask: marks nothing": _one(lambda root: _mask(root, spot(0))),
    "mask: in color": _one(lambda root: _mask(root, np.dstack([spot() * 0, spot() * 0, spot()]))),
    "mask: inverted": _one(lambda root: _mask(root, 255 - spot())),
    "mask: 16 bit": _one(lambda root: _mask(root, spot(65535, kind=np.uint16))),
    "no masks at all": _one(
        lambda root: [path.unlink() for path in (root / "ground_truth").rglob("*.png")], whole=True
    ),
    "no image at all": _one(
        lambda root: [path.unlink() for side in ("train", "test") for path in (root / side).rglob("*.png")],
        whole=True,
    ),
}


def _coco(change: Callable[[dict[str, Any], Path], object]) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        (root / "annotations").mkdir(parents=True)
        document: dict[str, Any] = {
            "images": [{"id": n, "file_name": f"{n}.png", "width": 64, "height": 64} for n in range(1, 7)],
            "annotations": [
                {
                    "id": 10 + n,
                    "image_id": n,
                    "category_id": 1 + n % 2,
                    "segmentation": [[5, 5, 25, 5, 25, 20, 5, 20]],
                    "bbox": [5, 5, 20, 15],
                    "area": 300,
                    "iscrowd": 0,
                }
                for n in range(1, 5)
            ],
            "categories": [{"id": 1, "name": "hole"}, {"id": 2, "name": "cut"}],
        }
        for n in range(1, 7):
            save(root / f"images/{n}.png", picture(n))
        change(document, root)
        (root / "annotations/instances_all.json").write_text(json.dumps(document), encoding="utf-8")

    return make


def _annotation(**values: Any) -> Callable[[Path], None]:
    return _coco(lambda document, root: document["annotations"][0].update(values))


def _not_json(root: Path) -> None:
    _coco(lambda document, root: None)(root)
    _cut(root / "annotations/instances_all.json")


COCO: dict[str, Damage] = {
    "COCO: nothing": Damage(_coco(lambda document, root: None)),
    "COCO: a polygon of four numbers": Damage(_annotation(segmentation=[[5, 5, 25, 5]]), ("images/1.png",)),
    "COCO: no segmentation": Damage(_annotation(segmentation=[]), ("images/1.png",)),
    "COCO: far outside": Damage(_annotation(segmentation=[[5, 5, 2e8, 5, 25, 20]]), ("images/1.png",)),
    "COCO: an unknown category": Damage(_annotation(category_id=9), ("images/1.png",)),
    "COCO: run lengths of another size": Damage(
        _annotation(segmentation={"size": [9, 9], "counts": [81]}), ("images/1.png",)
    ),
    "COCO: a cut image": Damage(_coco(lambda document, root: _cut(root / "images/2.png")), ("images/2.png",)),
    "COCO: not JSON": Damage(
        _not_json,
        whole=True,
    ),
    "COCO: two categories of one id": Damage(
        _coco(lambda document, root: document["categories"].append({"id": 2, "name": "thread"})),
        whole=True,
    ),
}


def _yolo(change: Callable[[Path], object]) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        (root / "labels").mkdir(parents=True)
        for n in range(1, 7):
            save(root / f"images/{n}.png", picture(n))
            line = f"{n % 2} 0.1 0.1 0.4 0.1 0.4 0.3 0.1 0.3\n" if n < 5 else ""
            (root / f"labels/{n}.txt").write_text(line)
        (root / "data.yaml").write_text("train: images\nval: images\nnames: [hole, cut]\n")
        change(root)

    return make


YOLO: dict[str, Damage] = {
    "YOLO: nothing": Damage(_yolo(lambda root: None)),
    "YOLO: a box": Damage(
        _yolo(lambda root: (root / "labels/1.txt").write_text("0 0.5 0.5 0.2 0.2\n")), ("images/1.png",)
    ),
    "YOLO: no number": Damage(
        _yolo(lambda root: (root / "labels/1.txt").write_text("hole a b c\n")), ("images/1.png",)
    ),
    "YOLO: an unknown class": Damage(
        _yolo(lambda root: (root / "labels/1.txt").write_text("7 0.1 0.1 0.4 0.1 0.4 0.3\n")), ("images/1.png",)
    ),
    "YOLO: a cut image": Damage(_yolo(lambda root: _cut(root / "images/6.png")), ("images/6.png",)),
    "YOLO: data.yaml is not YAML": Damage(_yolo(lambda root: (root / "data.yaml").write_text("names: [")), whole=True),
}

DAMAGE = {**MVTEC, **COCO, **YOLO}
