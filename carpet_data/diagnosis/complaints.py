"""What image decoders say on the side.

libjpeg and libtiff repair corrupt data with grey or noise and tell nobody but the process's standard error. The doctor
listens there, since these words are all that a flipped byte inside a JPEG leaves behind, and keeps them off the
user's terminal.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_SERIOUS = re.compile(r"Corrupt JPEG data[^\n]*|Premature end of JPEG[^\n]*|TIFF_Error[^\n]*")


class Heard:
    """The first serious complaint, once the block has ended; "" without one."""

    text: str = ""


@contextmanager
def listen() -> Iterator[Heard]:
    """Catch what native code writes to standard error inside the block.

    Not for several threads: the descriptor belongs to the whole process.
    """
    heard = Heard()
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error (a detached process): nothing to hear
        yield heard
        return
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield heard
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            found = _SERIOUS.search(caught.read(65536).decode("utf-8", "replace"))
            if found is not None:
                heard.text = found.group(0)
