"""Warnings of image decoders.

libjpeg and libtiff repair corrupt data with gray or noise and only print a warning to the process's standard error. The
doctor captures it there, since this warning is all that a flipped byte inside a JPEG leaves behind, and keeps it off
the user's terminal.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_SERIOUS = re.compile(r"Corrupt JPEG data[^\n]*|Premature end of JPEG[^\n]*|TIFF_Error[^\n]*")


class Warned:
    """The first serious warning, once the block has ended; "" without one."""

    text: str = ""


@contextmanager
def captured() -> Iterator[Warned]:
    """Catch what native code writes to standard error inside the block.

    Not thread-safe: the descriptor belongs to the whole process.
    """
    warned = Warned()
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error (a detached process): nothing to capture
        yield warned
        return
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield warned
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            found = _SERIOUS.search(caught.read(65536).decode("utf-8", "replace"))
            if found is not None:
                warned.text = found.group(0)
