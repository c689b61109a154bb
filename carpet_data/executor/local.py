"""Run a pure function over jobs on local processes, in order and with a bounded number in flight.

Jobs and results travel pickled, so both should be small: paths and plans rather than arrays.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from carpet_data.errors import CarpetDataError

Job = TypeVar("Job")
Result = TypeVar("Result")

_CHUNKS_IN_FLIGHT = 3
"""Chunks queued a worker: enough that none waits for the driver, few enough that memory stays flat."""


def default_workers() -> int:
    """The number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    *,
    workers: int | None = None,
    chunk: int = 8,
) -> Iterator[Result]:
    """Yield function(job) for every job, in the order of the jobs.

    The first error of a job is raised when its turn comes; what was queued behind it is cancelled. One worker, or
    no more jobs than one chunk, means this process: nothing is spawned for a handful of images.

    Args:
        function: A module-level function (workers import it), pure: its result depends on the job alone.
        jobs: Any iterable; it is read only a bounded number of jobs ahead.
        workers: Processes; None for one a core.
        chunk: Jobs sent to a worker at a time. Larger wastes less on the way, smaller balances better.

    Raises:
        CarpetDataError: A worker died (most often: out of memory).
    """
    chunks = _chunked(jobs, chunk)
    first = list(itertools.islice(chunks, 2))
    workers = default_workers() if workers is None else workers
    if workers == 1 or len(first) < 2:
        _prepare_worker(in_child=False)
        for piece in itertools.chain(first, chunks):
            yield from map(function, piece)
        return
    yield from _run_on_processes(function, itertools.chain(first, chunks), workers)


def _run_on_processes(function: Callable[[Job], Result], chunks: Iterator[list[Job]], workers: int) -> Iterator[Result]:
    # spawn, not fork: the same on every system, and safe beside threads (OpenCV's, a progress bar's).
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare_worker)
    pending: deque[Future[list[Result]]] = deque()
    try:
        for piece in chunks:
            pending.append(pool.submit(_run_chunk, function, piece))
            if len(pending) >= workers * _CHUNKS_IN_FLIGHT:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    except BrokenProcessPool as error:
        raise CarpetDataError(
            "a worker process died before it could answer",
            mend="if memory ran out, use --workers 1; in a Python script, call from under `if __name__ == '__main__':`",
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _run_chunk(function: Callable[[Job], Result], piece: list[Job]) -> list[Result]:
    return [function(job) for job in piece]


def _prepare_worker(*, in_child: bool = True) -> None:
    """One OpenCV thread a process: processes are the parallelism, and threads inside them only fight."""
    import cv2

    cv2.setNumThreads(1)
    if in_child:
        # Ctrl-C reaches the whole process group; the driver alone decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_end_with_driver, daemon=True).start()


def _end_with_driver() -> None:
    """A killed driver cannot stop its workers, and they would wait for their next job for ever."""
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        os._exit(1)


def _chunked(jobs: Iterable[Job], size: int) -> Iterator[list[Job]]:
    iterator = iter(jobs)
    while piece := list(itertools.islice(iterator, size)):
        yield piece
