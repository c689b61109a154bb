"""Local processes: the engine that is always available."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from carpet_data.core.memory import keep_freed_memory
from carpet_data.errors import CarpetDataError

Job = TypeVar("Job")
Result = TypeVar("Result")
Handle = TypeVar("Handle")

_CHUNKS_IN_FLIGHT = 3
"""Chunks queued a worker: enough that none waits for the driver, few enough that memory stays flat."""


def run_on_processes(function: Callable[[Job], Result], chunks: Iterator[list[Job]], workers: int) -> Iterator[Result]:
    """Run chunks of jobs on spawned processes of this machine; results in order.

    Raises:
        CarpetDataError: A worker died (most often: out of memory).
    """
    # spawn, not fork: the same on every system, and safe beside threads (OpenCV's, a progress bar's).
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=prepare_worker)

    def submit(piece: list[Job]) -> Future[list[Result]]:
        with _deaf_children():
            return pool.submit(run_chunk, function, piece)

    try:
        yield from in_order(submit, lambda future: future.result(), chunks, workers)
    except BrokenProcessPool as error:
        raise CarpetDataError(
            "a worker process died",
            hint="if memory ran out, use --workers 1; in a Python script, call from under `if __name__ == '__main__':`",
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def in_order(
    submit: Callable[[list[Job]], Handle],
    result: Callable[[Handle], list[Result]],
    chunks: Iterator[list[Job]],
    workers: int,
    pending: deque[Handle] | None = None,
) -> Iterator[Result]:
    """Submit chunks as long as few are in flight, and yield the results of the oldest."""
    pending = deque() if pending is None else pending
    for piece in chunks:
        pending.append(submit(piece))
        if len(pending) >= workers * _CHUNKS_IN_FLIGHT:
            yield from result(pending.popleft())
    while pending:
        yield from result(pending.popleft())


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes started in here get no Ctrl-C, not even while they start and cannot yet say so themselves.

    A blocked signal stays blocked in a child; for this process it only waits until the block ends.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_chunk(function: Callable[[Job], Result], piece: list[Job]) -> list[Result]:
    """The results of one chunk; a module-level function, so that workers can import it."""
    return [function(job) for job in piece]


def prepare_worker(*, in_child: bool = True) -> None:
    """One OpenCV thread per process: processes are the parallelism, and threads inside them only fight."""
    import cv2

    cv2.setNumThreads(1)
    keep_freed_memory()
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
