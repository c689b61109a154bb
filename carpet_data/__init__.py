"""carpet-data: exact data sets from rare defect images.

The public interface is what `__all__` names; each name is imported when it is first used, so that
`import carpet_data` stays quick. Verbs share their names with the command line's.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from carpet_data.version import __version__

if TYPE_CHECKING:
    from carpet_data.errors import CarpetDataError, DataError
    from carpet_data.formats import ReadOptions, read
    from carpet_data.samples import Dataset, Instance, Sample, Split
    from carpet_data.verbs.browse import browse
    from carpet_data.verbs.check import check
    from carpet_data.verbs.curate import curate, export_choices, undo_curation
    from carpet_data.verbs.doctor import doctor
    from carpet_data.verbs.drop import drop
    from carpet_data.verbs.fetch import fetch
    from carpet_data.verbs.fit import fit
    from carpet_data.verbs.groups import groups
    from carpet_data.verbs.prepare import prepare
    from carpet_data.verbs.preview import preview
    from carpet_data.verbs.rebalance import rebalance
    from carpet_data.verbs.report import report
    from carpet_data.verbs.sample import sample
    from carpet_data.verbs.score import score
    from carpet_data.verbs.split import split
    from carpet_data.verbs.stats import stats
    from carpet_data.verbs.sweep import sweep
    from carpet_data.verbs.synthesize import synthesize
    from carpet_data.verbs.to_coco import to_coco
    from carpet_data.verbs.to_folder import to_folder
    from carpet_data.verbs.to_masks import to_masks
    from carpet_data.verbs.to_mvtec import to_mvtec
    from carpet_data.verbs.to_voc import to_voc
    from carpet_data.verbs.to_yolo import to_yolo
    from carpet_data.verbs.train import train
    from carpet_data.verbs.unpack import unpack
    from carpet_data.verbs.validate import validate

__all__ = [
    "CarpetDataError",
    "DataError",
    "Dataset",
    "Instance",
    "ReadOptions",
    "Sample",
    "Split",
    "__version__",
    "browse",
    "check",
    "curate",
    "doctor",
    "drop",
    "export_choices",
    "fetch",
    "fit",
    "groups",
    "prepare",
    "preview",
    "read",
    "rebalance",
    "report",
    "sample",
    "score",
    "split",
    "stats",
    "sweep",
    "synthesize",
    "to_coco",
    "to_folder",
    "to_masks",
    "to_mvtec",
    "to_voc",
    "to_yolo",
    "train",
    "undo_curation",
    "unpack",
    "validate",
]

# Names that do not live in a module of verbs called like them.
_HOMES = {
    "CarpetDataError": "carpet_data.errors",
    "DataError": "carpet_data.errors",
    "Dataset": "carpet_data.samples",
    "Instance": "carpet_data.samples",
    "ReadOptions": "carpet_data.formats",
    "Sample": "carpet_data.samples",
    "Split": "carpet_data.samples",
    "export_choices": "carpet_data.verbs.curate",
    "read": "carpet_data.formats",
    "undo_curation": "carpet_data.verbs.curate",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'carpet_data' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, f"carpet_data.verbs.{name}")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
