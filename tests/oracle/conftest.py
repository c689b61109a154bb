"""Other projects' readers, kept from changing what the other tests run on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import cv2
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def ultralytics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Its data.utils, with settings kept out of the home folder and off the network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YOLO_CONFIG_DIR", str(tmp_path_factory.mktemp("yolo-config")))
        patch.setenv("YOLO_OFFLINE", "true")
        patch.setenv("YOLO_VERBOSE", "false")
        patch.setenv("YOLO_AUTOINSTALL", "false")
        with pytest.MonkeyPatch.context() as kept, warnings.catch_warnings():
            # Its import replaces these for the whole process, and damaged images would then be other errors.
            kept.setattr(Image, "open", Image.open)
            for name in ("imread", "imwrite", "imshow"):
                kept.setattr(cv2, name, getattr(cv2, name))
            warnings.simplefilter("ignore")  # what another project's import says is not our fault
            pytest.importorskip("ultralytics", reason="the extra [oracles] is not installed")
            from ultralytics.data import utils
        yield utils
