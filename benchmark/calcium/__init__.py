"""Coronary calcium in numbers: lesions, Agatston, volume, mass and risk category.

NumPy arrays in, numbers out. The package needs NumPy and cc3d (connected-components-3d) alone and
can be used without the rest of the repository.
"""

from benchmark.calcium.candidates import above_threshold, label_candidates
from benchmark.calcium.conventions import (
    ARTERIES,
    DEFAULT,
    SCORES,
    TARGETS,
    UNDETERMINED,
    Conventions,
)
from benchmark.calcium.lesions import Lesion, lesion_table
from benchmark.calcium.risk import RISK_EDGES, RISK_NAMES, risk_category
from benchmark.calcium.scores import score_scan

__all__ = [
    "ARTERIES",
    "DEFAULT",
    "RISK_EDGES",
    "RISK_NAMES",
    "SCORES",
    "TARGETS",
    "UNDETERMINED",
    "Conventions",
    "Lesion",
    "above_threshold",
    "label_candidates",
    "lesion_table",
    "risk_category",
    "score_scan",
]
