"""Scores, intervals and paired tests.

`classification` defines the scores of image classes, `pixels` those of heat maps, `segmentation` those of label
maps, `detection` those of boxes and masks, `alarms` those of one score per image. `outcomes` holds what a condition
predicted over partitions and seeds, `bootstrap` and `paired` say how far a score, or the difference of two, can be
trusted.
"""

from __future__ import annotations

from carpet_data.metrics.alarms import AlarmScores, RecallAt, alarm_scores, auroc_interval
from carpet_data.metrics.bootstrap import bootstrap_interval
from carpet_data.metrics.classification import (
    ACCURACY,
    BALANCED_ACCURACY,
    MACRO_F1,
    Counts,
    Scores,
    Statistic,
    accuracy,
    balanced_accuracy,
    confusion,
    macro_f1,
    recall_of,
    recalls,
)
from carpet_data.metrics.detection import ClassDetection, DetectionRanking, DetectionScores
from carpet_data.metrics.intervals import Estimate, Interval, wilson
from carpet_data.metrics.outcomes import Outcome
from carpet_data.metrics.paired import (
    CorrectedT,
    PairedResult,
    SignFlip,
    corrected_t,
    holm,
    paired_bootstrap,
    partition_differences,
    sign_flip,
)
from carpet_data.metrics.pixels import PixelRanking, PixelScores, pixel_scores
from carpet_data.metrics.segmentation import MEAN_IOU, SegmentationScores, class_pixels, segmentation_scores

__all__ = [
    "ACCURACY",
    "BALANCED_ACCURACY",
    "MACRO_F1",
    "MEAN_IOU",
    "AlarmScores",
    "ClassDetection",
    "CorrectedT",
    "Counts",
    "DetectionRanking",
    "DetectionScores",
    "Estimate",
    "Interval",
    "Outcome",
    "PairedResult",
    "PixelRanking",
    "PixelScores",
    "RecallAt",
    "Scores",
    "SegmentationScores",
    "SignFlip",
    "Statistic",
    "accuracy",
    "alarm_scores",
    "auroc_interval",
    "balanced_accuracy",
    "bootstrap_interval",
    "class_pixels",
    "confusion",
    "corrected_t",
    "holm",
    "macro_f1",
    "paired_bootstrap",
    "partition_differences",
    "pixel_scores",
    "recall_of",
    "recalls",
    "segmentation_scores",
    "sign_flip",
    "wilson",
]
