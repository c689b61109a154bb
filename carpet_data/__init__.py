"""carpet-data: exact data sets from rare defect images.

The public interface is what `__all__` names; each name is imported when it is first used, so that
`import carpet_data` stays quick. Verbs share their names with the command line's.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from carpet_data.version import __version__

if TYPE_CHECKING:
    from carpet_data.archives.fetch import fetch
    from carpet_data.archives.unpack import unpack
    from carpet_data.dataset import Dataset, Instance, Sample, Split
    from carpet_data.diagnosis.doctor import doctor
    from carpet_data.errors import CarpetDataError, DataError
    from carpet_data.experiments.quality.score import score
    from carpet_data.experiments.sweep import sweep
    from carpet_data.experiments.validate import validate
    from carpet_data.fiftyone.browse import browse
    from carpet_data.fiftyone.curate import curate, export_choices, undo_curation
    from carpet_data.formats import ReadOptions, read
    from carpet_data.formats.check import check
    from carpet_data.formats.to_coco import to_coco
    from carpet_data.formats.to_folder import to_folder
    from carpet_data.formats.to_masks import to_masks
    from carpet_data.formats.to_mvtec import to_mvtec
    from carpet_data.formats.to_voc import to_voc
    from carpet_data.formats.to_yolo import to_yolo
    from carpet_data.learned.fit import fit
    from carpet_data.preparation.drop import drop
    from carpet_data.preparation.groups import groups
    from carpet_data.preparation.options import GroupOptions, SplitOptions
    from carpet_data.preparation.prepare import prepare
    from carpet_data.preparation.split import split
    from carpet_data.reporting.report import report
    from carpet_data.statistics.stats import stats
    from carpet_data.synthesis.engine.preview import preview
    from carpet_data.synthesis.engine.rebalance import rebalance
    from carpet_data.synthesis.engine.synthesize import synthesize
    from carpet_data.training.train import train
    from carpet_data.weave.sample import sample

__all__ = [
    "CarpetDataError",
    "DataError",
    "Dataset",
    "GroupOptions",
    "Instance",
    "ReadOptions",
    "Sample",
    "Split",
    "SplitOptions",
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

# Where each public name lives; tests hold this table against the imports above.
_HOMES = {
    "CarpetDataError": "carpet_data.errors",
    "DataError": "carpet_data.errors",
    "Dataset": "carpet_data.dataset",
    "GroupOptions": "carpet_data.preparation.options",
    "Instance": "carpet_data.dataset",
    "ReadOptions": "carpet_data.formats",
    "Sample": "carpet_data.dataset",
    "Split": "carpet_data.dataset",
    "SplitOptions": "carpet_data.preparation.options",
    "browse": "carpet_data.fiftyone.browse",
    "check": "carpet_data.formats.check",
    "curate": "carpet_data.fiftyone.curate",
    "doctor": "carpet_data.diagnosis.doctor",
    "drop": "carpet_data.preparation.drop",
    "export_choices": "carpet_data.fiftyone.curate",
    "fetch": "carpet_data.archives.fetch",
    "fit": "carpet_data.learned.fit",
    "groups": "carpet_data.preparation.groups",
    "prepare": "carpet_data.preparation.prepare",
    "preview": "carpet_data.synthesis.engine.preview",
    "read": "carpet_data.formats",
    "rebalance": "carpet_data.synthesis.engine.rebalance",
    "report": "carpet_data.reporting.report",
    "sample": "carpet_data.weave.sample",
    "score": "carpet_data.experiments.quality.score",
    "split": "carpet_data.preparation.split",
    "stats": "carpet_data.statistics.stats",
    "sweep": "carpet_data.experiments.sweep",
    "synthesize": "carpet_data.synthesis.engine.synthesize",
    "to_coco": "carpet_data.formats.to_coco",
    "to_folder": "carpet_data.formats.to_folder",
    "to_masks": "carpet_data.formats.to_masks",
    "to_mvtec": "carpet_data.formats.to_mvtec",
    "to_voc": "carpet_data.formats.to_voc",
    "to_yolo": "carpet_data.formats.to_yolo",
    "train": "carpet_data.training.train",
    "undo_curation": "carpet_data.fiftyone.curate",
    "unpack": "carpet_data.archives.unpack",
    "validate": "carpet_data.experiments.validate",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'carpet_data' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
