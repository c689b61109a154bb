"""Names of devices, checked by their form alone: whether the device is there, only torch knows, and it loads slowly."""

from __future__ import annotations

import re

from carpet_data.errors import UsageError

__all__ = ["check_device"]

_NAME = re.compile(r"auto|cpu|mps|cuda(:[0-9]+)?")


def check_device(name: str) -> None:
    """Refuse a name that no device can have.

    Raises:
        UsageError: It is not auto, cpu, cuda, cuda:N or mps.

    Examples:
        >>> check_device("cuda:1")
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"unknown device {name!r}", hint="use --device auto, cpu or cuda")
