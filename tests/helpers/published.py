"""Small copies of published layouts, with the right class, mask, side and group of every image."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from carpet_data.dataset import Dataset

HEIGHT, WIDTH = 24, 32


@dataclass(frozen=True)
class Right:
    """What an image is: class, defect pixels (None for none), side, group."""

    class_name: str = "good"
    mask: NDArray[np.bool_] | None = None
    side: str | None = None
    group: str | None = None


def photo(path: Path) -> None:
    """An image of noise, another for each path; the suffix says the type."""
    seed = zlib.crc32("/".join(path.parts[-4:]).encode())
    pixels = np.random.default_rng(seed).integers(60, 200, (HEIGHT, WIDTH, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def blot(number: int = 0) -> NDArray[np.bool_]:
    """A defect whose place depends on the number."""
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[3 + number % 5 : 9 + number % 5, 4 + number % 7 : 12 + number % 7] = True
    return mask


def drawn(path: Path, mask: NDArray[np.bool_], value: int = 255) -> None:
    """A mask file that holds a value where the mask is set."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint8) * np.uint8(value)).save(path)


NOTHING = np.zeros((HEIGHT, WIDTH), np.bool_)


def check(dataset: Dataset, right: Mapping[str, Right]) -> None:
    """Every image is there, and is what it should be, to the pixel."""
    found = {sample.image_path: sample for sample in dataset}
    assert found.keys() == right.keys()
    for path, truth in right.items():
        sample = found[path]
        assert (sample.class_name, sample.side, sample.group) == (truth.class_name, truth.side, truth.group), path
        np.testing.assert_array_equal(sample.mask(), NOTHING if truth.mask is None else truth.mask, err_msg=path)


def visa(root: Path, suffix: str = "JPG") -> dict[str, Right]:
    """VisA: a table names the types; masks hold the number of the type."""
    right = {}
    rows = ["image,label,mask"]
    for number in range(3):
        path = f"Data/Images/Normal/{number:04d}.{suffix}"
        photo(root / path)
        rows.append(f"{root.name}/{path},normal,")
        right[path] = Right()
    for number, label in enumerate(("bent", "melt", "bent,melt")):
        path = f"Data/Images/Anomaly/{number:03d}.{suffix}"
        photo(root / path)
        drawn(root / f"Data/Masks/Anomaly/{number:03d}.png", blot(number), number + 1)
        rows.append(f'{root.name}/{path},"{label}",{root.name}/Data/Masks/Anomaly/{number:03d}.png')
        right[path] = Right("combined" if "," in label else label, blot(number))
    (root / "image_anno.csv").write_text("\n".join(rows) + "\n")
    return right


def dagm(root: Path, suffix: str = "PNG") -> dict[str, Right]:
    """DAGM 2007: masks of defects alone, and a table."""
    right = {}
    for side in ("Train", "Test"):
        rows = ["1"]
        for number in range(1, 6):
            path, defect = f"{side}/{number:04d}.{suffix}", number % 2 == 0
            photo(root / path)
            if defect:
                drawn(root / f"{side}/Label/{number:04d}_label.PNG", blot(number))
            rows.append(f"{number}\t{int(defect)}\t{number:04d}.{suffix}\t0\t{number:04d}_label.PNG")
            right[path] = Right(
                "defect" if defect else "good", blot(number) if defect else None, "train" if side == "Train" else "test"
            )
        (root / f"{side}/Label/Labels.txt").write_bytes("\r\n".join(rows).encode())
    return right


def kolektor_sdd(root: Path, suffix: str = "jpg", word: str = "kos", ending: str = "_label.bmp") -> dict[str, Right]:
    """KolektorSDD: a folder for each part, and a mask for each image, most of them empty."""
    right = {}
    for part in range(1, 4):
        for number in range(4):
            path, defect = f"{word}{part:02d}/Part{number}.{suffix}", number == part
            photo(root / path)
            drawn(root / f"{word}{part:02d}/Part{number}{ending}", blot(part) if defect else NOTHING)
            right[path] = Right(
                "defect" if defect else "good", blot(part) if defect else None, None, f"{word}{part:02d}"
            )
    return right


