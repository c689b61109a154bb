"""Pixel metrics against scikit-learn and a brute-force PRO, and at the ends of what can be given."""

from __future__ import annotations

import importlib.util
import tracemalloc

import numpy as np
import pytest
from helpers.examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from carpet_data.core.spool import Spool
from carpet_data.errors import DataError, UsageError
from carpet_data.metrics import PixelRanking, pixel_scores
from carpet_data.metrics import pixels as pixels_module

Maps = list[tuple[np.ndarray, np.ndarray]]


def random_maps(seed: int, count: int, *, steps: int, share: float) -> Maps:
    """Heat maps and masks of several sizes; few steps make many ties."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        shape = tuple(random.integers(1, 9, size=2))
        mask = random.random(shape) < share
        heat = np.round(random.random(shape) * 0.7 + 0.3 * mask, 6)
        found.append((np.floor(heat * steps).astype(np.float32) / np.float32(steps), mask))
    return found


def pooled(maps: Maps) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([heat.ravel() for heat, _ in maps]), np.concatenate([mask.ravel() for _, mask in maps])


def brute_force_pro(maps: Maps, limit: float, structure: np.ndarray) -> float:
    """Every threshold, one after the other, and the area by trapezoids."""
    values, truth = pooled(maps)
    points = [(0.0, 0.0)]
    for threshold in np.unique(values)[::-1]:
        overlaps = []
        for heat, mask in maps:
            labels, count = ndimage.label(mask, structure)
            overlaps += [(heat[labels == k] >= threshold).mean() for k in range(1, count + 1)]
        points.append(((values[~truth] >= threshold).mean(), np.mean(overlaps)))
    area, (x0, y0) = 0.0, points[0]
    for x1, y1 in points[1:]:
        if x1 > limit:
            y1 = y0 + (limit - x0) * (y1 - y0) / (x1 - x0)
            return float((area + (limit - x0) * (y0 + y1) / 2) / limit)
        area += (x1 - x0) * (y0 + y1) / 2
        x0, y0 = x1, y1
    return float(area / limit)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from([2, 5, 1000]), st.sampled_from([0.05, 0.3, 0.9]))
@settings(max_examples=examples(60), deadline=None)
def test_pro_is_that_of_trying_every_threshold(seed: int, count: int, steps: int, share: float) -> None:
    maps = random_maps(seed, count, steps=steps, share=share)
    truth = pooled(maps)[1]
    for limit in (0.05, 0.3, 1.0):
        for connectivity, structure in ((8, np.ones((3, 3))), (4, ndimage.generate_binary_structure(2, 1))):
            found = pixel_scores(*zip(*maps, strict=True), connectivity=connectivity, pro_limit=limit)
            assert found.components == sum(ndimage.label(mask, structure)[1] for _, mask in maps)
            if truth.all() or not truth.any():
                assert found.pro is None
            else:
                assert found.pro == pytest.approx(brute_force_pro(maps, limit, structure), abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from([2, 5, 1000]), st.sampled_from([0.05, 0.3, 0.9]))
@settings(max_examples=examples(60), deadline=None)
def test_f1_max_is_the_best_of_every_threshold(seed: int, count: int, steps: int, share: float) -> None:
    maps = random_maps(seed, count, steps=steps, share=share)
    values, truth = pooled(maps)
    found = pixel_scores(*zip(*maps, strict=True))
    if not truth.any():
        assert found.f1_max is None
        return
    f1 = {t: 2 * (truth & (values >= t)).sum() / ((values >= t).sum() + truth.sum()) for t in np.unique(values)}
    assert found.f1_max == pytest.approx(max(f1.values()), abs=1e-15)
    assert f1[np.float32(found.f1_threshold)] == pytest.approx(found.f1_max, abs=1e-15)


@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="scikit-learn is not installed")
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from([1, 3, 1000]), st.sampled_from([0.02, 0.3, 0.97]))
@settings(max_examples=examples(60), deadline=None)
def test_auroc_and_ap_are_those_of_scikit_learn(seed: int, count: int, steps: int, share: float) -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    maps = random_maps(seed, count, steps=steps, share=share)
    values, truth = pooled(maps)
    found = pixel_scores(*zip(*maps, strict=True))
    assert (found.defect_pixels, found.free_pixels) == (truth.sum(), (~truth).sum())
    if truth.any():
        assert found.ap == pytest.approx(average_precision_score(truth, values), abs=1e-12)
    if truth.any() and not truth.all():
        assert found.auroc == pytest.approx(roc_auc_score(truth, values), abs=1e-12)


def test_types_are_scored_against_the_same_defect_free_pixels() -> None:
    random = np.random.default_rng(3)
    heat = np.round(random.random((30, 40)), 2).astype(np.float32)
    truth = (random.random((30, 40)) < 0.1).astype(np.uint8) + 2 * (random.random((30, 40)) < 0.05).astype(np.uint8)
    truth[truth == 3] = 0
    ranking = PixelRanking(["hole", "thread", "cut"])
    ranking.add(heat, truth)
    by_type = ranking.by_type()
    for number, name in ((1, "hole"), (2, "thread")):
        alone = truth[(truth == 0) | (truth == number)]
        reference = pixel_scores([heat[(truth == 0) | (truth == number)][None]], [alone[None] > 0])
        assert (by_type[name].ap, by_type[name].auroc) == pytest.approx((reference.ap, reference.auroc), abs=1e-12)
        assert by_type[name].components == ndimage.label(truth == number, np.ones((3, 3)))[1]
        only = [(np.where((truth > 0) & (truth != number), -1, heat), truth == number)]
        free = int((truth == 0).sum())
        others = int(((truth > 0) & (truth != number)).sum())
        # The pixels of other types, put below all others, only stretch the axis of false positives.
        limit = 0.3 * free / (free + others)
        assert by_type[name].pro == pytest.approx(brute_force_pro(only, limit, np.ones((3, 3))), abs=1e-9)
    assert by_type["cut"].ap is None
    assert by_type["cut"].components == 0


def test_touching_pixels_of_two_types_are_two_components() -> None:
    ranking = PixelRanking(["hole", "thread"])
    ranking.add(np.zeros((1, 3), np.float32), np.array([[1, 2, 0]]))
    assert ranking.scores().components == 2


def test_the_ends() -> None:
    nothing = pixel_scores([], [])
    assert (nothing.auroc, nothing.ap, nothing.f1_max, nothing.pro, nothing.images) == (None, None, None, None, 0)
    none = pixel_scores([np.ones((1, 1), np.float32)], [np.zeros((1, 1), bool)])
    assert (none.ap, none.pro, none.free_pixels) == (None, None, 1)
    every = pixel_scores([np.ones((2, 2))], [np.ones((2, 2), bool)])
    assert (every.auroc, every.pro, every.ap, every.f1_max) == (None, None, 1.0, 1.0)
    constant = pixel_scores([np.full((2, 2), 0.5)], [np.array([[1, 0], [0, 0]])])
    assert (constant.auroc, constant.ap, constant.f1_max) == (0.5, 0.25, 0.4)
    assert constant.pro == pytest.approx(0.15)
    assert constant.f1_threshold == 0.5


@pytest.mark.parametrize(
    ("heat", "truth", "error"),
    [
        (np.array([[0.1, np.nan]]), np.zeros((1, 2)), DataError),
        (np.array([[0.1, -np.inf]]), np.zeros((1, 2)), DataError),
        (np.zeros((2, 3)), np.zeros((3, 2), bool), UsageError),
        (np.zeros(3), np.zeros(3, bool), UsageError),
        (np.zeros((1, 1)), np.array([[2]]), UsageError),
        (np.zeros((1, 1)), np.array([[-1]]), UsageError),
        (np.zeros((1, 1)), np.array([[0.5]]), UsageError),
    ],
)
def test_what_cannot_be_ranked_is_refused(heat: np.ndarray, truth: np.ndarray, error: type[Exception]) -> None:
    with pytest.raises(error):
        PixelRanking().add(heat, truth if truth.dtype != np.float64 or truth.any() else truth.astype(bool))


def test_other_mistakes_are_refused() -> None:
    with pytest.raises(UsageError, match="numbers of heat maps"):
        pixel_scores([np.zeros((1, 1))], [])
    with pytest.raises(UsageError, match="limit"):
        pixel_scores([np.zeros((1, 1))], [np.ones((1, 1), bool)], pro_limit=0)
    with pytest.raises(UsageError, match="types"):
        PixelRanking([])


def test_small_chunks_and_a_file_instead_of_memory_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = random_maps(5, 12, steps=40, share=0.2)
    expected = pixel_scores(*zip(*maps, strict=True))
    monkeypatch.setattr(pixels_module, "_CHUNK", 10)
    ranking = PixelRanking(memory_bytes=100)
    for heat, mask in maps:
        ranking.add(heat, mask)
    assert ranking.scores() == expected
    assert ranking.scores() == expected


def test_a_spool_gives_back_what_it_was_given() -> None:
    arrays = [np.arange(n, dtype=np.float32) for n in (3, 0, 5, 2)]
    for limit in (0, 12, 10_000):
        spool = Spool(limit)
        for each in arrays:
            spool.append(each)
        assert [each.tolist() for each in spool] == [each.tolist() for each in arrays]
        assert [len(each) for each in spool.chunks(4)] == [8, 2]
        assert (len(spool), spool.size) == (4, 10)


def test_memory_is_that_of_the_scores_and_with_a_file_that_of_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels_module, "_CHUNK", 1 << 17)
    random = np.random.default_rng(0)
    side, images = 400, 12
    mask = np.zeros((side, side), bool)
    mask[100:120, 30:60] = True

    def peak(memory_bytes: int) -> float:
        """In bytes per pixel of all images."""
        tracemalloc.start()
        ranking = PixelRanking(memory_bytes=memory_bytes)
        for _ in range(images):
            ranking.add(random.random((side, side), np.float32), mask)
        ranking.scores()
        ranking.by_type()
        ranking.summaries()
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return float(used / (images * side * side))

    assert peak(1 << 30) < 10, "4 bytes a pixel, and a few images more"
    assert peak(0) < 5, "a few images"
