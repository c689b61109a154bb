"""The feature cache: bounded in memory and on disk, the least recently used out first."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from carpet_data.errors import UsageError
from carpet_data.networks.feature_cache import LIMIT, FeatureCache

SHAPE = (1, 10, 25)  # 1000 bytes


def values(number: int) -> np.ndarray:
    return np.full(SHAPE, number, np.float32)


def kept(folder: Path) -> list[str]:
    return sorted(path.stem.removeprefix("features-") for path in folder.iterdir())


def test_what_was_used_last_stays_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, "3.6e-6")  # three files: each has 132 bytes more than its values
    cache = FeatureCache(tmp_path)
    for number, key in enumerate("abc"):
        cache.put(key, values(number))
        os.utime(tmp_path / f"features-{key}.npy", (number, number))
    assert np.array_equal(cache.get("a", SHAPE), values(0))  # type: ignore[arg-type]
    cache.put("d", values(3))
    assert kept(tmp_path) == ["a", "c", "d"]
    assert FeatureCache(tmp_path).get("b", SHAPE) is None
    assert np.array_equal(FeatureCache(tmp_path).get("d", SHAPE), values(3))  # type: ignore[arg-type]


def test_what_exceeds_the_limit_alone_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, "0")
    FeatureCache(tmp_path / "none").put("a", values(1))
    assert not (tmp_path / "none").exists()
    monkeypatch.setenv(LIMIT, "much")
    with pytest.raises(UsageError, match=LIMIT):
        FeatureCache(tmp_path)


def test_memory_is_bounded_and_needs_no_folder() -> None:
    cache = FeatureCache(memory_bytes=2000)
    for key in "ab":
        cache.put(key, values(1))
    assert cache.get("a", SHAPE) is not None
    cache.put("c", values(1))
    assert [cache.get(key, SHAPE) is not None for key in "abc"] == [True, False, True]


def test_damaged_files_and_other_shapes_are_not_features(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    cache.put("a", values(1))
    assert cache.get("a", (1, 10, 24)) is None
    assert cache.get("a", SHAPE, np.float16) is None
    path = tmp_path / "features-a.npy"
    whole = path.read_bytes()
    for damaged in (b"", whole[:3], whole[:200], whole[:-1], whole[:500] + b"\x01" + whole[501:], whole + b"\0"):
        path.write_bytes(damaged)
        assert cache.get("a", SHAPE) is None
    path.write_bytes(whole)
    assert np.array_equal(cache.get("a", SHAPE), values(1))  # type: ignore[arg-type]


def test_half_precision_and_any_layout_of_memory_come_back(tmp_path: Path) -> None:
    half = np.asfortranarray(np.arange(24, dtype=np.float16).reshape(2, 3, 4))
    FeatureCache(tmp_path).put("a", half)
    found = FeatureCache(tmp_path).get("a", (2, 3, 4), np.float16)
    assert found is not None
    assert found.dtype == np.float16
    assert found.flags.writeable
    assert np.array_equal(found, half)


def test_two_processes_share_one_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, "2e-5")
    first, second = FeatureCache(tmp_path), FeatureCache(tmp_path)
    for number in range(40):
        first.put(f"a{number}", values(number))
        second.put(f"b{number}", values(number))
        # Each looks at the folder after an eighth of the limit.
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2e4 * 1.25 + 2 * 1132
    assert np.array_equal(first.get("b39", SHAPE), values(39))  # type: ignore[arg-type]
