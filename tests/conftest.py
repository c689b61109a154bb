"""Fixtures that all tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from helpers.carpets import prepared_carpet
from helpers.command import Called, caller
from helpers.marking import NOT_FAST, mark, markers_of
from helpers.shapes import SHAPES, write_mvtec

PROJECT = Path(__file__).resolve().parents[1]

# Tests and the commands they start share the cores; threads that wait for one would only spin.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Nothing listens there: no test downloads the weights of a network, unless it serves them itself.
os.environ["CARPET_DATA_WEIGHTS_URL"] = "http://127.0.0.1:9"
# A shell starts background jobs with Ctrl-C ignored, and commands started by the tests would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


hypothesis.settings.register_profile("full", deadline=None)
hypothesis.settings.register_profile("dev", deadline=None, max_examples=25)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "full"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="leave out what is slow or needs torch, a browser or a kill")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if not config.getoption("--fast") or not collection_path.is_relative_to(PROJECT / "tests"):
        return None
    below = collection_path.relative_to(PROJECT / "tests").as_posix()
    return True if NOT_FAST & markers_of(below) else None


def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    for item in items:
        mark(item)
    if config.getoption("--fast"):
        left_out = [item for item in items if any(item.get_closest_marker(name) for name in NOT_FAST)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """real_data("mvtec/carpet") -> the folder, or a skip that says what is absent."""
    root = Path(os.environ.get("CARPET_DATA_TEST_DATA", PROJECT.parent / "shared" / "data"))

    def find(name: str) -> Path:
        folder = root / name
        if not folder.is_dir():
            pytest.skip(f"real data absent: {folder} (set CARPET_DATA_TEST_DATA)")
        return folder

    return find


@pytest.fixture(scope="session")
def hostile_shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MVTec folder with every mask of `shapes`, of two classes, and two good images."""
    masks = {name: (("hole", "thread")[number % 2], mask) for number, (name, mask) in enumerate(SHAPES.items())}
    return write_mvtec(tmp_path_factory.mktemp("hostile") / "shäpes and spaces", masks, good=2)


@pytest.fixture(scope="session")
def synthesized_carpet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small prepared carpet with synthetic holes and threads; not to be changed."""
    return prepared_carpet(tmp_path_factory.mktemp("carpet"))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Called]:
    """The command line, called in this process: run("stats", root) -> exit code, stdout, stderr."""
    return caller(capsys)
