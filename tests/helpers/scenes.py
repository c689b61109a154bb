"""Scenes for methods of synthesis, from sample carpets."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from carpet_data.synthesis.contract import Candidate, Donor, Facts, Image, Mask, Scene
from carpet_data.synthesis.ops.masks import mask_box, window_of
from carpet_data.weave.image import Rendered, generator, render

SIDE = 320


@lru_cache(maxsize=32)
def carpet(class_name: str, k: int = 0, side: int = SIDE) -> Rendered:
    return render(class_name, generator(5, "scenes", class_name, k, side), side)


def grey_of(image: Image) -> Image:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8)


def donor(image: Image, mask: Mask, name: str = "d", foreground: Mask | None = None) -> Donor:
    """Cut as the engine cuts."""
    _, _, width, height = mask_box(mask)
    window = rows, columns = window_of(mask, max(24, max(width, height) // 4))
    box = (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
    return Donor(name, image[window], mask[window], box, (image.shape[1], image.shape[0]), foreground)


def facts(*masks: Mask, name: str = "hole", is_object: bool = False) -> Facts:
    areas = tuple(float(mask.mean()) for mask in masks)
    return Facts(name, areas, (1,) * len(masks), ((0.5, 0.5),) * len(masks), 0.0, is_object)


def carpet_scene(class_name: str, *, count: int = 3, grey: bool = False) -> Scene:
    shown = [carpet(class_name, k) for k in range(count)]
    turn = grey_of if grey else (lambda image: image)
    return Scene(
        host=turn(carpet("good", 0).image),
        foreground=None,
        donors=tuple(donor(turn(one.image), one.mask, f"d{k}") for k, one in enumerate(shown)),
        textures=(turn(carpet("good", 1).image), turn(carpet("good", 2).image)),
        facts=facts(*(one.mask for one in shown), name=class_name),
    )


def check_candidate(scene: Scene, made: Candidate, *, may_miss: float = 0.02) -> None:
    """What the contract says of every candidate; `may_miss`: share of the box that changed visibly beside the mask."""
    assert made.image.shape == scene.host.shape
    assert made.image.dtype == np.uint8
    assert made.mask.shape == scene.host.shape[:2]
    assert made.mask.dtype == np.bool_
    assert made.mask.any()
    difference = cv2.absdiff(made.image, scene.host)
    difference = difference.max(axis=2) if difference.ndim == 3 else difference
    x, y, width, height = made.box
    beyond = np.ones(made.mask.shape, np.bool_)
    beyond[y : y + height, x : x + width] = False
    assert not difference[beyond].any()
    assert not made.mask[beyond].any()
    assert ((difference > 10) & ~made.mask).sum() <= max(4.0, may_miss * made.mask.sum())


def iou_with_change(scene: Scene, made: Candidate, *, levels: int = 10) -> float:
    """IoU of the mask and the change that can be seen, pixels that happen to agree closed."""
    difference = cv2.absdiff(made.image, scene.host)
    difference = difference.max(axis=2) if difference.ndim == 3 else difference
    changed = (difference > levels).astype(np.uint8)
    closed = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) > 0
    return float((closed & made.mask).sum() / (closed | made.mask).sum())
