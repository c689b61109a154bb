"""What a notebook shows of data sets and samples: a table of counts, and pictures of bounded size."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from carpet_data.core.pixels import load_image, load_mask
from carpet_data.core.sheets import evenly
from carpet_data.dataset import GOOD, SIDES, Dataset, Sample
from carpet_data.errors import CarpetDataError

__all__ = ["dataset_html", "sample_html"]

THUMBNAILS = 12
THUMBNAIL_SIDE = 128
PICTURE_SIDE = 512
_ROWS = 50
_OUTLINE = (255, 220, 0)


def dataset_html(dataset: Dataset) -> str:
    """A data set as HTML: images per class and side of its split, and at most 12 thumbnails."""
    split = dataset.split_name()
    sides = dataset.splits[split].sides if split is not None else {}
    columns = [side for side in SIDES if side in sides.values()]
    counts = Counter((sample.class_name, sides.get(sample.id)) for sample in dataset)
    totals = Counter(sample.class_name for sample in dataset)
    rows = [("class", "images", *columns)]
    rows += [
        (name, str(totals[name]), *(str(counts[name, side]) for side in columns)) for name in dataset.classes[:_ROWS]
    ]
    if len(dataset.classes) > _ROWS:
        rows.append((f"… and {len(dataset.classes) - _ROWS} more", *("" for _ in rows[0][1:])))
    shown = evenly(dataset.samples, THUMBNAILS)
    pictures = "".join(
        f'<figure style="display:inline-block;margin:4px;width:{THUMBNAIL_SIDE}px;overflow-wrap:anywhere">'
        f"{_picture(sample, THUMBNAIL_SIDE)}<figcaption>{escape(sample.id)}</figcaption></figure>"
        for sample in shown
    )
    title = f"{escape(repr(dataset))}" + ("" if split is None else f", split {escape(split)}")
    return f"<div><p><code>{title}</code></p>{_table(rows)}<div>{pictures}</div></div>"


def sample_html(sample: Sample) -> str:
    """A sample as HTML: its image with the outline of its mask."""
    return f"<div><p><code>{escape(repr(sample))}</code></p>{_picture(sample, PICTURE_SIDE)}</div>"


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in body]
    return f"<table>{''.join(lines)}</table>"


def _picture(sample: Sample, side: int) -> str:
    """An <img> of at most `side` pixels a side, or the reason why there is none."""
    try:
        pixels = _shrunk(load_image(sample), side)
        if sample.class_name != GOOD and sample.annotation is not None:
            pixels = _outlined(pixels, load_mask(sample))
    except CarpetDataError as error:
        return f"<em>{escape(error.what)}</em>"
    address = base64.b64encode(_jpeg(pixels)).decode()
    height, width = pixels.shape[:2]
    alt = escape(f"{sample.id}: {sample.class_name}", quote=True)
    return f'<img width="{width}" height="{height}" alt="{alt}" src="data:image/jpeg;base64,{address}">'


def _shrunk(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def _outlined(pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The outline is drawn at the size shown, so that a defect of one pixel in a large image can be seen too."""
    color = pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
    scale = np.array(pixels.shape[1::-1]) / mask.shape[1::-1]
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    drawn = np.ascontiguousarray(color)
    scaled = [np.round((outline + 0.5) * scale - 0.5).astype(np.int32) for outline in outlines]
    cv2.polylines(drawn, scaled, True, _OUTLINE)
    return drawn


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    ordered = pixels[:, :, ::-1] if pixels.ndim == 3 else pixels
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(ordered), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return data.tobytes()
