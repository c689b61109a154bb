"""COCO's figures against pycocotools' own, and against faster-coco-eval where it is installed."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from typing import Any

import numpy as np
import pytest
from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from carpet_data.core.masks import rle
from carpet_data.core.masks.runs import from_binary
from carpet_data.errors import DataError, UsageError
from carpet_data.metrics import DetectionRanking, DetectionScores
from carpet_data.samples import Instance
from carpet_data.training.contract import Detection

CLASSES = ("hole", "thread", "cut")
SIZE = (40, 50)


def random_blob(random: np.random.Generator, near: tuple[int, int, int, int] | None = None) -> tuple[Any, np.ndarray]:
    """A box and the bool mask in it; near another box, or anywhere."""
    height, width = SIZE
    x, y, w, h = near or (*random.integers(0, 30, 2), *random.integers(1, 12, 2))
    if near is not None:
        x, y, w, h = (max(0, int(v + random.integers(-2, 3))) for v in (x, y, w, h))
    w, h = max(1, min(w, width - x)), max(1, min(h, height - y))
    mask = random.random((h, w)) < 0.9
    mask[0], mask[-1], mask[:, 0], mask[:, -1] = True, True, True, True
    return (int(x), int(y), int(w), int(h)), mask


def instance(class_name: str, bbox: Any, mask: np.ndarray) -> Instance:
    height, width = SIZE
    whole = np.zeros(SIZE, bool)
    whole[bbox[1] : bbox[1] + bbox[3], bbox[0] : bbox[0] + bbox[2]] = mask
    return Instance(class_name, bbox, int(whole.sum()), height, width, rle.encode(from_binary(whole)))


def random_images(seed: int, count: int) -> list[tuple[list[Detection], list[Instance]]]:
    """Detections near true defects, far from them, several on one, and scores that tie."""
    random = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        true = [instance(str(random.choice(CLASSES[:2])), *random_blob(random)) for _ in range(random.integers(0, 4))]
        near = [each.bbox for each in true for _ in range(random.integers(0, 3))] + [None] * int(random.integers(0, 3))
        found = []
        for box in near:
            bbox, mask = random_blob(random, box)
            score = float(random.integers(0, 6)) / 5
            found.append(Detection(str(random.choice(CLASSES)), score, bbox, mask))
        images.append((found, true))
    return images


def scored(images: list[tuple[list[Detection], list[Instance]]], overlap: Any) -> DetectionScores:
    ranking = DetectionRanking(CLASSES, overlap=overlap)
    for found, true in images:
        ranking.add(found, true, *SIZE)
    return ranking.scores()


def as_coco(images: list[tuple[list[Detection], list[Instance]]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    height, width = SIZE
    truth: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for number, (found, true) in enumerate(images, start=1):
        for each in true:
            truth.append(
                {
                    "id": len(truth) + 1,
                    "image_id": number,
                    "category_id": CLASSES.index(each.class_name) + 1,
                    "bbox": list(each.bbox),
                    "area": each.area,
                    "iscrowd": 0,
                    "segmentation": {"size": [height, width], "counts": each.rle},
                }
            )
        for one in found:
            whole = instance(one.class_name, one.bbox, np.asarray(one.mask))
            results.append(
                {
                    "image_id": number,
                    "category_id": CLASSES.index(one.class_name) + 1,
                    "bbox": list(one.bbox),
                    "score": one.score,
                    "segmentation": {"size": [height, width], "counts": whole.rle},
                }
            )
    data = {
        "info": {},
        "images": [
            {"id": number, "width": width, "height": height, "file_name": ""} for number in range(1, len(images) + 1)
        ],
        "annotations": truth,
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)],
    }
    return data, results


def by_coco_eval(images: list[tuple[list[Detection], list[Instance]]], kind: str) -> Any:
    data, results = as_coco(images)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = data
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def none_as_minus(value: float | None) -> float:
    return -1.0 if value is None else value


@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
@settings(max_examples=examples(25), deadline=None)
def test_the_figures_are_those_of_coco_eval(seed: int, count: int) -> None:
    images = random_images(seed, count)
    if not any(found for found, _ in images):
        return  # COCOeval cannot load an empty list
    for overlap, kind in (("bbox", "bbox"), ("mask", "segm")):
        ours, theirs = scored(images, overlap), by_coco_eval(images, kind)
        expected = [theirs.stats[0], theirs.stats[1], theirs.stats[2], theirs.stats[8]]
        assert [none_as_minus(v) for v in (ours.ap, ours.ap50, ours.ap75, ours.ar)] == pytest.approx(expected, abs=1e-9)
        for number, name in enumerate(CLASSES):
            precision = theirs.eval["precision"][:, :, number, 0, 2]
            recall = theirs.eval["recall"][:, number, 0, 2]
            mine = ours.by_class[name]
            assert none_as_minus(mine.ap) == pytest.approx(precision.mean(), abs=1e-9)
            assert none_as_minus(mine.ap50) == pytest.approx(precision[0].mean(), abs=1e-9)
            assert none_as_minus(mine.ar) == pytest.approx(recall.mean(), abs=1e-9)


@pytest.mark.skipif(importlib.util.find_spec("faster_coco_eval") is None, reason="faster-coco-eval is not installed")
def test_the_figures_are_those_of_faster_coco_eval() -> None:
    import faster_coco_eval

    images = random_images(11, 30)
    data, results = as_coco(images)
    for overlap, kind in (("bbox", "bbox"), ("mask", "segm")):
        with contextlib.redirect_stdout(io.StringIO()):
            truth = faster_coco_eval.COCO(data)
            evaluation = faster_coco_eval.COCOeval_faster(truth, truth.loadRes(results), kind)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        ours = scored(images, overlap)
        theirs = [evaluation.stats[place] for place in (0, 1, 2, 8)]
        assert [ours.ap, ours.ap50, ours.ap75, ours.ar] == pytest.approx(theirs, abs=1e-9)


def test_only_the_hundred_surest_count() -> None:
    true = [instance("hole", (0, 0, 5, 5), np.ones((5, 5), bool))]
    wrong = [Detection("hole", 0.9, (20, 20, 3, 3)) for _ in range(100)]
    right = Detection("hole", 0.5, (0, 0, 5, 5))
    assert scored([([*wrong, right], true)], "bbox").ap == 0
    assert scored([([*wrong[1:], right], true)], "bbox").ap50 == pytest.approx(0.01)


def test_the_ends() -> None:
    true = [instance("hole", (0, 0, 5, 5), np.ones((5, 5), bool))]
    nothing = scored([], "bbox")
    assert (nothing.ap, nothing.ar, nothing.by_class["hole"].detections) == (None, None, 0)
    missed = scored([([], true)], "mask")
    assert (missed.ap, missed.ar, missed.by_class["thread"].ap) == (0.0, 0.0, None)
    assert missed.text() == "AP 0.000, AP50 0.000, AP75 0.000, AR 0.000 (masks)"
    only_false = scored([([Detection("hole", 0.4, (1, 1, 2, 2))], [])], "bbox")
    assert (only_false.ap, only_false.by_class["hole"].detections) == (None, 1)


def test_what_cannot_be_scored_is_refused() -> None:
    true = [instance("hole", (0, 0, 5, 5), np.ones((5, 5), bool))]
    with pytest.raises(UsageError, match="unknown class 'scratch'"):
        scored([([Detection("scratch", 0.5, (0, 0, 1, 1))], true)], "bbox")
    with pytest.raises(UsageError, match="no mask"):
        scored([([Detection("hole", 0.5, (0, 0, 1, 1))], true)], "mask")
    with pytest.raises(UsageError, match="box inside the image"):
        scored([([Detection("hole", 0.5, (49, 0, 2, 1), np.ones((1, 2), bool))], true)], "mask")
    with pytest.raises(DataError, match="NaN"):
        scored([([Detection("hole", float("nan"), (0, 0, 1, 1))], true)], "bbox")
    with pytest.raises(UsageError):
        DetectionRanking([])
