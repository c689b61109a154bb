"""Ray (Moritz et al., OSDI 2018): the same jobs on a cluster whose machines see the same files."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from carpet_data.core.executor.local import in_order, run_chunk
from carpet_data.errors import CarpetDataError, MissingExtraError

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_on_ray(function: Callable[[Job], Result], chunks: Iterator[list[Job]], workers: int) -> Iterator[Result]:
    """Run chunks of jobs as Ray tasks; results in order.

    A cluster that is connected already (`ray.init`, or the address in RAY_ADDRESS) is used; else one is started here.

    Raises:
        MissingExtraError: Ray is not installed.
        CarpetDataError: A worker or the cluster died.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError.of("ray", "ray", "the engine ray") from error
    ours = not ray.is_initialized()
    if ours:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        local: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers}
        ray.init(include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False, **local)
    task: Any = ray.remote(_on_one_thread)
    pending: deque[Any] = deque()
    try:
        yield from in_order(lambda piece: task.remote(function, piece), ray.get, chunks, workers, pending)
    except ray.exceptions.RayTaskError as error:
        # Ray wraps what a job raised; callers know our own errors.
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise CarpetDataError(
            "a worker of the Ray cluster died",
            hint="check the memory of the cluster, or use --engine local",
        ) from error
    finally:
        for reference in pending:
            ray.cancel(reference, force=False)
        if ours:
            ray.shutdown()


def _on_one_thread(function: Callable[[Job], Result], piece: list[Job]) -> list[Result]:
    import cv2

    cv2.setNumThreads(1)
    return run_chunk(function, piece)
