"""Figures are whole for any number of classes, names and missing metrics, equal for equal metrics, and safe as SVG."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

import cv2
import matplotlib as mpl
import numpy as np
import pytest
from helpers.validation_pages import BASELINE, MANY, SIX, conditions, history
from matplotlib.figure import Figure
from numpy.typing import NDArray

from carpet_data.core.plots import to_png, to_svg
from carpet_data.metrics import Estimate
from carpet_data.reporting import figures
from carpet_data.reporting.pages import ConditionMetrics

ODD = ("孔 $x^$", "_thread")


def picture(figure: Figure) -> NDArray[np.uint8]:
    pixels = cv2.imdecode(np.frombuffer(to_png(figure), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return pixels.astype(np.uint8)


def border_is_white(figure: Figure) -> bool:
    """Whether nothing is cut off at an edge."""
    pixels = picture(figure)
    return all((edge == 255).all() for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))


def drawn(classes: tuple[str, ...]) -> dict[str, Figure]:
    rows = conditions(classes)
    first = rows[BASELINE]
    assert first.confusion is not None
    return {
        "confusion": figures.confusion(first.confusion, classes, title=BASELINE),
        "recalls": figures.recalls({name: row.by_class for name, row in rows.items()}),
        "comparison": figures.comparison(rows, BASELINE),
        "curves": figures.curves(history()),
        "accuracies": figures.accuracies([(name, row.first, [0.4, 0.5]) for name, row in rows.items()], chance=0.2),
    }


@pytest.mark.parametrize("classes", [SIX, MANY, ODD[:1], ODD], ids=["six", "thirty", "one", "odd"])
def test_every_figure_is_drawn_with_nothing_cut_off(classes: tuple[str, ...]) -> None:
    assert [name for name, figure in drawn(classes).items() if not border_is_white(figure)] == []


def test_what_was_not_measured_is_left_out() -> None:
    nothing = ConditionMetrics({"balanced accuracy": Estimate(None)}, {"good": Estimate(None), "hole": Estimate(0.5)})
    for figure in (
        figures.recalls({"x": nothing.by_class}),
        figures.comparison({"x": nothing}, "x"),
        figures.comparison({}, "x"),
        figures.curves([]),
    ):
        assert border_is_white(figure)
    one = [{"epoch": 1, "train_loss": 1.0, "val_loss": None, "val_accuracy": float("nan")}]
    assert to_png(figures.curves([])) != to_png(figures.curves(one))
    assert to_svg(figures.curves(one), "x").count("not measured") == 1


def test_a_class_without_images_is_gray_not_white() -> None:
    """White would say that none of its images was predicted as any class."""
    gap = picture(figures.confusion([[5, 0], [0, 0]], ["a", "b"]))
    full = picture(figures.confusion([[5, 0], [0, 9]], ["a", "b"]))
    assert (gap == 0xE4).all(axis=2).sum() > 1000
    assert (full == 0xE4).all(axis=2).sum() < 50


def test_equal_metrics_give_equal_bytes_and_no_setting_is_left_changed() -> None:
    before = dict(mpl.rcParams)
    first, second = drawn(SIX), drawn(SIX)
    for save in (to_png, lambda figure: to_svg(figure, "a")):
        assert [save(each) for each in first.values()] == [save(each) for each in second.values()]
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    "draw",
    [
        lambda name: figures.comparison({name: next(iter(conditions().values()))}, name),
        lambda name: figures.recalls({name: {name: Estimate(0.5)}, "other": {}}),
        lambda name: figures.confusion([[1]], [name], title=name),
    ],
)
def test_a_name_in_an_svg_is_text_and_never_markup(draw: Callable[[str], Figure]) -> None:
    svg = to_svg(draw('<b>&"x</b>'), "x")
    texts = ["".join(each.itertext()) for each in ElementTree.fromstring(svg).iter("text")]
    assert any('<b>&"x</b>' in text for text in texts)
    assert "<b>" not in svg


def test_an_svg_takes_the_colors_of_its_page_and_its_identifiers_are_its_own() -> None:
    names = [to_svg(figure, name) for name, figure in drawn(SIX).items()]
    for svg in names:
        assert "<style" not in svg
        assert re.findall(r"(?:fill|stroke): (?!none|var\()[^;\"]*", svg) == []
    found = [re.findall(r' id="([^"]+)"', svg) for svg in names]
    assert all(found)
    every = [each for some in found for each in some]
    assert len(set(every)) == len(every)
