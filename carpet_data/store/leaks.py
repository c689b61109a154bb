"""Refuse a data set in which a held-out image could teach."""

from __future__ import annotations

from carpet_data.dataset import Dataset
from carpet_data.errors import LeakError
from carpet_data.store.verify import leaks

__all__ = ["refuse_leaks"]


def refuse_leaks(dataset: Dataset, split: str) -> None:
    """Refuse a split by which an image of val or test, or a part of one, would reach training.

    That is: a synthetic image outside train; one whose host or donor is held out or unknown; one of a model that was
    trained on a held-out image or a group of one, or that does not say what it was trained on; a group on two sides; or
    equal bytes on two sides.

    Args:
        dataset: A prepared data set.
        split: The split to train by.

    Raises:
        LeakError: The first leak is named, with their number.
    """
    found = list(leaks(dataset.root, dataset.splits[split]))
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise LeakError(
            f"the data leak, so no figure would mean anything: {found[0].what}{more}",
            where=dataset.root / (found[0].where or ""),
            hint=found[0].hint or "make the split again (carpet-data split)",
        )
