"""Feature maps: aligned with the pixels, seamless over tiles, of images of any size and kind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.networks import network

from carpet_data.errors import DataError, DeviceMemoryError, UsageError, WeightsError
from carpet_data.networks import build, devices, feature_maps, find_weights, map_stages
from carpet_data.networks.feature_maps import FeatureMaps


@cache
def lite(strides: tuple[int, ...] = (8, 16), **options: object) -> FeatureMaps:
    weights = find_weights("efficientnet_lite0")
    return FeatureMaps(build(weights, classes=2, seed=0), strides=strides, device="cpu", **options)  # type: ignore[arg-type]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def texture(height: int, width: int) -> np.ndarray:
    """Smooth noise: what a network that was trained on photographs knows how to look at."""
    small = np.random.default_rng(3).integers(60, 190, (height // 4 + 2, width // 4 + 2, 3), dtype=np.uint8)
    return np.repeat(np.repeat(small, 4, 0), 4, 1)[:height, :width].copy()


@pytest.fixture(scope="module")
def maps() -> FeatureMaps:
    return lite()


@pytest.mark.parametrize("stride", [4, 8, 16])
@pytest.mark.parametrize(("height", "width"), [(192, 160), (181, 203)])
def test_a_bright_square_moves_the_cells_of_its_pixels(stride: int, height: int, width: int) -> None:
    maps = lite((stride,))
    plain = texture(height, width)
    misses = []
    for top, left in ((72, 64), (83, 77), (90, 101), (67, 93)):
        changed = plain.copy()
        changed[top : top + 12, left : left + 12] = 250
        before, after = (each.astype(np.float32) for each in maps.of([plain, changed]))
        assert before.shape == (maps.channels, -(-height // stride), -(-width // stride))
        moved = np.square(after - before).sum(0)
        for axis, start in ((0, top), (1, left)):
            weights = moved.sum(1 - axis)
            center = (weights * (np.arange(len(weights)) + 0.5) * stride).sum() / weights.sum()
            misses.append(center - (start + 6))
    # A cell apart would be a whole stride.
    assert abs(np.mean(misses)) < 0.2 * stride
    assert np.abs(misses).max() < 0.5 * stride


@pytest.mark.parametrize(
    "name", ["resnet18", "swin_t", "squeezenet1_1", "alexnet", "inception_v3", "mobilenet_v3_small"]
)
def test_networks_that_pad_in_other_ways_are_aligned_too(name: str) -> None:
    maps = FeatureMaps(network(name, classes=2), strides=(8,), device="cpu")
    plain = texture(192, 192)
    misses = []
    for place in range(72, 104, 6):
        changed = plain.copy()
        changed[place : place + 12, place : place + 12] = 255 - changed[place : place + 12, place : place + 12]
        before, after = (each.astype(np.float32) for each in maps.of([plain, changed]))
        assert before.shape[1:] == (24, 24)
        weights = np.square(after - before).sum((0, 1))
        misses.append((weights * (np.arange(24) + 0.5) * 8).sum() / weights.sum() - (place + 6))
    assert abs(np.mean(misses)) < 3


def test_coarser_maps_lie_on_the_finest_grid() -> None:
    both, fine, coarse = lite((8, 16)), lite((8,)), lite((16,))
    image = texture(128, 160)
    joined, first, second = (each.of([image])[0].astype(np.float32) for each in (both, fine, coarse))
    assert joined.shape == (first.shape[0] + second.shape[0], 16, 20)
    assert np.allclose(joined[: len(first)], first, atol=0.02)
    pooled = joined[len(first) :].reshape(len(second), 8, 2, 10, 2).mean((2, 4))[:, 1:-1, 1:-1]

    def likeness(down: int, right: int) -> float:
        moved = second[:, 1 + down : 7 + down, 1 + right : 9 + right]
        centered = [each - each.mean((1, 2), keepdims=True) for each in (pooled, moved)]
        return float(np.corrcoef(*(each.ravel() for each in centered))[0, 1])

    assert likeness(0, 0) > 0.1 + max(likeness(*each) for each in ((0, 1), (1, 0), (0, -1), (-1, 0)))


def test_interpolation_is_linear_between_cells_and_constant_beyond() -> None:
    values = torch.tensor([[[0.0, 10.0, 30.0]], [[1.0, 1.0, 1.0]]])
    places = torch.tensor([-0.25, 0.25, 1.5, 2.0, 2.75])
    found = feature_maps._interpolated(values, places, 2)
    assert found.tolist() == [[[0.0, 2.5, 20.0, 30.0, 30.0]], [[1.0] * 5]]


@pytest.mark.parametrize("size", [(700, 520), (513, 1025)])
def test_tiles_leave_no_seam(size: tuple[int, int]) -> None:
    image = texture(*size)
    whole, tiled = lite((8, 16), tile=2048), lite((8, 16), tile=512)
    first, second = (each.of([image])[0].astype(np.float32) for each in (whole, tiled))
    deviation = first.std((1, 2), keepdims=True) + 1e-6
    difference = np.abs(first - second) / deviation
    assert difference.max() < 0.3
    assert difference.mean() < 1e-3
    assert whole.digest != tiled.digest


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (3, 200, 3), (200, 3), (5, 5, 3), (33, 65, 3)])
def test_small_and_gray_images(maps: FeatureMaps, shape: tuple[int, ...]) -> None:
    found = maps.of([noise(*shape)])[0]
    assert found.dtype == np.float16
    assert found.shape == maps.shape(*shape[:2])
    assert np.isfinite(found).all()


def test_a_small_image_is_its_mirror_image_beyond_its_border(maps: FeatureMaps) -> None:
    crop = feature_maps._crop(np.arange(4, dtype=np.uint8).reshape(1, 4), -2, -3, (3, 12))
    assert crop[:, :, 0].tolist() == [[3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]] * 3


def test_any_layout_of_memory_and_company_gives_the_same(maps: FeatureMaps) -> None:
    big = noise(120, 140, 3)
    crop = big[10:90:1, 20:110][::-1, :, ::-1]
    gray = big[:70, :50, 0]
    plain = [np.ascontiguousarray(crop), np.repeat(gray[..., None], 3, 2)]
    alone = [maps.of([each])[0] for each in plain]
    together = maps.of([crop, gray, big, crop])
    for found, wanted in zip(together, [*alone, maps.of([big])[0], alone[0]], strict=True):
        assert np.allclose(found.astype(np.float32), wanted.astype(np.float32), atol=0.02)


def test_memory_of_a_huge_image_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = FeatureMaps(network(), strides=(16,), device="cpu", tile=256)
    sizes = []
    prepare = maps.network.prepare
    monkeypatch.setattr(maps.network, "prepare", lambda pixels: (sizes.append(pixels.shape), prepare(pixels))[1])
    found = maps.of([np.broadcast_to(noise(1, 3000, 3), (800, 3000, 3))])[0]
    assert found.shape == maps.shape(800, 3000)
    assert all(np.prod(size[:3]) <= 8 * 256 * 256 for size in sizes)


def test_a_batch_that_does_not_fit_is_halved(maps: FeatureMaps, monkeypatch: pytest.MonkeyPatch) -> None:
    maps = FeatureMaps(network(), strides=(8,), device="cpu", batch_size=8)
    images = [noise(64, 64, 3, seed=number) for number in range(9)]
    wanted = maps.of(images)
    prepare, room = maps.network.prepare, 3

    def small(pixels: np.ndarray) -> torch.Tensor:
        if len(pixels) > room:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return prepare(pixels)

    monkeypatch.setattr(maps.network, "prepare", small)
    found = maps.of(images)
    assert maps.batch_size == 2
    assert all(np.allclose(a, b, atol=0.02) for a, b in zip(found, wanted, strict=True))
    room = 0
    with pytest.raises(DeviceMemoryError) as caught:
        maps.of(images)
    assert "smaller" in str(caught.value.hint)


def test_half_precision_stays_near() -> None:
    image = texture(224, 224)
    full, half = (lite((8, 16), precision=each).of([image])[0].astype(np.float32) for each in ("float32", "bfloat16"))
    difference = np.abs(full - half) / full.std((1, 2), keepdims=True)
    assert 0 < difference.mean() < 0.1
    assert difference.max() < 1.5
    assert lite((8, 16), precision="float32").digest != lite((8, 16), precision="bfloat16").digest


def test_weights_that_give_no_numbers_are_named() -> None:
    net = network()
    with torch.no_grad():
        next(net.body.parameters()).fill_(float("nan"))
    with pytest.raises(WeightsError, match=r"shufflenet_v2_x0_5.*not numbers"):
        FeatureMaps(net, strides=(8,), device="cpu").of([noise(64, 64, 3)])


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="no feature map of stride 7") as caught:
        FeatureMaps(network(), strides=(7, 8), device="cpu")
    assert caught.value.hint == "use strides out of: 2, 4, 8, 16, 32"
    with pytest.raises(UsageError, match="no feature map of layer stage9") as caught:
        FeatureMaps(network(), layers=("stage2", "stage9"), device="cpu")
    assert "stage2, stage3" in str(caught.value.hint)
    with pytest.raises(UsageError, match="needs a stride"):
        FeatureMaps(network(), strides=(), device="cpu")
    with pytest.raises(UsageError, match="vit_b_16 has no feature maps"):
        FeatureMaps(network("vit_b_16"), device="cpu")
    for options in ({"batch_size": 0}, {"tile": 100}, {"precision": "float8"}):
        with pytest.raises(UsageError):
            FeatureMaps(network(), device="cpu", **options)  # type: ignore[arg-type]
    maps = FeatureMaps(network(), device="cpu")
    for image in (np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5, 4), np.uint8), np.zeros((5, 5), np.float32)):
        with pytest.raises(DataError, match="not an image"):
            maps.of([image])


def test_keys_and_digests_tell_apart_what_differs(tmp_path: Path) -> None:
    maps = FeatureMaps(network(seed=1), strides=(8, 16), device="cpu")
    digests = {
        maps.digest,
        FeatureMaps(network(seed=2), strides=(8, 16), device="cpu").digest,
        FeatureMaps(network(seed=1), strides=(8,), device="cpu").digest,
        FeatureMaps(network("resnet18", seed=1), strides=(8, 16), device="cpu").digest,
    }
    assert len(digests) == 4
    assert maps.digest == FeatureMaps(network(seed=1), strides=(16, 8), device="cpu").digest
    keys = {maps.key("ab", height=h, width=w, view=v) for h in (64, 65) for w in (64, 65) for v in (0, 1)}
    assert len(keys) == 8


def test_layers_are_taken_by_name_and_several_of_a_stride() -> None:
    maps = lite(layers=("blocks.4", "blocks.2", "blocks.3"))
    assert maps.layers == ("blocks.2", "blocks.3", "blocks.4")
    assert (maps.strides, maps.channels) == ((8, 16), 40 + 80 + 112)
    image = texture(64, 72)
    some, more = (each.of([image])[0].astype(np.float32) for each in (lite(), maps))
    assert np.allclose(np.delete(more, slice(40, 120), 0), some, atol=0.02)
    names = {each.name: each.stride for each in map_stages.all_stages(maps.network)}
    assert (names["blocks.5"], names["blocks.6"], names["blocks.1"]) == (32, 32, 4)


def test_devices_gain_from_bfloat16_or_not() -> None:
    assert not feature_maps.native_bfloat16(torch.device("mps"))
    assert lite().precision == ("bfloat16" if feature_maps.native_bfloat16(devices.resolve("cpu")) else "float32")


def test_threads_do_not_see_the_hooks_of_each_other() -> None:
    """Seeds of an experiment are fitted in threads that share a network."""
    maps = lite()
    image = texture(128, 128)
    alone, stages = maps.of([image])[0], map_stages.all_stages(maps.network)

    def work(number: int) -> bool:
        if number % 2:
            return np.array_equal(maps.of([image])[0], alone)
        return map_stages.all_stages(maps.network) == stages

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(24)))
