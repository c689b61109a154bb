"""Synthesis on the real sets: a texture with hardly a good image, and an object; each within its promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from carpet_data import store
from carpet_data.core.images import read
from carpet_data.preparation.options import GroupOptions, SplitOptions
from carpet_data.preparation.prepare import prepare
from carpet_data.synthesis.engine.synthesize import synthesize

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("name", "classes", "is_object"),
    [("mvtec/carpet", ["hole", "color"], False), ("mvtec/screw_512", ["scratch_neck"], True)],
)
def test_on_real_images(
    real_data: Callable[[str], Path], tmp_path: Path, name: str, classes: list[str], is_object: bool
) -> None:
    root = tmp_path / "set"
    prepare(
        real_data(name),
        root,
        SplitOptions(protocol="first-third" if is_object else None),
        GroupOptions(near_duplicates=False),
        workers=2,
    )
    reports = synthesize(root, classes, 5, workers=2).classes.values()
    assert [report.made for report in reports] == [5] * len(classes)
    assert all((report.plates > 0) is not is_object for report in reports)
    dataset = store.read(root)
    by_id = dataset.by_id()
    for sample in (s for s in dataset if s.origin == "synthetic"):
        record = sample.provenance
        assert record is not None
        assert record["gates"]["visible"] >= 1
        # Objects keep their orientation; only the first use of a host is certain to be as it is.
        assert not record["variation"]["flip_x"]
        if not record.get("plate") and record["variation"]["gain"] == 1:
            host, image = (read(root / s.image_path) for s in (by_id[record["host"]], sample))
            changed = np.abs(image.astype(int) - host).reshape(*image.shape[:2], -1).max(axis=2) > 8
            mask = read(root / str(sample.mask_path)) > 0
            assert (changed & ~mask).mean() <= 0.01
            assert (changed & mask).any()
    assert list(store.verify(root)) == []
