"""Let a process kill itself, as `kill -9` would, at a chosen point of its work; imported by that process."""

from __future__ import annotations

import os
import signal
from importlib import import_module
from typing import Any


def arm(target: str, when: str, number: int) -> None:
    """Die before or after the N-th call of one function.

    `target` is module:attribute, as "carpet_data.store.journal:Journal.commit"; `when` is "before" or "after".
    """
    module, _, attribute = target.partition(":")
    holder: Any = import_module(module)
    *path, last = attribute.split(".")
    for part in path:
        holder = getattr(holder, part)
    original, left = getattr(holder, last), number

    def killed(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        value = original(*args, **kwargs)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return value

    setattr(holder, last, killed)
