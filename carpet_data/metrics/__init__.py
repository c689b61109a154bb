"""Figures of merit, intervals and paired tests; numpy only.

`classification` defines the scores, `outcomes` holds what a condition predicted over partitions and seeds,
`bootstrap`, `paired` and `partitions` say how far a score, or a difference of two, can be trusted.
"""

from __future__ import annotations

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
from carpet_data.metrics.intervals import Interval, wilson
from carpet_data.metrics.outcomes import Outcome
from carpet_data.metrics.paired import McNemar, PairedResult, holm, mcnemar_exact, paired_bootstrap
from carpet_data.metrics.partitions import CorrectedT, SignFlip, corrected_t, partition_differences, sign_flip

__all__ = [
    "ACCURACY",
    "BALANCED_ACCURACY",
    "MACRO_F1",
    "CorrectedT",
    "Counts",
    "Interval",
    "McNemar",
    "Outcome",
    "PairedResult",
    "Scores",
    "SignFlip",
    "Statistic",
    "accuracy",
    "balanced_accuracy",
    "bootstrap_interval",
    "confusion",
    "corrected_t",
    "holm",
    "macro_f1",
    "mcnemar_exact",
    "paired_bootstrap",
    "partition_differences",
    "recall_of",
    "recalls",
    "sign_flip",
    "wilson",
]
