"""Archives: download one, and unpack one without trusting its names, sizes or links."""

from __future__ import annotations

from dataclasses import dataclass

from carpet_data.core.options import Options, option

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits(Options):
    """How much an archive may hold, so that one made to fill a disk is stopped; MVTec AD whole has 5 GB."""

    max_bytes: int = option(20 * 2**30, "Maximum total unpacked size in bytes.", minimum=1)
    max_files: int = option(100_000, "Maximum number of files and folders.", minimum=1)
