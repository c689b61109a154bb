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
    monkeypatch.setenv(LIMIT, "3.5e-6")  # 3500 bytes; a file has 128 more than its values
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
    path = tmp_path / "features-a.npy"
    path.write_bytes(path.read_bytes()[:200])
    assert cache.get("a", SHAPE) is None
