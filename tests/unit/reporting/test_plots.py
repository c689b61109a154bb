"""Plots are whole pictures for any number of classes, names and missing figures, and equal for equal figures."""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pytest
from helpers.validation_pages import MANY, NAMES, SIX, conditions, history
from numpy.typing import NDArray

from carpet_data.reporting import plots
from carpet_data.reporting.pages import Condition, Estimate

ODD = ("孔 $x^$", "_thread")


def picture(path: Path) -> NDArray[np.uint8]:
    pixels = cv2.imread(str(path))
    assert pixels is not None
    return pixels


def border_is_white(path: Path) -> bool:
    """Whether nothing is cut off at an edge."""
    pixels = picture(path)
    return all((edge == 255).all() for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))


@pytest.mark.parametrize("classes", [SIX, MANY, ODD[:1], ODD], ids=["six", "thirty", "one", "odd"])
def test_every_plot_is_drawn_with_nothing_cut_off(classes: tuple[str, ...], tmp_path: Path) -> None:
    rows = conditions(classes)
    assert rows[0].confusion is not None
    drawn = [
        plots.confusion(rows[0].confusion, classes, tmp_path / "confusion.png", title=rows[1].name),
        plots.recalls(rows, tmp_path / "recalls.png"),
        plots.comparison(rows, tmp_path / "comparison.png"),
        plots.curves(history(conditions=NAMES), tmp_path / "curves.png"),
    ]
    assert all(border_is_white(path) for path in drawn)


def test_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    bare = Condition("x", Estimate(None), recalls={"good": Estimate(None), "hole": Estimate(0.5)})
    plots.recalls([bare], tmp_path / "recalls.png")
    plots.comparison([bare], tmp_path / "comparison.png")
    plots.comparison([], tmp_path / "none.png")
    plots.curves([], tmp_path / "curves.png")
    one = [{"epoch": 1, "train_loss": 1.0, "val_loss": None, "val_accuracy": float("nan")}]
    plots.curves(one, tmp_path / "one.png")
    assert (picture(tmp_path / "curves.png") != picture(tmp_path / "one.png")).any()
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.png" for name in ("recalls", "comparison", "none", "curves", "one")
    }


def test_a_class_without_images_is_grey_not_white(tmp_path: Path) -> None:
    """White would say that none of its images was taken for any class."""
    plots.confusion([[5, 0], [0, 0]], ["a", "b"], tmp_path / "gap.png")
    plots.confusion([[5, 0], [0, 9]], ["a", "b"], tmp_path / "full.png")
    grey = (picture(tmp_path / "gap.png") == 0xE4).all(axis=2).sum()
    assert grey > 1000
    assert (picture(tmp_path / "full.png") == 0xE4).all(axis=2).sum() < 50


def test_equal_figures_give_equal_bytes_and_no_setting_is_left_changed(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    first = plots.comparison(conditions(), tmp_path / "a.png").read_bytes()
    assert plots.comparison(conditions(), tmp_path / "b.png").read_bytes() == first
    assert dict(mpl.rcParams) == before
