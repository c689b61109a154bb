"""The same seed must keep drawing the same pictures; a change of the model raises its version and this table.

Small pictures of the pictures are compared, so that last bits, which differ between library versions, do not matter.
Write the table anew with: python tests/golden/test_weave_golden.py
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from carpet_data.weave import DEFECTS, render
from carpet_data.weave.image import generator

TABLE = Path(__file__).parent / "weave.json"
SIZE = 128


def portrait(class_name: str) -> dict[str, object]:
    rendered = render(class_name, generator(0, "test", class_name, 0, SIZE), SIZE)
    small = cv2.resize(rendered.image, (8, 8), interpolation=cv2.INTER_AREA).mean(axis=2)
    share = cv2.resize(rendered.mask.astype(np.float32), (8, 8), interpolation=cv2.INTER_AREA)
    return {"grey": np.round(small, 1).tolist(), "mask": np.round(share, 3).tolist()}


@pytest.mark.parametrize("class_name", ["good", *DEFECTS])
def test_the_pictures_stay(class_name: str) -> None:
    expected = json.loads(TABLE.read_text())[class_name]
    found = portrait(class_name)
    assert np.abs(np.array(found["grey"]) - np.array(expected["grey"])).max() < 1.5
    assert np.abs(np.array(found["mask"]) - np.array(expected["mask"])).max() < 0.06


if __name__ == "__main__":
    TABLE.write_text(json.dumps({name: portrait(name) for name in ("good", *DEFECTS)}) + "\n")
