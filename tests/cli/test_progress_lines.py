"""Progress in a log: a line every ten seconds, by a clock that the test moves."""

from __future__ import annotations

import functools
import io
import sys
from pathlib import Path

import pytest

from carpet_data.cli import common, progress
from carpet_data.cli.progress import EVERY_S, Lines
from carpet_data.core.progress import Step


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_every_ten_seconds_says_what_how_far_and_since_when(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = Lines("prepare", "preparing", clock)
    for done in range(0, 20000, 100):
        clock.now = 100 + done / 100
        lines(Step(done, 20000, "comparing images"))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 19
    assert said[0] == "prepare: comparing images 1000/20000 (5 %), 10 s"
    assert said[-1] == "prepare: comparing images 19000/20000 (95 %), 3 min 10 s"


def test_a_short_command_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = Lines("stats", "measuring", clock)
    for done in range(1000):
        clock.now = 100 + done * (EVERY_S - 0.1) / 1000
        lines(Step(done, 1000))
    assert capsys.readouterr().err == ""


def test_unknown_totals_metrics_and_files(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = Lines("fit", "training", clock)
    lines(Step(3, 9, files=(Path("sheet.png"),), metrics={"loss": 0.5}))
    clock.now += EVERY_S
    lines(Step(7, None, metrics={"loss": 0.25}))
    clock.now += EVERY_S
    lines(Step(0, 0))
    assert capsys.readouterr().err.splitlines() == [
        "step 3 of 9, loss 0.5000: sheet.png",
        "fit: training 7, loss 0.2500, 10 s",
        "fit: training 0/0, 20 s",
    ]


@pytest.mark.parametrize(
    ("as_json", "quiet", "shown"), [(False, False, True), (True, False, True), (False, True, False)]
)
def test_quiet_alone_silences_a_log(as_json: bool, quiet: bool, shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    clock = Clock()
    monkeypatch.setattr(progress, "Lines", functools.partial(Lines, clock=clock))
    with common.Ui(as_json=as_json, quiet=quiet).progress("measuring") as update:
        clock.now += 11
        update(Step(1, 2))
    assert stream.getvalue() == ("measuring: measuring 1/2 (50 %), 11 s\n" if shown else "")
