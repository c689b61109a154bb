"""Calling the command line inside the test's own process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner

from carpet_data.cli.app import app, main


@dataclass(frozen=True)
class Called:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def exit_code(*arguments: object) -> int:
    """The exit code of a command; what it prints goes to the streams, for capsys."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    code = stop.value.code
    assert code is None or isinstance(code, int), code
    return code or 0


def printed(*arguments: object) -> str:
    """What a command prints that must succeed."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def caller(capsys: pytest.CaptureFixture[str]) -> Callable[..., Called]:
    """run("to-coco", root, "-o", out) -> exit code, stdout, stderr."""

    def run(*arguments: object) -> Called:
        capsys.readouterr()
        code = exit_code(*arguments)
        streams = capsys.readouterr()
        return Called(code, streams.out, streams.err)

    return run
