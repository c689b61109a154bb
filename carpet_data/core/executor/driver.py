"""Run a pure function over jobs, in order and with a bounded number in flight, on the engine in force.

Jobs and results travel pickled, so both should be small: paths and plans rather than arrays. What comes out does not
depend on the engine or on the number of workers.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, TypeAlias, TypeVar

from carpet_data.core.executor.local import prepare_worker, run_on_processes

Job = TypeVar("Job")
Result = TypeVar("Result")
Engine: TypeAlias = Literal["local", "ray"]
ENGINES: tuple[Engine, ...] = ("local", "ray")

_engine: ContextVar[Engine] = ContextVar("engine", default="local")


@contextmanager
def engine(name: Engine) -> Iterator[None]:
    """Let what is called in a `with` block run on an engine: "local" processes, or a "ray" cluster."""
    token = _engine.set(name)
    try:
        yield
    finally:
        _engine.reset(token)


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

    The first error of a job is raised when its turn comes; what was queued behind it is canceled. One worker, or
    no more jobs than one chunk, means this process: nothing is spawned for a handful of images.

    Args:
        function: A module-level function (workers import it), pure: its result depends on the job alone.
        jobs: Any iterable; it is read only a bounded number of jobs ahead.
        workers: Processes; None for one per core.
        chunk: Jobs sent to a worker at a time. Larger wastes less on the way, smaller balances better.

    Raises:
        CarpetDataError: A worker died (most often: out of memory).
        MissingExtraError: The engine is Ray, and Ray is not installed.
    """
    chunks = _chunked(jobs, chunk)
    first = list(itertools.islice(chunks, 2))
    workers = default_workers() if workers is None else workers
    if workers == 1 or len(first) < 2:
        prepare_worker(in_child=False)
        for piece in itertools.chain(first, chunks):
            yield from map(function, piece)
        return
    chunks = itertools.chain(first, chunks)
    if _engine.get() == "ray":
        from carpet_data.core.executor.on_ray import run_on_ray

        yield from run_on_ray(function, chunks, workers)
    else:
        yield from run_on_processes(function, chunks, workers)


def _chunked(jobs: Iterable[Job], size: int) -> Iterator[list[Job]]:
    iterator = iter(jobs)
    while piece := list(itertools.islice(iterator, size)):
        yield piece
