"""What to-masks writes is read back exactly, for random labels."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from carpet_data.core.images import write_png
from carpet_data.dataset import ClassFile, IndexFile, Sample
from carpet_data.formats import read
from carpet_data.formats.export import export
from carpet_data.formats.tree import from_samples

NAMES = ("hole", "cut", "naht ö", "thread")
LABELS = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, len(NAMES)))


def _source(root: Path, labels: NDArray[np.uint8], kind: str) -> Sample:
    write_png(root / "image.png", np.full(labels.shape, 90, np.uint8))
    write_png(root / "mask.png", labels)
    table = tuple((value, NAMES[value - 1]) for value in np.unique(labels[labels > 0]).tolist())
    annotation = ClassFile("mask.png", table) if kind == "classes" else IndexFile("mask.png", table)
    names = {name for _, name in table}
    class_name = "combined" if len(names) > 1 else next(iter(names), "good")
    height, width = labels.shape
    return Sample("image", "image.png", class_name, width, height, annotation, side="train")


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize(("kind", "instances"), [("classes", False), ("classes", True), ("instances", True)])
@settings(max_examples=20, deadline=None)
@given(labels=LABELS)
def test_classes_and_instances_come_back(
    labels: NDArray[np.uint8], kind: str, instances: bool, connectivity: int
) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder) / "source"
        root.mkdir()
        sample = _source(root, labels, kind)
        source = from_samples([sample], root=root, name="random", connectivity=connectivity, format="test")  # type: ignore[arg-type]
        out = export(source, "masks", Path(folder) / "out", instances=instances, workers=1).out
        again = read(out)
        assert again.format == "masks"
        (found,) = again
        assert (found.id, found.class_name, found.side) == ("image", sample.class_name, "train")
        np.testing.assert_array_equal(found.mask(), labels > 0)
        for value, name in enumerate(NAMES, start=1):
            pixels = [each.mask() for each in found.instances() if each.class_name == name]
            union = np.any(pixels, axis=0) if pixels else np.zeros(labels.shape, np.bool_)
            np.testing.assert_array_equal(union, labels == value)
        if instances:
            wanted, had = (sorted((i.class_name, i.rle) for i in each.instances()) for each in (source[0], found))
            assert wanted == had
        written = np.asarray(Image.open(out / f"masks/train/{found.id}.png"))
        assert set(np.unique(written)) <= set(range(len(NAMES) + 1))
