"""New samples into FiftyOne's database, as its own `add_samples` writes them, without its second half.

`add_samples` turns what it has written back into objects, one document a label, so that the samples can be used on.
Nobody uses ours on, and that half is half of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

__all__ = ["insert"]


def insert(dataset: Any, samples: Sequence[Any]) -> None:
    """Add samples, of which the dataset declares every field.

    Args:
        dataset: A FiftyOne dataset.
        samples: FiftyOne samples of images that are in no dataset; not to be used afterwards.
    """
    make, collection = getattr(dataset, "_make_dict", None), getattr(dataset, "_sample_collection", None)
    if make is None or collection is None:
        # These two are no part of FiftyOne's promise; where a version has them no more, its slow way does the same.
        dataset.add_samples(samples, expand_schema=False, validate=False, batcher=False, progress=False)
        return
    if dataset.media_type != "image":
        dataset.media_type = "image"
    # FiftyOne keeps times in UTC, unmarked.
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    collection.insert_many([make(sample, created_at=now, last_modified_at=now) for sample in samples])
