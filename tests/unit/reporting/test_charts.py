"""The geometry of the pages' charts: what is larger lies higher, and everything lies inside."""

from __future__ import annotations

from helpers.validation_pages import NAMES, conditions, history
from hypothesis import given
from hypothesis import strategies as st

from carpet_data.reporting.charts import confusion_table, curves, forest
from carpet_data.reporting.pages import Condition, Estimate, Point
from carpet_data.reporting.series import averaged


def places(points: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in points.split())]


def test_histories_of_several_trainings_are_averaged() -> None:
    rows = [
        {"epoch": 1, "condition": "a", "val_loss": 1.0},
        {"epoch": 1, "condition": "a", "val_loss": 3.0},
        {"epoch": 2, "condition": "a", "val_loss": None},
        {"epoch": 1, "condition": "b", "val_loss": float("nan")},
    ]
    (line,) = averaged(rows, "loss")
    assert (line.condition, line.side, line.epochs, line.values) == ("a", "val", (1,), (2.0,))


def test_curves_fall_where_the_loss_falls() -> None:
    loss, accuracy = curves(history())
    assert [line.name for line in loss.lines] == ["train", "val"]
    for line in loss.lines:
        found = places(line.points)
        assert [x for x, _ in found] == sorted(x for x, _ in found)
        # In an SVG y grows downwards.
        assert [y for _, y in found] == sorted(y for _, y in found)
    assert places(accuracy.lines[0].points)[-1][1] < places(accuracy.lines[0].points)[0][1]
    assert "train 2.000 to 0.167" in loss.summary


def test_conditions_have_a_colour_each_and_train_is_dashed() -> None:
    loss, _ = curves(history(conditions=NAMES))
    assert [(line.series, line.dashed) for line in loss.lines[:4]] == [(0, True), (0, False), (1, True), (1, False)]


def test_no_history_is_no_chart_and_one_epoch_is_a_dot() -> None:
    assert curves([]) == ()
    (chart,) = curves([{"epoch": 7, "train_loss": 1.5}])
    assert chart.single
    assert [tick.text for tick in chart.x_ticks] == ["7"]


@given(
    losses=st.lists(st.floats(0, 1e6), min_size=1, max_size=300),
    first=st.integers(0, 500),
)
def test_curves_stay_inside_whatever_the_figures(losses: list[float], first: int) -> None:
    (chart,) = curves([{"epoch": first + at, "train_loss": value} for at, value in enumerate(losses)])
    found = places(chart.lines[0].points)
    assert len(found) <= 242
    assert all(chart.left <= x <= chart.right and 0 <= y <= chart.bottom for x, y in found)
    assert all(0 <= tick.at <= chart.bottom for tick in chart.y_ticks)
    ticks = [tick.at for tick in chart.x_ticks]
    assert ticks == sorted(ticks)


unit = st.floats(0, 1)


@given(figures=st.lists(st.tuples(unit, unit, unit, st.lists(unit, max_size=5)), min_size=1, max_size=6))
def test_a_forest_keeps_the_order_of_its_figures(figures: list[tuple[float, float, float, list[float]]]) -> None:
    rows = []
    for number, (a, b, c, points) in enumerate(figures):
        low, value, high = sorted((a, b, c))
        rows.append(
            Condition(
                str(number),
                Estimate(value, low, high),
                points=tuple(Point("p", 0, each) for each in points),
                baseline=number == 0,
            )
        )
    laid = forest(rows)
    for row in laid.rows:
        assert row.low is not None
        assert row.value is not None
        assert row.high is not None
        assert 0 <= row.low <= row.value <= row.high <= 100
        assert all(0 <= place <= 100 for place in row.points)
    assert laid.baseline == laid.rows[0].value
    assert all(0 <= tick.at <= 100 for tick in laid.ticks)


def test_a_forest_of_nothing_has_no_places() -> None:
    laid = forest([Condition("x", Estimate(None))])
    assert (laid.rows[0].value, laid.rows[0].points, laid.baseline) == (None, (), None)
    assert forest(conditions()).baseline is not None


def test_confusion_counts_have_their_share_of_the_row() -> None:
    table = confusion_table([[3, 1], [0, 0]], ["a", "b"], "x")
    assert table.rows[0] == ("a", 4, 0.75, ((3, 0.75), (1, 0.25)))
    assert table.rows[1] == ("b", 0, None, ((0, 0.0), (0, 0.0)))
    assert not table.upright
    assert confusion_table([[1]], ["a long name of a class"], "x").upright
