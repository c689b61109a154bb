"""Small data sets to be cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import carpet_data as cd
from carpet_data.core.images import write_png
from carpet_data.dataset import Annotation, IndexFile, Sample
from carpet_data.formats.tree import from_samples

Make = Callable[..., cd.Dataset]


@pytest.fixture
def indexed(tmp_path: Path) -> Make:
    """A raw data set of one image, from an index mask and the classes of its instances."""

    def make(values: NDArray[Any], *classes: str, class_name: str | None = None, **more: Any) -> cd.Dataset:
        root = tmp_path / "indexed"
        root.mkdir()
        random = np.random.default_rng(0)
        write_png(root / "a.png", random.integers(0, 256, (*values.shape, 3), np.uint8))
        write_png(root / "a-mask.png", values.astype(np.uint8))
        annotation: Annotation = IndexFile("a-mask.png", tuple(enumerate(classes, start=1)))
        name = class_name or classes[0]
        sample = Sample("a", "a.png", name, values.shape[1], values.shape[0], annotation, side="train", **more)
        return from_samples([sample], root=root, name="indexed", format="test")

    return make


@pytest.fixture
def cut() -> Callable[..., cd.Dataset]:
    """Cut a data set as its sides are, without looking for duplicates; the tiles."""

    def run(source: Any, out: Path, **options: Any) -> cd.Dataset:
        raw = not (isinstance(source, Path) and (source / "manifest.jsonl").exists())
        how = {"protocol": "source", "near_duplicates": False} if raw else {}
        return cd.read(cd.tile(source, out, workers=1, **how, **options))

    return run