def kolektor_sdd2(root: Path, suffix: str = "png") -> dict[str, Right]:
    """KolektorSDD2: a mask in color beside each image."""
    right = {}
    for side in ("train", "test"):
        for number in range(4):
            path, defect = f"{side}/{10000 + number}.{suffix}", number == 2
            photo(root / path)
            mask = blot(number) if defect else NOTHING
            colors = np.repeat(mask[:, :, None], 3, axis=2).astype(np.uint8) * 255
            Image.fromarray(colors).save(root / f"{side}/{10000 + number}_GT.png")
            right[path] = Right("defect" if defect else "good", mask if defect else None, side)
    return right


def aitex(root: Path, suffix: str = "png") -> dict[str, Right]:
    """AITEX: the code of the defect in the name; one image has two masks that overlap."""
    right = {}
    for number, code in enumerate(("002", "019", "006"), start=1):
        stem = f"{number:04d}_{code}_0{number}"
        photo(root / f"Defect_images/{stem}.{suffix}")
        right[f"Defect_images/{stem}.{suffix}"] = Right(code, blot(number))
        drawn(root / f"Mask_images/{stem}_mask.png", blot(number))
    (root / "Mask_images/0002_019_02_mask.png").unlink()
    for part, mask in ((1, blot(2)), (2, blot(3))):
        drawn(root / f"Mask_images/0002_019_02_mask{part}.png", mask)
    right[f"Defect_images/0002_019_02.{suffix}"] = Right("019", blot(2) | blot(3))
    for fabric in ("2306881-210020u", "2306894-210033u"):
        photo(root / f"NODefect_images/{fabric}/0000_000_00.{suffix}")
        right[f"NODefect_images/{fabric}/0000_000_00.{suffix}"] = Right()
    return right


def mvtec_3d(root: Path, suffix: str = "png") -> dict[str, Right]:
    """MVTec 3D-AD: color images, masks and positions in folders of their own."""
    right = {}
    for side, name, class_name in (
        ("train", "good", "good"),
        ("validation", "good", "good"),
        ("test", "crack", "crack"),
        ("test", "hole", "hole"),
    ):
        path = f"{side}/{name}/rgb/000.{suffix}"
        photo(root / path)
        mask = None if class_name == "good" else blot(1)
        drawn(root / f"{side}/{name}/gt/000.png", NOTHING if mask is None else mask)
        (root / f"{side}/{name}/xyz").mkdir()
        Image.fromarray(np.zeros((HEIGHT, WIDTH), np.float32)).save(root / f"{side}/{name}/xyz/000.tiff")
        right[path] = Right(class_name, mask, "val" if side == "validation" else side)
    (root / "calibration").mkdir()
    (root / "calibration/camera_parameters.json").write_text("{}")
    return right


def real_iad(root: Path, suffix: str = "jpg") -> dict[str, Right]:
    """Real-IAD: several views of each part, masks beside the images."""
    right = {}
    for part in range(2):
        for view in (1, 2):
            folder = f"OK/S{part:04d}"
            path = f"{folder}/toy_{part:04d}_OK_C{view}.{suffix}"
            photo(root / path)
            right[path] = Right(group=folder)
            folder = f"NG/{('AK', 'HS')[part]}/S{part:04d}"
            path = f"{folder}/toy_{part:04d}_NG_C{view}.{suffix}"
            photo(root / path)
            drawn((root / path).with_suffix(".png"), blot(view))
            right[path] = Right(("AK", "HS")[part], blot(view), None, folder)
    return right


def magnetic_tiles(root: Path, suffix: str = "jpg") -> dict[str, Right]:
    """Magnetic tiles: a JPEG and its PNG mask, empty for free tiles."""
    right = {}
    for name, class_name in (("Free", "good"), ("Blowhole", "Blowhole"), ("Crack", "Crack")):
        for number in (1, 2):
            path = f"MT_{name}/Imgs/exp{number}_num_{number}.{suffix}"
            photo(root / path)
            drawn((root / path).with_suffix(".png"), NOTHING if name == "Free" else blot(number))
            right[path] = Right(class_name, None if name == "Free" else blot(number))
    return right


LAYOUTS = {
    "visa": visa,
    "dagm": dagm,
    "kolektor-sdd": kolektor_sdd,
    "kolektor-sdd2": kolektor_sdd2,
    "aitex": aitex,
    "mvtec-3d": mvtec_3d,
    "real-iad": real_iad,
    "magnetic-tiles": magnetic_tiles,
}
"""The name of the layout -> what writes it and returns the truth."""
