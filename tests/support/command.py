"""Calling the command line inside the test's own process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from carpet_data.cli.app import main


@dataclass(frozen=True)
class Called:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def caller(capsys: pytest.CaptureFixture[str]) -> Callable[..., Called]:
    """run("to-coco", root, "-o", out) -> exit code, stdout, stderr."""

    def run(*arguments: object) -> Called:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        code = stop.value.code
        return Called(code if isinstance(code, int) else 0, printed.out, printed.err)

    return run
