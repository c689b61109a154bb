"""The executor: order, bounds, errors, dead workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from carpet_data.core import executor
from carpet_data.errors import CarpetDataError, DataError, MissingExtraError
from carpet_data.formats.exports import to_coco


def square(number: int) -> int:
    return number * number


def slow_first(number: int) -> int:
    if number < 4:
        time.sleep(0.2)
    return number


def fail_at_seven(number: int) -> int:
    if number == 7:
        raise DataError("seven", where="jobs", hint="leave it out")
    return number


def die(number: int) -> int:
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def threads(_: int) -> int:
    import cv2

    return int(cv2.getNumThreads())


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_jobs(workers: int) -> None:
    assert list(executor.run(square, range(50), workers=workers, chunk=4)) == [n * n for n in range(50)]
    assert list(executor.run(slow_first, range(20), workers=workers, chunk=2)) == list(range(20))
    assert list(executor.run(square, [], workers=workers)) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_comes_home_as_it_is(workers: int) -> None:
    results = executor.run(fail_at_seven, range(40), workers=workers, chunk=2)
    with pytest.raises(DataError, match="seven") as caught:
        list(results)
    assert caught.value.hint == "leave it out"


def test_jobs_are_read_only_so_far_ahead() -> None:
    taken = 0

    def jobs() -> Iterator[int]:
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield number

    results = executor.run(square, jobs(), workers=2, chunk=5)
    assert [next(results) for _ in range(10)] == [n * n for n in range(10)]
    assert taken <= 10 * 5
    results.close()  # type: ignore[attr-defined]


def test_a_dead_worker_is_told() -> None:
    with pytest.raises(CarpetDataError, match="worker process died") as caught:
        list(executor.run(die, range(20), workers=2, chunk=2))
    assert "--workers 1" in str(caught.value)


def test_each_process_has_one_opencv_thread() -> None:
    assert set(executor.run(threads, range(40), workers=2, chunk=4)) == {1}


def test_default_workers_is_what_this_process_may_use() -> None:
    assert executor.default_workers() == len(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def ray_engine() -> Iterator[None]:
    """One small Ray cluster for the tests below."""
    ray = pytest.importorskip("ray", reason="the extra [ray] is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.xdist_group("ray")
@pytest.mark.filterwarnings("ignore")
def test_ray_gives_the_same_results_and_errors(ray_engine: None) -> None:
    with executor.engine("ray"):
        assert list(executor.run(square, range(50), workers=2, chunk=4)) == [n * n for n in range(50)]
        with pytest.raises(DataError, match="seven") as caught:
            list(executor.run(fail_at_seven, range(40), workers=2, chunk=2))
        assert caught.value.hint == "leave it out"
        with pytest.raises(CarpetDataError, match="cluster died"):
            list(executor.run(die, range(20), workers=2, chunk=2))


@pytest.mark.xdist_group("ray")
@pytest.mark.filterwarnings("ignore")
def test_an_export_on_ray_is_byte_identical(ray_engine: None, hostile_shapes: Path, tmp_path: Path) -> None:
    to_coco(hostile_shapes, tmp_path / "here", workers=1)
    with executor.engine("ray"):
        to_coco(hostile_shapes, tmp_path / "ray", workers=2)
    for name in ("instances_train.json", "instances_test.json"):
        here, there = ((tmp_path / place / "annotations" / name).read_bytes() for place in ("here", "ray"))
        assert here == there


def test_a_missing_ray_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with executor.engine("ray"), pytest.raises(MissingExtraError, match=r"needs the package ray") as caught:
        list(executor.run(square, range(50), workers=2, chunk=4))
    assert "carpet-data[ray]" in str(caught.value)


INTERRUPTED = """
import os, signal, sys, threading, time
from carpet_data.core import executor

if os.environ.get("WORKER"):  # a worker that is still importing the script, as slow ones import numpy
    time.sleep(1)

def job(number):
    return number

if __name__ == "__main__":
    os.environ["WORKER"] = "1"
    threading.Timer(0.7, os.killpg, (os.getpgid(0), signal.SIGINT)).start()
    try:
        list(executor.run(job, range(40), workers=2, chunk=1))
    except KeyboardInterrupt:
        sys.exit(130)
"""


def test_an_interrupt_while_workers_start_reaches_the_driver_alone(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED)
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=60, start_new_session=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
